//! Manifests: what a tag stands for, and the documents themselves.

use ureq::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use ureq::http::{Method, StatusCode};

use crate::config::Platform;
use crate::digest::Digest;
use crate::manifest::{self, Index};
use crate::reference::Reference;

use super::wire::{Answer, Call, Payload};
use super::{Connection, Credentials, Remote, RemoteError, Scope};

/// As much as registries take.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A manifest or an index in the bytes that its digest is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

/// What a registry has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    pub platforms: Vec<Platform>,
}

impl Connection {
    /// The digest of a tag's manifest, where the registry says it without sending it all.
    pub(crate) fn tagged(&self, path: &str, tag: &str) -> Result<Option<Digest>, RemoteError> {
        let call = accepting(Method::HEAD, self.url(&format!("{path}/manifests/{tag}")));
        match self.send(&call, &Scope::pull(path)) {
            Ok(answer) if answer.status().is_success() => Ok(content_digest(&answer)),
            // A failure without a body says little: the GET that follows says it in full.
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A manifest by tag or digest. By digest, it is what its digest says.
    pub(crate) fn manifest(&self, path: &str, version: &str) -> Result<Fetched, RemoteError> {
        let call = accepting(
            Method::GET,
            self.url(&format!("{path}/manifests/{version}")),
        );
        let answer = self.ask(&call, &Scope::pull(path))?;
        let stated = answer.header(&CONTENT_TYPE).map(media_type);
        let bytes = answer.bytes(MAX_MANIFEST)?;
        let digest = Digest::of(&bytes);
        if version.contains(':') {
            let wanted: Result<Digest, _> = version.parse();
            if let Some(wanted) = wanted.ok().filter(|wanted| *wanted != digest) {
                return Err(RemoteError::ManifestDigest(wanted));
            }
        }
        // What is hashed counts, not what was said about it on the way.
        let inside = manifest::media_type_of(&bytes);
        let media_type = inside
            .or(stated)
            .unwrap_or_else(|| manifest::OCI_MANIFEST.to_owned());
        Ok(Fetched {
            media_type,
            digest,
            bytes,
        })
    }

    pub(crate) fn put_manifest(
        &self,
        path: &str,
        tag: &str,
        (media_type, bytes): (&str, &[u8]),
    ) -> Result<Digest, RemoteError> {
        let url = self.url(&format!("{path}/manifests/{tag}"));
        let call = Call::new(Method::PUT, url)
            .header(CONTENT_TYPE, media_type)
            .with(Payload::Bytes(bytes));
        let answer = self.ask(&call, &Scope::push(path))?;
        let digest = Digest::of(bytes);
        match content_digest(&answer) {
            Some(other) if other != digest => Err(RemoteError::ManifestDigest(digest)),
            _ => Ok(digest),
        }
    }

    /// All tags of a repository, page after page.
    pub(crate) fn tags(&self, path: &str) -> Result<Vec<String>, RemoteError> {
        /// As many tags as one pull takes.
        const MAX_TAGS: usize = 10_000;
        const MAX_PAGE: u64 = 4 << 20;
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut url = self.url(&format!("{path}/tags/list"));
        let mut tags: Vec<String> = Vec::new();
        loop {
            let answer = self.ask(&Call::new(Method::GET, url.clone()), &Scope::pull(path))?;
            let next = next_page(&answer, &url);
            let page = answer.bytes(MAX_PAGE)?;
            let page: Page =
                serde_json::from_slice(&page).map_err(|error| RemoteError::Nonsense {
                    url: url.clone(),
                    why: super::error::clean(&error.to_string()),
                })?;
            let before = tags.len();
            tags.extend(page.tags.into_iter().flatten());
            match next {
                Some(next) if tags.len() > before && tags.len() < MAX_TAGS => url = next,
                _ => break,
            }
        }
        tags.truncate(MAX_TAGS);
        Ok(tags)
    }
}

impl Remote {
    /// What a registry has under a name, without fetching the image.
    pub fn describe(
        &self,
        name: &Reference,
        credentials: &Credentials,
    ) -> Result<Described, RemoteError> {
        let name = name.clone().or_latest();
        let path = name.repository().path();
        let version = name.version();
        let domain = name.repository().domain();
        self.on_endpoint(domain, credentials, |connection| {
            let fetched = connection.manifest(path, &version)?;
            let nonsense = |error: serde_json::Error| RemoteError::Nonsense {
                url: connection.url(&format!("{path}/manifests/{version}")),
                why: super::error::clean(&error.to_string()),
            };
            let platforms = match manifest::is_index(&fetched.media_type) {
                true => {
                    let index: Index = serde_json::from_slice(&fetched.bytes).map_err(nonsense)?;
                    let entries = index.manifests.into_iter();
                    entries.filter_map(|entry| entry.platform).collect()
                }
                false => {
                    let read: Result<manifest::Manifest, _> =
                        serde_json::from_slice(&fetched.bytes);
                    let manifest = read.map_err(nonsense)?;
                    let config = connection.document(path, &manifest.config)?;
                    vec![serde_json::from_slice(&config).map_err(nonsense)?]
                }
            };
            Ok(Described {
                size: fetched.bytes.len() as u64,
                media_type: fetched.media_type,
                digest: fetched.digest,
                platforms,
            })
        })
    }

    /// Does something with the first endpoint of a registry that is there.
    pub(crate) fn on_endpoint<T>(
        &self,
        domain: &str,
        credentials: &Credentials,
        mut work: impl FnMut(&Connection) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let cancel = super::Cancel::default();
        let mut failure = None;
        for endpoint in self.endpoints(domain, super::endpoint::Purpose::Pull) {
            match Connection::open(self, &endpoint, credentials, &cancel) {
                Ok(connection) => match work(&connection) {
                    Err(error) if endpoint.mirror => failure = Some(error),
                    done => return done,
                },
                Err(error) => failure = Some(error),
            }
        }
        // There is an endpoint for every name.
        Err(failure.unwrap_or(RemoteError::Status(StatusCode::NOT_FOUND)))
    }
}

pub(super) fn accepting(method: Method, url: String) -> Call<'static> {
    let types = manifest::READABLE.iter();
    types.fold(Call::new(method, url), |call, one| {
        call.header(ACCEPT, *one)
    })
}

pub(super) fn content_digest(answer: &Answer) -> Option<Digest> {
    answer.header(&CONTENT_DIGEST)?.parse().ok()
}

fn media_type(header: &str) -> String {
    let name = header.split(';').next().unwrap_or_default();
    name.trim().to_owned()
}

/// `Link: <…>; rel="next"`, on the same host.
pub(super) fn next_page(answer: &Answer, url: &str) -> Option<String> {
    let link = answer.header(&ureq::http::header::LINK)?;
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    if !rest.contains("next") || !target.starts_with('/') && !target.starts_with('?') {
        return None;
    }
    let (scheme, after) = url.split_once("://")?;
    let (host, path) = after.split_once('/')?;
    match target.strip_prefix('?') {
        Some(query) => {
            let path = path.split('?').next().unwrap_or_default();
            Some(format!("{scheme}://{host}/{path}?{query}"))
        }
        None => Some(format!("{scheme}://{host}{target}")),
    }
}
