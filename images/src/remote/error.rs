//! What a registry can answer instead of what it was asked for, in dockerd's words.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::digest::Digest;
use crate::error::StoreError;

/// Why a registry did not give, or did not take.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No answer. `Get "https://x/v2/": dial tcp 192.0.2.1:443: connect: connection refused`.
    #[error("{method} {url:?}: {cause}")]
    Unreachable {
        method: &'static str,
        url: String,
        cause: String,
    },
    /// It wants a name and a password, and there are none.
    #[error("{method} {url:?}: no basic auth credentials")]
    NoCredentials { method: &'static str, url: String },
    #[error("{0}")]
    Refused(Complaint),
    /// The server of tokens refuses.
    #[error("{method} {url:?}: {complaint}")]
    NoToken {
        method: &'static str,
        url: String,
        complaint: Complaint,
    },
    #[error("received unexpected HTTP status: {0}")]
    Status(ureq::http::StatusCode),
    #[error("login attempt to {url} failed with status: {status}")]
    Login {
        url: String,
        status: ureq::http::StatusCode,
    },
    #[error("{url}: the answer makes no sense: {why}")]
    Nonsense { url: String, why: String },
    #[error("{url}: the answer is longer than {limit} bytes")]
    TooLong { url: String, limit: u64 },
    #[error("manifest verification failed for digest {0}")]
    ManifestDigest(Digest),
    #[error("filesystem layer verification failed for digest {0}")]
    BlobDigest(Digest),
    #[error("blob {digest} has another size than the manifest says: expected {expected} bytes")]
    BlobSize { digest: Digest, expected: u64 },
    #[error("cannot read the certificates for {host}: {why}")]
    Certificates { host: String, why: String },
    #[error("context canceled")]
    Cancelled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a registry says is wrong: the first of its errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub status: u16,
    /// `MANIFEST_UNKNOWN`
    pub code: String,
    pub message: String,
    /// `Retry-After`
    pub later: Option<Duration>,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.to_lowercase().replace('_', " ");
        match self.message.as_str() {
            "" => write!(f, "{code}: {code}"),
            message => write!(f, "{code}: {message}"),
        }
    }
}

impl Complaint {
    /// Reads the body of a failure; `None` where it holds no registry's error.
    pub(crate) fn read(status: u16, body: &[u8]) -> Option<Complaint> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            errors: Vec<Entry>,
            /// Other servers' form.
            #[serde(default)]
            details: String,
        }
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let body: Option<Body> = serde_json::from_slice(body).ok();
        let first = body.as_ref().and_then(|body| body.errors.first());
        let details = body.as_ref().map(|body| body.details.clone());
        let (code, message) = match (first, status) {
            (Some(entry), _) => (clean(&entry.code), clean(&entry.message)),
            (None, 401) => (
                "UNAUTHORIZED".to_owned(),
                details
                    .filter(|text| !text.is_empty())
                    .map_or_else(|| "authentication required".to_owned(), |text| clean(&text)),
            ),
            (None, 429) => (
                "TOOMANYREQUESTS".to_owned(),
                details
                    .filter(|text| !text.is_empty())
                    .map_or_else(|| "too many requests".to_owned(), |text| clean(&text)),
            ),
            _ => return None,
        };
        Some(Complaint {
            status,
            code,
            message,
            later: None,
        })
    }
}

/// A stranger's words for a terminal: short, and without control characters.
pub(crate) fn clean(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(1024).collect()
}

impl RemoteError {
    pub(crate) fn complaint(&self) -> Option<&Complaint> {
        match self {
            RemoteError::Refused(complaint) => Some(complaint),
            _ => None,
        }
    }

    /// Whether the same may work a little later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            RemoteError::Unreachable { .. } => true,
            RemoteError::Status(status) => matches!(status.as_u16(), 408 | 500 | 502..=504),
            RemoteError::Refused(complaint) => {
                matches!(complaint.status, 408 | 429 | 500 | 502..=504)
            }
            _ => false,
        }
    }

    pub(crate) fn later(&self) -> Option<Duration> {
        self.complaint()?.later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_as_dockerd_tells_them() {
        let read = |status, body: &str| {
            Complaint::read(status, body.as_bytes()).map(|complaint| complaint.to_string())
        };
        let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}},{"code":"X"}]}"#;
        assert_eq!(
            read(404, unknown).unwrap(),
            "manifest unknown: manifest unknown"
        );
        assert_eq!(
            read(401, "").unwrap(),
            "unauthorized: authentication required"
        );
        assert_eq!(
            read(429, r#"{"details":"slow\u001b[2J down"}"#).unwrap(),
            "toomanyrequests: slow[2J down"
        );
        assert_eq!(read(404, "<html>"), None);
        assert_eq!(
            read(403, r#"{"errors":[{"code":"DENIED"}]}"#).unwrap(),
            "denied: denied"
        );
    }
}
