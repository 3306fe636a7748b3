//! Pulls images from registries.
//!
//! ```text
//!   endpoints ─► HEAD tag ─► manifest ─► index? the platform's manifest ─► configuration
//!                  │ known and tagged so: up to date          │ known: tag it
//!                  └───────────────────────────────┐          └─► layers, three at a time, each
//!                                                  ▼              unpacked in its turn ─► register
//! ```
//!
//! A pull is like a load: everything is spooled under a lease and checked against its digest
//! before it counts, and an image has its names last. Nothing stays of a pull that ends early.

mod layers;
mod select;
#[cfg(test)]
mod tests;

use crate::config::{ImageConfig, Platform};
use crate::digest::{Digest, ImageId};
use crate::error::StoreError;
use crate::layers::LayerError;
use crate::lease::Lease;
use crate::manifest::Manifest;
use crate::reference::{Reference, ReferenceError};
use crate::register::{Draft, ImageError, read_config};
use crate::remote::{Cancel, Complaint, Connection, Credentials, Purpose, Remote, RemoteError};
use crate::store::Store;
use crate::transfer::{Audience, Transfer};

/// What to pull.
#[derive(Debug, Clone)]
pub struct Pull {
    /// A tag, a digest, or a repository alone where `all` is said.
    pub name: Reference,
    /// Every tag of the repository.
    pub all: bool,
    /// Of an image for several; this machine's where none is said.
    pub platform: Option<Platform>,
    pub credentials: Credentials,
}

/// An image that came, or was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    pub image: ImageId,
    /// With its tag, or with its digest where it was asked for by that.
    pub name: Reference,
    /// Of the manifest or index that the name stands for.
    pub digest: Digest,
    /// The name stands for another image than before.
    pub newer: bool,
    pub platform: Platform,
}

/// Why nothing was pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error("manifest for {name} not found: {complaint}")]
    NoManifest { name: String, complaint: Complaint },
    #[error("repository {name} not found: {complaint}")]
    NoRepository { name: String, complaint: Complaint },
    #[error(
        "pull access denied for {name}, repository does not exist or may require 'docker login': {complaint}"
    )]
    Denied { name: String, complaint: Complaint },
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(Platform),
    #[error("unsupported media type {0}")]
    MediaType(String),
    #[error(
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 are not supported: suggest the author of {0} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2"
    )]
    Schema1(String),
    #[error("invalid manifest: {0}")]
    Manifest(#[source] serde_json::Error),
    #[error("layer {digest} is said to have {size} bytes, which is more than {limit}")]
    TooLarge {
        digest: Digest,
        size: u64,
        limit: u64,
    },
    #[error("invalid tag {tag:?} in the registry's list: {source}")]
    Tag { tag: String, source: ReferenceError },
    #[error(transparent)]
    Remote(RemoteError),
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl From<StoreError> for PullError {
    fn from(error: StoreError) -> PullError {
        PullError::Image(ImageError::Layer(LayerError::Store(error)))
    }
}

impl From<LayerError> for PullError {
    fn from(error: LayerError) -> PullError {
        PullError::Image(error.into())
    }
}

impl From<RemoteError> for PullError {
    fn from(error: RemoteError) -> PullError {
        match error {
            RemoteError::Store(error) => error.into(),
            error => PullError::Remote(error),
        }
    }
}

impl Store {
    /// Pulls what `pull` names. Ends early when `cancel` says so.
    pub fn pull(
        &self,
        remote: &Remote,
        pull: &Pull,
        (audience, cancel): (Audience<'_>, &Cancel),
    ) -> Result<Vec<Pulled>, PullError> {
        let repository = pull.name.repository();
        let mut failure: Option<PullError> = None;
        for endpoint in remote.endpoints(repository.domain(), Purpose::Pull) {
            let opened = Connection::open(remote, &endpoint, &pull.credentials, cancel);
            let connection = match opened {
                Ok(connection) => connection,
                Err(RemoteError::Cancelled) => return Err(RemoteError::Cancelled.into()),
                Err(error) => {
                    failure = Some(error.into());
                    continue;
                }
            };
            let puller = Puller {
                store: self,
                connection: &connection,
                pull,
                audience,
            };
            match puller.run() {
                Err(PullError::Remote(error)) if connection.endpoint().mirror => {
                    tracing::info!(%error, mirror = endpoint.base, "not from this mirror");
                    failure = Some(PullError::Remote(error));
                }
                Err(error) => return Err(worded(error, &pull.name)),
                done => return done,
            }
        }
        // There is an endpoint for every name.
        Err(failure.map_or_else(
            || RemoteError::Cancelled.into(),
            |error| worded(error, &pull.name),
        ))
    }
}

/// One pull from one endpoint.
struct Puller<'a> {
    store: &'a Store,
    connection: &'a Connection,
    pull: &'a Pull,
    audience: Audience<'a>,
}

/// A manifest of an image, with the digest of what the name stands for.
struct Chosen {
    /// Of the index, where there is one.
    digest: Digest,
    manifest: Manifest,
    bytes: Vec<u8>,
}

impl Puller<'_> {
    fn run(&self) -> Result<Vec<Pulled>, PullError> {
        let name = &self.pull.name;
        let mut pulled = Vec::new();
        if self.pull.all {
            for tag in self.connection.tags(name.repository().path())? {
                let tagged = name.repository().with_tag(&tag);
                let tagged = tagged.map_err(|source| PullError::Tag { tag, source })?;
                pulled.push(self.one(&tagged)?);
            }
        } else {
            pulled.push(self.one(&name.clone().or_latest())?);
        }
        (self.audience)(Transfer::Status {
            name: match self.pull.all {
                true => name.clone(),
                false => name.clone().or_latest(),
            },
            newer: pulled.iter().any(|pulled| pulled.newer),
        });
        Ok(pulled)
    }

    fn one(&self, name: &Reference) -> Result<Pulled, PullError> {
        let path = name.repository().path();
        let version = name.version();
        // Where the registry says the digest first, the manifest that follows is checked by it.
        let digest = match name.digest() {
            Some(digest) => Some(*digest),
            None => self.connection.tagged(path, &version)?,
        };
        let exact = digest.map_or_else(|| version.clone(), |digest| digest.to_string());
        let fetched = self.connection.manifest(path, &exact);
        // By digest, a registry complains of the digest: people asked for the tag.
        let fetched = match fetched {
            Err(RemoteError::Refused(_)) if name.digest().is_none() => {
                self.connection.manifest(path, &version)?
            }
            fetched => fetched?,
        };
        (self.audience)(Transfer::Pulling {
            version,
            path: path.to_owned(),
        });
        let chosen = self.choose(name, fetched)?;
        let config = self.connection.document(path, &chosen.manifest.config)?;
        let parsed = read_config(&config, chosen.manifest.layers.len())?;
        let named = match name.digest() {
            Some(_) => name.repository().with_digest(chosen.digest),
            None => name.clone().and_digest(chosen.digest),
        };
        let before = crate::find::named(&self.store.inner.database(), name)?;
        let image = ImageId(chosen.manifest.config.digest);
        let digest = chosen.digest;
        match self.store.tag(&image, &named) {
            Ok(_) => {}
            // Not here, or not any more.
            Err(StoreError::Gone(_)) => {
                self.add(chosen, config, (&parsed, &named))?;
            }
            Err(error) => return Err(error.into()),
        }
        (self.audience)(Transfer::Pulled(digest));
        Ok(Pulled {
            image,
            name: name.clone(),
            digest,
            newer: before != Some(image),
            platform: parsed.platform,
        })
    }

    /// Fetches an image's layers and registers it with its name.
    fn add(
        &self,
        chosen: Chosen,
        config: Vec<u8>,
        (parsed, name): (&ImageConfig, &Reference),
    ) -> Result<(), PullError> {
        let lease = Lease::new(&self.store.inner)?;
        let path = self.pull.name.repository().path();
        let layers = layers::fetch(&layers::Fetch {
            lease: &lease,
            connection: self.connection,
            path,
            layers: &chosen.manifest.layers,
            diffs: &parsed.rootfs.diff_ids,
            audience: self.audience,
        })?;
        let draft = Draft {
            config,
            manifest: chosen.bytes,
            layers,
            parent: None,
        };
        lease.register(&draft, std::slice::from_ref(name), &mut |_| {})?;
        Ok(())
    }
}

/// A registry's complaint as dockerd words it for a pull.
fn worded(error: PullError, name: &Reference) -> PullError {
    let PullError::Remote(RemoteError::Refused(complaint)) = error else {
        return error;
    };
    let repository = || name.repository().familiar();
    match complaint.code.as_str() {
        "DENIED" => PullError::Denied {
            name: repository(),
            complaint,
        },
        "MANIFEST_UNKNOWN" => PullError::NoManifest {
            name: name.clone().or_latest().familiar(),
            complaint,
        },
        "NAME_UNKNOWN" => PullError::NoRepository {
            name: repository(),
            complaint,
        },
        _ => PullError::Remote(RemoteError::Refused(complaint)),
    }
}
