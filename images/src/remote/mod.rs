//! What other registries are asked, and how: the OCI distribution protocol from the client's side.
//!
//! ```text
//!   Remote (settings) ──► endpoints of a name ──► Connection (one endpoint, authorised)
//!      login, search          mirrors, https, http     manifests, blobs, uploads
//! ```
//!
//! [`Remote`] knows how registries are reached; `pull` and `push` beside this folder know what to
//! ask them for. A registry is hostile: headers, documents and tokens have limits, blobs their
//! stated sizes, and nothing counts before its digest was compared. Errors have dockerd's words.
//!
//! | file | does |
//! |---|---|
//! | `settings`, `endpoint`, `tls` | where a name leads, and what is trusted there |
//! | `challenge`, `token`, `authority` | what a registry wants to see, and how to get it |
//! | `wire`, `connection` | one request as it goes out; authorised, redirected, retried |
//! | `manifests`, `download`, `upload` | the protocol's objects |
//! | `login`, `search` | what is not about images |
//! | `upstream` | all of it for who passes it on: a cache |

mod authority;
mod cancel;
mod challenge;
mod connection;
mod credentials;
mod download;
mod endpoint;
mod error;
mod fetch;
mod login;
mod manifests;
mod search;
mod settings;
mod tls;
mod token;
mod upload;
mod upstream;
#[cfg(test)]
mod upstream_tests;
mod wire;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
pub(crate) mod peer;
#[cfg(test)]
mod tests;

pub use cancel::Cancel;
pub(crate) use connection::{Connection, Scope};
pub use credentials::Credentials;
pub(crate) use endpoint::{Endpoint, Purpose};
pub use error::{Complaint, RemoteError};
pub use fetch::{FetchError, Fetched as FetchedFile, fetch};
pub use login::Login;
pub use manifests::Described;
pub(crate) use manifests::Fetched;
pub use search::Hit;
pub use settings::{InsecureRegistry, Mirror, Patience, SettingsError};
pub use upstream::{Trouble, Upstream, UpstreamError, UpstreamManifest, UpstreamTags};

pub(crate) use upload::{Upload, Uploaded};

use std::path::PathBuf;

/// How registries are reached. Clones are the same.
#[derive(Debug, Clone)]
pub struct Remote {
    pub(crate) options: std::sync::Arc<RemoteOptions>,
}

/// What an administrator says about registries.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// May be asked without TLS, or with a certificate that nobody vouches for.
    pub insecure: Vec<InsecureRegistry>,
    /// Asked before Docker Hub.
    pub mirrors: Vec<Mirror>,
    /// Folders with a folder for each `host[:port]`, which holds `*.crt` (authorities to trust
    /// there) and pairs `x.cert`, `x.key` (to show there).
    pub certificates: Vec<PathBuf>,
    pub user_agent: String,
    /// Whether the environment's proxies are used, for all but this machine.
    pub proxies: bool,
    pub patience: Patience,
}

impl Default for RemoteOptions {
    fn default() -> RemoteOptions {
        RemoteOptions {
            insecure: Vec::new(),
            mirrors: Vec::new(),
            certificates: ["/etc/hull/certs.d", "/etc/docker/certs.d"]
                .map(PathBuf::from)
                .into(),
            proxies: true,
            user_agent: concat!("hull/", env!("CARGO_PKG_VERSION")).to_owned(),
            patience: Patience::default(),
        }
    }
}

impl Remote {
    pub fn new(options: RemoteOptions) -> Remote {
        Remote {
            options: options.into(),
        }
    }

    pub fn options(&self) -> &RemoteOptions {
        &self.options
    }
}
