//! JSON bodies, read as Go's decoder reads them: scripts know its words for what is wrong, and
//! clients may rely on what it lets pass.
//!
//! [`scan`] knows JSON, [`kind`] the types that Docker's requests have; both are pure.

mod kind;
mod scan;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;

pub(crate) use self::kind::Kind;

/// A body that a request can have.
pub(crate) trait Shape: DeserializeOwned {
    const KIND: Kind;
    /// What Go's messages put before a field of it: for most types their name.
    const NAME: &'static str;
}

/// Why a body is none that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Not JSON, or of another type.
    #[error("invalid JSON: {0}")]
    Invalid(String),
    #[error("unexpected content after JSON")]
    MoreFollows,
}

/// The first value in a body, or nothing where there is only blank space.
pub(crate) fn decode<T: Shape>(body: &[u8]) -> Result<Option<T>, BodyError> {
    let first = scan::first(body).map_err(|wrong| BodyError::Invalid(wrong.to_string()))?;
    let Some((tree, rest)) = first else {
        return Ok(None);
    };
    let value = kind::fit(&tree, &T::KIND, T::NAME).map_err(BodyError::Invalid)?;
    // `null` changes nothing about what Go decodes into.
    let value = match value {
        serde_json::Value::Null => serde_json::Value::Object(serde_json::Map::new()),
        value => value,
    };
    // Go takes a bracket for the end of what it may be in.
    if !matches!(rest.first(), None | Some(b']' | b'}')) {
        return Err(BodyError::MoreFollows);
    }
    serde_json::from_value(value)
        .map(Some)
        .map_err(|error| BodyError::Invalid(error.to_string()))
}
