//! A cache of another registry: what is asked for is fetched, kept, and given from here.
//!
//! ```text
//!  manifest by tag ────► HEAD upstream: the same ──► from the store
//!                            │ another ──► GET, store, from the store
//!                            └ no answer ──► from the store, with a warning
//!  manifest by digest ─► in the store, or GET once
//!  blob ───────────────► in the store, or downloaded once (`flight`), followed by who asks (`follow`)
//! ```
//!
//! A handler asks the cache to see to it that something is there, and then answers as a registry
//! does. Rights come before: who may not read a repository makes nobody ask for it. Repositories
//! that were pushed here are served as they are, whatever the upstream calls so.

mod failure;
mod flight;
mod follow;
mod settings;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hull_images::Digest;
use hull_images::remote::{Upstream, UpstreamError};
use hull_images::repositories::{
    ContentDigest, Manifest, ManifestKey, NewManifest, Origin, Page, Referrer, Repositories,
    RepositoryError, RepositoryName, Swept, TagName,
};

use crate::http::accept::Accepted;
use crate::manifest::{self, is_index};
use crate::refusal::{Code, Refusal};
use failure::{Failure, nonsense};
use flight::{Flights, Landed};
pub(crate) use follow::{Coming, body};
pub use settings::Cache as Settings;

/// A cache. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstream: Arc<Upstream>,
    repositories: Repositories,
    flights: Flights,
    expire: Duration,
    retry: Duration,
    /// When the upstream last did not answer.
    away: Mutex<Option<Instant>>,
}

/// Whether what is given is what the upstream has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fresh {
    Yes,
    /// It does not answer.
    Unknown,
}

/// A blob that a cache was asked for.
#[derive(Debug)]
pub(crate) enum Blob {
    /// It is in the store.
    Here,
    /// It is not, and its bytes are not wanted.
    Size(u64),
    /// It is on its way.
    Coming(Arc<Coming>),
}

impl Cache {
    /// A cache as it is configured. Copies of another upstream are removed.
    pub(crate) fn new(
        settings: &Settings,
        repositories: Repositories,
    ) -> Result<Cache, CacheError> {
        let credentials = settings.credentials.as_deref();
        let upstream = Upstream::new(settings.remote(), &settings.upstream, credentials)?;
        repositories.forget_others(upstream.address())?;
        let upstream = Arc::new(upstream);
        Ok(Cache(Arc::new(Inner {
            flights: Flights::new(upstream.clone(), repositories.clone()),
            upstream,
            repositories,
            expire: settings.expire,
            retry: settings.retry,
            away: Mutex::default(),
        })))
    }

    /// Lets nothing more be asked.
    pub(crate) fn close(&self) {
        self.0.upstream.close();
    }

    /// Removes what was not used for long. Blocks.
    pub(crate) fn expire(&self) -> Result<Swept, RepositoryError> {
        self.0.repositories.expire(self.0.expire)
    }

    /// Sees to it that a manifest is in the store, with what clients get in its place who do not
    /// read indexes.
    pub(crate) async fn manifest(
        &self,
        name: &RepositoryName,
        key: &ManifestKey,
        accepted: &Accepted,
    ) -> Result<Fresh, Refusal> {
        let (inner, name, key) = (self.0.clone(), name.clone(), key.clone());
        let accepted = accepted.clone();
        let work = move || {
            let fresh = inner.manifest(&name, &key)?;
            let found = inner.local(&name, &key)?;
            if let (Some(found), ManifestKey::Tag(_)) = (found, &key)
                && is_index(&found.media_type)
                && !accepted.takes(&found.media_type)
            {
                let index = inner.repositories.manifest_bytes(&found)?;
                if let Some(digest) = manifest::default_platform(&index) {
                    inner.manifest(&name, &ManifestKey::Digest(digest))?;
                }
            }
            Ok(fresh)
        };
        let done: Result<Fresh, Failure> = tokio::task::spawn_blocking(work).await?;
        done.map_err(|failure| failure.refusal(Code::ManifestUnknown))
    }

    /// Sees to it that a blob, which is not in the store, comes.
    pub(crate) async fn blob(
        &self,
        name: &RepositoryName,
        digest: ContentDigest,
        size_only: bool,
    ) -> Result<Blob, Refusal> {
        let ContentDigest::Sha256(digest) = digest else {
            // The client of registries names content by SHA-256.
            return Err(Refusal::new(Code::BlobUnknown));
        };
        if size_only {
            let (inner, name) = (self.0.clone(), name.clone());
            let size = move || {
                if inner.repositories.origin(&name)? == Origin::Pushed {
                    return Err(Refusal::new(Code::BlobUnknown).into());
                }
                Ok(inner.upstream.blob_size(name.as_str(), &digest)?)
            };
            let size: Result<u64, Failure> = tokio::task::spawn_blocking(size).await?;
            let refused = |failure: Failure| failure.refusal(Code::BlobUnknown);
            return size.map(Blob::Size).map_err(refused);
        }
        match self.0.flights.join(name.clone(), digest).await? {
            Landed::Here => Ok(Blob::Here),
            Landed::Coming(coming) => Ok(Blob::Coming(coming)),
        }
    }

    /// The upstream's tags; `None` where those of the store will have to do.
    pub(crate) async fn tags(
        &self,
        name: &RepositoryName,
        last: Option<String>,
        limit: usize,
    ) -> Result<Option<Page<TagName>>, Refusal> {
        let path = name.as_str().to_owned();
        let asked = self.ask(name, move |upstream| {
            upstream.tags(&path, last.as_deref(), limit.max(1))
        });
        let found = asked
            .await
            .map_err(|failure| failure.refusal(Code::NameUnknown))?;
        Ok(found.filter(|_| limit > 0).map(|tags| Page {
            items: tags
                .items
                .iter()
                .filter_map(|tag| tag.parse().ok())
                .collect(),
            more: tags.more,
        }))
    }

    /// What the upstream has about a manifest; `None` where what is in the store will have to do.
    pub(crate) async fn referrers(
        &self,
        name: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<Option<Vec<Referrer>>, Refusal> {
        let ContentDigest::Sha256(digest) = *digest else {
            return Ok(None);
        };
        let path = name.as_str().to_owned();
        let asked = self.ask(name, move |upstream| upstream.referrers(&path, &digest));
        asked
            .await
            .map_err(|failure| failure.refusal(Code::NameUnknown))
    }

    /// Asks what is not kept. `None` if the upstream does not answer, or is not to be asked.
    async fn ask<T: Send + 'static>(
        &self,
        name: &RepositoryName,
        work: impl FnOnce(&Upstream) -> Result<T, UpstreamError> + Send + 'static,
    ) -> Result<Option<T>, Failure> {
        let (inner, name) = (self.0.clone(), name.clone());
        let work = move || {
            if inner.is_away() || inner.repositories.origin(&name)? == Origin::Pushed {
                return Ok(None);
            }
            match work(&inner.upstream).map_err(Failure::from) {
                Ok(found) => Ok(Some(found)),
                Err(failure) if failure.is_passing() => {
                    inner.note_away(&name, &failure);
                    Ok(None)
                }
                Err(failure) => Err(failure),
            }
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| crate::refusal::internal(&error))?
    }
}

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Store(#[from] RepositoryError),
}

impl Inner {
    fn manifest(&self, name: &RepositoryName, key: &ManifestKey) -> Result<Fresh, Failure> {
        if self.repositories.origin(name)? == Origin::Pushed {
            return Ok(Fresh::Yes);
        }
        let local = self.local(name, key)?;
        match (key, local) {
            (ManifestKey::Digest(_), Some(local)) => {
                self.repositories.used(name, &local.digest)?;
                Ok(Fresh::Yes)
            }
            (ManifestKey::Digest(ContentDigest::Sha256(digest)), None) => {
                self.fetch(name, &digest.to_string(), None)?;
                Ok(Fresh::Yes)
            }
            (ManifestKey::Digest(_), None) => Err(Refusal::new(Code::ManifestUnknown).into()),
            (ManifestKey::Tag(tag), None) => {
                self.fetch(name, tag.as_str(), Some(tag))?;
                Ok(Fresh::Yes)
            }
            (ManifestKey::Tag(tag), Some(local)) => self.freshen(name, tag, &local),
        }
    }

    fn local(
        &self,
        name: &RepositoryName,
        key: &ManifestKey,
    ) -> Result<Option<Manifest>, RepositoryError> {
        match self.repositories.manifest(name, key) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(RepositoryError::NoRepository(_) | RepositoryError::NoManifest(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sees to it that a tag that is here is where it is upstream.
    fn freshen(
        &self,
        name: &RepositoryName,
        tag: &TagName,
        local: &Manifest,
    ) -> Result<Fresh, Failure> {
        if self.is_away() {
            return Ok(Fresh::Unknown);
        }
        match self.follow_tag(name, tag, local) {
            Ok(()) => Ok(Fresh::Yes),
            Err(failure) if failure.is_passing() => {
                self.note_away(name, &failure);
                Ok(Fresh::Unknown)
            }
            Err(failure) if failure.is_missing() => {
                match self.repositories.delete_tag(name, tag) {
                    // Somebody else was told the same.
                    Ok(()) | Err(RepositoryError::NoManifest(_)) => Err(failure),
                    Err(error) => Err(error.into()),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    fn follow_tag(
        &self,
        name: &RepositoryName,
        tag: &TagName,
        local: &Manifest,
    ) -> Result<(), Failure> {
        let told = self.upstream.tagged(name.as_str(), tag.as_str())?;
        if told.is_some_and(|told| local.digest == told.into()) {
            return Ok(self.repositories.used(name, &local.digest)?);
        }
        self.fetch(name, tag.as_str(), Some(tag))
    }

    /// Takes a manifest from the upstream into the store. Its parts come when they are asked for.
    fn fetch(
        &self,
        name: &RepositoryName,
        version: &str,
        tag: Option<&TagName>,
    ) -> Result<(), Failure> {
        let found = self.upstream.manifest(name.as_str(), version)?;
        let parsed = manifest::parse(&found.bytes, Some(&found.media_type)).map_err(|error| {
            tracing::warn!(%name, version, %error, "the upstream's manifest cannot be read");
            nonsense(&error.to_string())
        })?;
        if !self.repositories.copy_from(name, self.upstream.address())? {
            return Ok(());
        }
        let parts = parsed.blobs.into_iter().chain(parsed.foreign);
        let new = NewManifest {
            bytes: &found.bytes,
            digest: Digest::of(&found.bytes).into(),
            media_type: &parsed.media_type,
            tags: tag.map(std::slice::from_ref).unwrap_or_default(),
            blobs: Vec::new(),
            optional: parts.chain(parsed.manifests).collect(),
            manifests: Vec::new(),
            subject: parsed.subject,
            artifact_type: parsed.artifact_type,
            annotations: parsed.annotations,
            pusher: None,
        };
        self.repositories.put_manifest(name, &new, None)?;
        Ok(())
    }

    fn is_away(&self) -> bool {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.is_some_and(|since| since.elapsed() < self.retry)
    }

    /// Once for all that are asked for until the upstream is tried again.
    fn note_away(&self, name: &RepositoryName, failure: &Failure) {
        let upstream = self.upstream.address();
        tracing::warn!(%name, upstream, error = %failure, "the upstream does not answer: copies are given");
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        *away = Some(Instant::now());
    }
}
