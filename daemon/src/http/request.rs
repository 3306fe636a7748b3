//! A routed request, and the decoding that every handler shares.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::HeaderMap;
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderName, UPGRADE};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::ApiError;
use super::body::Upload;
use super::filters::Filters;
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
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        self.optional_json()
            .await?
            .ok_or_else(|| invalid("got EOF while reading request body"))
    }

    /// The body, or `None` where there is none at all.
    pub(crate) async fn optional_json<T: DeserializeOwned>(
        &mut self,
    ) -> Result<Option<T>, ApiError> {
        check_content_type(self.header(&CONTENT_TYPE), self.body.is_end_stream())?;
        let bytes = read(&mut self.body).await?;
        decode(&bytes)
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

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_eof() => Err(invalid("unexpected EOF")),
        Err(e) if e.is_syntax() && e.to_string().starts_with("trailing characters") => {
            Err(ApiError::bad_request("unexpected content after JSON"))
        }
        Err(e) => Err(invalid(&e.to_string())),
    }
}

fn invalid(why: &str) -> ApiError {
    ApiError::bad_request(format!("invalid JSON: {why}"))
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

    #[test]
    fn broken_json_is_named() {
        let check = |text: &str| decode::<Vec<u8>>(text.as_bytes()).map_err(|e| e.message);
        assert_eq!(check("[1]\n"), Ok(Some(vec![1])));
        assert_eq!(check(" \n"), Ok(None));
        assert_eq!(check("[1"), Err("invalid JSON: unexpected EOF".into()));
        assert_eq!(check("[1] x"), Err("unexpected content after JSON".into()));
        assert!(
            check("{}")
                .unwrap_err()
                .starts_with("invalid JSON: invalid type: map")
        );
    }
}
