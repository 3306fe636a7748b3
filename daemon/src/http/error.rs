//! What a request is refused with: a status and Docker's `{"message"}`.

use hull_engine::{EngineError, ErrorKind};
use hyper::StatusCode;

use super::version::UnsupportedVersion;

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) form: Form,
}

/// How the body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    /// Clients from before 1.24 do not know JSON errors.
    Text,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            form: Form::Json,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// No such route.
    pub(crate) fn page_not_found() -> Self {
        Self::not_found("page not found")
    }

    /// Docker has it, Hull does not yet.
    pub(crate) fn not_supported(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            format!("not supported by Hull yet: {what}"),
        )
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        Self::new(status(error.kind()), error.to_string())
    }
}

impl From<UnsupportedVersion> for ApiError {
    fn from(error: UnsupportedVersion) -> Self {
        let form = match error {
            UnsupportedVersion::TooOld(_) => Form::Text,
            UnsupportedVersion::TooNew(_) => Form::Json,
        };
        Self {
            form,
            ..Self::bad_request(error.to_string())
        }
    }
}

fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::InvalidParameter => StatusCode::BAD_REQUEST,
        ErrorKind::NotModified => StatusCode::NOT_MODIFIED,
        ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::System => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_kinds_are_statuses() {
        for (error, expected) in [
            (EngineError::NoSuchContainer("x".into()), 404),
            (EngineError::NoCommand, 400),
            (EngineError::NotSupported("x".into()), 501),
            (EngineError::Closing, 503),
        ] {
            assert_eq!(ApiError::from(error).status, expected);
        }
    }
}
