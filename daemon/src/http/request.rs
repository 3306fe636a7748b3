//! A routed request, and the decoding that every handler shares.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderName, UPGRADE};
use hyper::{HeaderMap, StatusCode};
use tokio_util::sync::CancellationToken;

use super::ApiError;
use super::body::Upload;
use super::filters::Filters;
use super::json::{self, BodyError, Shape};
use super::query::Query;
use super::route::Params;
use super::version::ApiVersion;

/// The most JSON that a request may hold. A container's configuration takes a few KiB.
const MAX_JSON: usize = 8 << 20;

/// What a handler gets.
pub(crate) struct Request {
    pub(crate) params: Params,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Upload,
    pub(crate) version: ApiVersion,
    /// Cancelled when the client is gone or the server ends.
    pub(crate) gone: CancellationToken,
}

impl Request {
    /// The container or exec that the path names.
    pub(crate) fn id(&self) -> &str {
        self.params.get("id")
    }

    /// The image that the path names.
    pub(crate) fn name(&self) -> &str {
        self.params.get("name")
    }

    pub(crate) fn filters(&self) -> Result<Filters, ApiError> {
        Filters::parse(self.query.get("filters"))
    }

    /// Whether the client asks for the connection to become a raw stream, properly.
    pub(crate) fn wants_upgrade(&self) -> bool {
        self.headers.contains_key(UPGRADE)
    }

    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, which must be there.
    pub(crate) async fn json<T: Shape>(&mut self) -> Result<T, ApiError> {
        let message = "invalid JSON: got EOF while reading request body";
        let body = self.optional_json().await?;
        body.ok_or_else(|| ApiError::bad_request(message))
    }

    /// The body, or what stands for none where none was sent.
    pub(crate) async fn json_or_default<T: Shape + Default>(&mut self) -> Result<T, ApiError> {
        match self.body.is_end_stream() {
            true => Ok(self.optional_json().await?.unwrap_or_default()),
            false => self.json().await,
        }
    }

    /// The body of a call where Docker does not look at its media type, and tells what is wrong with
    /// it as an error of its own.
    pub(crate) async fn unchecked_json<T: Shape>(&mut self) -> Result<T, ApiError> {
        let bytes = read(&mut self.body).await?;
        let why = match json::decode(&bytes) {
            Ok(Some(body)) => return Ok(body),
            Ok(None) => "EOF".to_owned(),
            Err(BodyError::Invalid(why)) => why,
            Err(error @ BodyError::MoreFollows) => error.to_string(),
        };
        Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, why))
    }

    /// The body, or `None` where there is none at all.
    pub(crate) async fn optional_json<T: Shape>(&mut self) -> Result<Option<T>, ApiError> {
        check_content_type(self.header(&CONTENT_TYPE), self.body.is_end_stream())?;
        let bytes = read(&mut self.body).await?;
        json::decode(&bytes).map_err(|error| ApiError::bad_request(error.to_string()))
    }
}

async fn read(body: &mut Upload) -> Result<Bytes, ApiError> {
    match Limited::new(body, MAX_JSON).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) => Err(ApiError::bad_request(format!(
            "failed to read request body: {e}"
        ))),
    }
}

fn check_content_type(given: Option<&str>, empty: bool) -> Result<(), ApiError> {
    let given = given.unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") || (given.is_empty() && empty) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "unsupported Content-Type header ({given}): must be 'application/json'"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_taken() {
        assert!(check_content_type(Some("application/json"), false).is_ok());
        assert!(check_content_type(Some("application/json; charset=utf-8"), false).is_ok());
        assert!(check_content_type(None, true).is_ok());
        assert!(check_content_type(None, false).is_err());
        assert_eq!(
            check_content_type(Some("text/plain"), false)
                .unwrap_err()
                .message,
            "unsupported Content-Type header (text/plain): must be 'application/json'"
        );
    }
}
