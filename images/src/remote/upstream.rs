//! Another registry, asked for whatever somebody else wants of it: what a cache is a cache of.
//!
//! One connection serves many requests, for it holds sockets and tokens. It is made anew after
//! some use, so that tokens of a thousand repositories do not gather and credentials that were
//! written anew are read; and after a failure, so that an upstream that was away is found again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use ureq::http::Method;
use ureq::http::header::{CONTENT_LENGTH, LINK};

use crate::digest::Digest;
use crate::manifest::is_index;
use crate::repositories::{ContentDigest, Referrer};

use super::connection::checked;
use super::manifests::{MAX_MANIFEST, accepting, content_digest, next_page};
use super::settings::{Mirror, SettingsError};
use super::wire::Call;
use super::{Cancel, Connection, Credentials, Endpoint, Remote, RemoteError, Scope};

/// Requests on one connection.
const USES: u32 = 1000;
/// Of a file with credentials.
const MAX_CREDENTIALS: u64 = 64 << 10;
/// Pages of referrers that are read.
const MAX_PAGES: usize = 16;

/// A registry that is asked on others' behalf.
pub struct Upstream {
    remote: Remote,
    endpoint: Endpoint,
    credentials: Option<PathBuf>,
    cancel: Cancel,
    current: Mutex<Option<Used>>,
}

struct Used {
    connection: Arc<Connection>,
    left: u32,
}

/// Why there is no such upstream, or nothing from it.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("upstream {0:?} is not http://HOST or https://HOST")]
    Address(String),
    #[error("upstream {0} is not asked without TLS unless it is said to be insecure")]
    Plain(String),
    #[error("cannot read {}: {source}", path.display())]
    Credentials { path: PathBuf, source: io::Error },
    #[error("{} does not hold user:password", .0.display())]
    CredentialsForm(PathBuf),
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// What a failure means for who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The upstream does not have it.
    Missing,
    /// The upstream does not let us.
    Refused,
    /// Asked too often; when to ask again, if it said so.
    Busy(Option<Duration>),
    /// No answer, or that it cannot now.
    Away,
    /// An answer that cannot be.
    Nonsense,
}

impl UpstreamError {
    pub fn trouble(&self) -> Trouble {
        let UpstreamError::Remote(error) = self else {
            return Trouble::Refused;
        };
        let status = match error {
            RemoteError::NoCredentials { .. } | RemoteError::NoToken { .. } => 401,
            RemoteError::Refused(complaint) => complaint.status,
            RemoteError::Status(status) => status.as_u16(),
            RemoteError::Nonsense { .. }
            | RemoteError::TooLong { .. }
            | RemoteError::ManifestDigest(_)
            | RemoteError::BlobDigest(_)
            | RemoteError::BlobSize { .. } => return Trouble::Nonsense,
            _ => 0,
        };
        match status {
            404 => Trouble::Missing,
            401 | 403 => Trouble::Refused,
            429 => Trouble::Busy(error.later()),
            _ => Trouble::Away,
        }
    }
}

/// A manifest of an upstream. By digest, it is what its digest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamManifest {
    pub media_type: String,
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

/// Part of an upstream's list of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTags {
    pub items: Vec<String>,
    pub more: bool,
}

impl Upstream {
    /// The registry at `url`, with the name and password in a file, if it wants such.
    pub fn new(
        remote: Remote,
        url: &str,
        credentials: Option<&Path>,
    ) -> Result<Upstream, UpstreamError> {
        let mirror: Result<Mirror, SettingsError> = url.parse();
        let mirror = mirror.map_err(|_| UpstreamError::Address(url.to_owned()))?;
        let insecure = remote.is_insecure(mirror.host());
        if !mirror.is_secure() && !insecure {
            return Err(UpstreamError::Plain(url.to_owned()));
        }
        let upstream = Upstream {
            endpoint: Endpoint {
                base: mirror.base().to_owned(),
                host: mirror.host().to_owned(),
                verified: mirror.is_secure() && !insecure,
                mirror: false,
            },
            remote,
            credentials: credentials.map(Path::to_owned),
            cancel: Cancel::default(),
            current: Mutex::default(),
        };
        // Better told at the start than at the first pull.
        upstream.credentials()?;
        Ok(upstream)
    }

    /// Its address, without a slash at the end.
    pub fn address(&self) -> &str {
        &self.endpoint.base
    }

    /// Ends whatever is asked now, and lets nothing more be asked.
    pub fn close(&self) {
        self.cancel.cancel();
    }

    /// The digest of a tag's manifest; `None` where the upstream does not say it by itself. Asked
    /// once: who asks has something to go on with.
    pub fn tagged(&self, path: &str, tag: &str) -> Result<Option<Digest>, UpstreamError> {
        self.on(|connection| {
            let url = connection.url(&format!("{path}/manifests/{tag}"));
            let answer = connection.send(&accepting(Method::HEAD, url), &Scope::pull(path))?;
            match answer.status().as_u16() {
                // Some do not take HEAD.
                405 | 501 => Ok(None),
                _ => Ok(content_digest(&checked(answer)?)),
            }
        })
    }

    /// A manifest by tag or digest.
    pub fn manifest(&self, path: &str, version: &str) -> Result<UpstreamManifest, UpstreamError> {
        self.on(|connection| {
            let fetched = connection.manifest(path, version)?;
            Ok(UpstreamManifest {
                media_type: fetched.media_type,
                digest: fetched.digest,
                bytes: fetched.bytes,
            })
        })
    }

    /// How large a blob is.
    pub fn blob_size(&self, path: &str, digest: &Digest) -> Result<u64, UpstreamError> {
        self.on(|connection| {
            let url = connection.url(&format!("{path}/blobs/{digest}"));
            let call = Call::new(Method::HEAD, url.clone());
            let answer = connection.ask(&call, &Scope::pull(path))?;
            let length = answer.header(&CONTENT_LENGTH);
            length
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| no_length(url))
        })
    }

    /// A blob, piece by piece. `begin` is told how long it will be, and gives who takes the pieces.
    /// What the pieces are a digest of is the taker's to check.
    pub fn blob<T, E: From<UpstreamError>>(
        &self,
        path: &str,
        digest: &Digest,
        begin: impl FnOnce(u64) -> Result<T, E>,
        mut piece: impl FnMut(&mut T, &[u8]) -> Result<(), E>,
    ) -> Result<T, E> {
        let connection = self.connection()?;
        let failed = |error: RemoteError| {
            self.failed(&connection, &error);
            E::from(error.into())
        };
        let mut download = connection.download_all(path, *digest).map_err(failed)?;
        let mut taker = begin(download.size())?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = download.read(&mut buffer, &mut |_| {}).map_err(failed)?;
            match buffer.get(..count).filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => piece(&mut taker, bytes)?,
                None => return Ok(taker),
            }
        }
    }

    /// Tags after `last`, as many as `limit`.
    pub fn tags(
        &self,
        path: &str,
        last: Option<&str>,
        limit: usize,
    ) -> Result<UpstreamTags, UpstreamError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("n", &limit.to_string());
        if let Some(last) = last {
            query.append_pair("last", last);
        }
        let query = query.finish();
        self.on(|connection| {
            let url = connection.url(&format!("{path}/tags/list?{query}"));
            let answer = connection.ask(&Call::new(Method::GET, &*url), &Scope::pull(path))?;
            let goes_on = answer.headers().contains_key(LINK);
            let page: Page = parse(&url, &answer.bytes(MAX_MANIFEST)?)?;
            Ok(cut(page.tags.unwrap_or_default(), last, limit, goes_on))
        })
    }

    /// What says that it is about a manifest: by the API for that, or by the tag that clients keep
    /// where there is none.
    pub fn referrers(&self, path: &str, digest: &Digest) -> Result<Vec<Referrer>, UpstreamError> {
        self.on(|connection| {
            let mut url = connection.url(&format!("{path}/referrers/{digest}"));
            let mut found = Vec::new();
            for _ in 0..MAX_PAGES {
                let call = Call::new(Method::GET, &*url);
                let answer = match connection.ask(&call, &Scope::pull(path)) {
                    Err(error) if is_missing(&error) => return fallback(connection, path, digest),
                    answer => answer?,
                };
                let next = next_page(&answer, &url);
                found.extend(parse::<Listed>(&url, &answer.bytes(MAX_MANIFEST)?)?.referrers());
                match next {
                    Some(next) => url = next,
                    None => break,
                }
            }
            Ok(found)
        })
    }

    fn on<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, RemoteError>,
    ) -> Result<T, UpstreamError> {
        let connection = self.connection()?;
        work(&connection).map_err(|error| {
            self.failed(&connection, &error);
            error.into()
        })
    }

    fn connection(&self) -> Result<Arc<Connection>, UpstreamError> {
        if let Some(used) = self.current().as_mut()
            && let Some(left) = used.left.checked_sub(1)
        {
            used.left = left;
            return Ok(used.connection.clone());
        }
        // Not under the lock: this waits for the upstream.
        let credentials = self.credentials()?;
        let opened = Connection::open(&self.remote, &self.endpoint, &credentials, &self.cancel)?;
        let connection = Arc::new(opened);
        *self.current() = Some(Used {
            connection: connection.clone(),
            left: USES,
        });
        Ok(connection)
    }

    /// A connection that failed is not used again.
    fn failed(&self, connection: &Arc<Connection>, error: &RemoteError) {
        if is_missing(error) {
            return;
        }
        let mut current = self.current();
        let same = |used: &Used| Arc::ptr_eq(&used.connection, connection);
        if current.as_ref().is_some_and(same) {
            *current = None;
        }
    }

    fn credentials(&self) -> Result<Credentials, UpstreamError> {
        let Some(path) = &self.credentials else {
            return Ok(Credentials::default());
        };
        let failed = |source| UpstreamError::Credentials {
            path: path.clone(),
            source,
        };
        let size = fs::metadata(path).map_err(failed)?.len();
        let form = || UpstreamError::CredentialsForm(path.clone());
        if size > MAX_CREDENTIALS {
            return Err(form());
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let pair = text.trim_end_matches(['\r', '\n']).split_once(':');
        match pair {
            Some((user, password)) if !user.is_empty() && !password.contains('\n') => {
                Ok(Credentials {
                    username: user.to_owned(),
                    password: password.to_owned(),
                    ..Credentials::default()
                })
            }
            _ => Err(form()),
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Used>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

pub(super) fn no_length(url: String) -> RemoteError {
    RemoteError::Nonsense {
        url,
        why: "it does not say how long the blob is".to_owned(),
    }
}

fn is_missing(error: &RemoteError) -> bool {
    match error {
        RemoteError::Refused(complaint) => complaint.status == 404,
        RemoteError::Status(status) => status.as_u16() == 404,
        _ => false,
    }
}

fn parse<T: for<'de> Deserialize<'de>>(url: &str, bytes: &[u8]) -> Result<T, RemoteError> {
    serde_json::from_slice(bytes).map_err(|error| RemoteError::Nonsense {
        url: url.to_owned(),
        why: super::error::clean(&error.to_string()),
    })
}

/// A page of what came. Who sends more than was asked for knows no pages.
fn cut(mut items: Vec<String>, last: Option<&str>, limit: usize, goes_on: bool) -> UpstreamTags {
    if items.len() > limit {
        items.sort_unstable();
        items.retain(|item| last.is_none_or(|last| item.as_str() > last));
    }
    let more = goes_on || items.len() > limit;
    items.truncate(limit);
    UpstreamTags { items, more }
}

/// An index of referrers.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Option<Map<String, Value>>,
}

impl Listed {
    /// Those of which the digest is one.
    fn referrers(self) -> impl Iterator<Item = Referrer> {
        self.manifests.into_iter().filter_map(|entry| {
            let digest: ContentDigest = entry.digest.parse().ok()?;
            Some(Referrer {
                digest,
                media_type: entry.media_type,
                size: entry.size,
                artifact_type: entry.artifact_type,
                annotations: entry.annotations.map(|map| Value::Object(map).to_string()),
            })
        })
    }
}

fn fallback(
    connection: &Connection,
    path: &str,
    digest: &Digest,
) -> Result<Vec<Referrer>, RemoteError> {
    let tag = digest.to_string().replace(':', "-");
    match connection.manifest(path, &tag) {
        Ok(found) if is_index(&found.media_type) => {
            let listed: Listed = parse(&connection.url(path), &found.bytes)?;
            Ok(listed.referrers().collect())
        }
        Ok(_) => Ok(Vec::new()),
        Err(error) if is_missing(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
