//! What a request is refused with: the specification's codes, in one table, and its error body.

use hull_images::repositories::RepositoryError;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::http::body::{self, Body, BodyError};

/// The codes of the OCI and Docker specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Unknown,
    Unsupported,
    Unauthorized,
    Denied,
    Unavailable,
    TooManyRequests,
    DigestInvalid,
    SizeInvalid,
    RangeInvalid,
    NameInvalid,
    NameUnknown,
    TagInvalid,
    ManifestUnknown,
    ManifestInvalid,
    ManifestBlobUnknown,
    BlobUnknown,
    BlobUploadUnknown,
    BlobUploadInvalid,
    PaginationNumberInvalid,
}

impl Code {
    /// Its name, status and words.
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Code::Unknown => ("UNKNOWN", 500, "unknown error"),
            Code::Unsupported => ("UNSUPPORTED", 405, "The operation is unsupported."),
            Code::Unauthorized => ("UNAUTHORIZED", 401, "authentication required"),
            Code::Denied => ("DENIED", 403, "requested access to the resource is denied"),
            Code::Unavailable => ("UNAVAILABLE", 503, "service unavailable"),
            Code::TooManyRequests => ("TOOMANYREQUESTS", 429, "too many requests"),
            Code::DigestInvalid => (
                "DIGEST_INVALID",
                400,
                "provided digest did not match uploaded content",
            ),
            Code::SizeInvalid => (
                "SIZE_INVALID",
                400,
                "provided length did not match content length",
            ),
            Code::RangeInvalid => ("RANGE_INVALID", 416, "invalid content range"),
            Code::NameInvalid => ("NAME_INVALID", 400, "invalid repository name"),
            Code::NameUnknown => ("NAME_UNKNOWN", 404, "repository name not known to registry"),
            Code::TagInvalid => ("TAG_INVALID", 400, "manifest tag did not match URI"),
            Code::ManifestUnknown => ("MANIFEST_UNKNOWN", 404, "manifest unknown"),
            Code::ManifestInvalid => ("MANIFEST_INVALID", 400, "manifest invalid"),
            Code::ManifestBlobUnknown => ("MANIFEST_BLOB_UNKNOWN", 400, "blob unknown to registry"),
            Code::BlobUnknown => ("BLOB_UNKNOWN", 404, "blob unknown to registry"),
            Code::BlobUploadUnknown => (
                "BLOB_UPLOAD_UNKNOWN",
                404,
                "blob upload unknown to registry",
            ),
            Code::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", 400, "blob upload invalid"),
            Code::PaginationNumberInvalid => (
                "PAGINATION_NUMBER_INVALID",
                400,
                "invalid number of results requested",
            ),
        }
    }
}

/// Why a request was refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    code: Code,
    status: Option<StatusCode>,
    message: Option<String>,
    details: Vec<Value>,
    headers: Box<HeaderMap>,
}

impl Refusal {
    pub(crate) fn new(code: Code) -> Refusal {
        Refusal {
            code,
            status: None,
            message: None,
            details: Vec::new(),
            headers: Box::default(),
        }
    }

    /// With what the code does not say. Several make as many errors in the body.
    pub(crate) fn detail(mut self, detail: impl Into<Value>) -> Refusal {
        self.details.push(detail.into());
        self
    }

    /// With another status than the code's own.
    pub(crate) fn status(mut self, status: StatusCode) -> Refusal {
        self.status = Some(status);
        self
    }

    /// With other words than the code's own: clients show them, and no details.
    pub(crate) fn message(mut self, message: String) -> Refusal {
        self.message = Some(message);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Refusal {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn has(&self, code: Code) -> bool {
        self.code == code
    }

    pub(crate) fn status_code(&self) -> StatusCode {
        let (_, status, _) = self.code.row();
        self.status
            .or(StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What goes with it beside its body: how it asks who it is, what is allowed.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let status = self.status_code();
        let (name, _, message) = self.code.row();
        let message = self.message.as_deref().unwrap_or(message);
        let error = |detail: Option<Value>| match detail {
            Some(detail) => json!({"code": name, "message": message, "detail": detail}),
            None => json!({"code": name, "message": message}),
        };
        let errors: Vec<Value> = match self.details.is_empty() {
            true => vec![error(None)],
            false => self.details.into_iter().map(|d| error(Some(d))).collect(),
        };
        let mut text = json!({"errors": errors}).to_string();
        text.push('\n');
        let mut response = Response::new(body::whole(text));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().extend(*self.headers);
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

/// Something that is nobody's fault but the server's: the log says what.
pub(crate) fn internal(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "a request failed");
    Refusal::new(Code::Unknown)
}

impl From<RepositoryError> for Refusal {
    fn from(error: RepositoryError) -> Refusal {
        match error {
            RepositoryError::Store(error) if error.is_disk_full() => {
                tracing::error!(%error, "the disk is full");
                Refusal::new(Code::Unknown)
                    .status(StatusCode::INSUFFICIENT_STORAGE)
                    .detail("no space left on the registry's disk")
            }
            RepositoryError::Store(error) => internal(&error),
            RepositoryError::NoRepository(name) => {
                Refusal::new(Code::NameUnknown).detail(json!({"name": name.as_str()}))
            }
            RepositoryError::NoUpload => Refusal::new(Code::BlobUploadUnknown),
            RepositoryError::UploadBusy => Refusal::new(Code::BlobUploadInvalid)
                .status(StatusCode::CONFLICT)
                .detail("another request is sending to this upload"),
            RepositoryError::DigestMismatch { expected, found } => {
                Refusal::new(Code::DigestInvalid).detail(json!({
                    "expected": expected.to_string(), "found": found.to_string(),
                }))
            }
            RepositoryError::NoBlob(digest) => {
                Refusal::new(Code::BlobUnknown).detail(digest.to_string())
            }
            RepositoryError::NoManifest(name) => Refusal::new(Code::ManifestUnknown).detail(name),
            RepositoryError::MissingParts(missing) => missing.iter().fold(
                Refusal::new(Code::ManifestBlobUnknown),
                |refusal, digest| refusal.detail(digest.to_string()),
            ),
            RepositoryError::Quota(limit) => Refusal::new(Code::Denied).message(format!(
                "the repository's quota of {limit} bytes is used up"
            )),
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Refusal {
        let refusal = Refusal::new(Code::SizeInvalid).detail(error.to_string());
        match error {
            BodyError::Broken => refusal,
            BodyError::Slow => refusal.status(StatusCode::REQUEST_TIMEOUT),
            BodyError::TooLarge(_) => refusal.status(StatusCode::PAYLOAD_TOO_LARGE),
            BodyError::Crowded => Refusal::new(Code::Unavailable).detail(error.to_string()),
        }
    }
}

impl From<tokio::task::JoinError> for Refusal {
    fn from(error: tokio::task::JoinError) -> Refusal {
        internal(&error)
    }
}
