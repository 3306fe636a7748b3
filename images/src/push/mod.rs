//! Pushes images to registries.
//!
//! ```text
//!   names ─► image ─► its manifest (every image has one) ─► plain layers compressed ─► layers, five
//!   at a time: is it there, mount it from a neighbour, or send it ─► configuration ─► manifest
//!   under the tag ─► remember
//! ```
//!
//! What is pushed is pinned by a lease first: an image that is removed meanwhile still goes out
//! whole, or says that it is gone before anything was sent.

mod compress;
mod layers;
#[cfg(test)]
mod tests;

use rusqlite::TransactionBehavior;

use crate::config::Platform;
use crate::digest::{Digest, ImageId};
use crate::error::StoreError;
use crate::hold::Held;
use crate::lease::Lease;
use crate::manifest::{Descriptor, OCI_MANIFEST};
use crate::reference::Reference;
use crate::register;
use crate::remote::{Cancel, Complaint, Connection, Credentials, Purpose, Remote, RemoteError};
use crate::store::Store;
use crate::transfer::{Audience, Transfer};
use compress::Compress;

/// What to push.
#[derive(Debug, Clone)]
pub struct Push {
    /// With a tag, or a repository alone where `all` is said.
    pub name: Reference,
    /// Every tag that the repository has here.
    pub all: bool,
    /// What the images must be for.
    pub platform: Option<Platform>,
    pub credentials: Credentials,
}

/// A tag that has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    pub image: ImageId,
    pub name: Reference,
    pub digest: Digest,
    /// Of its manifest.
    pub size: u64,
}

/// Why something was not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("An image does not exist locally with the tag: {0}")]
    NoRepository(String),
    #[error("tag does not exist: {0}")]
    NoTag(String),
    #[error("No such image: {0}")]
    NoImage(String),
    #[error(
        "image with reference {name} was found but does not provide the specified platform ({platform})"
    )]
    Platform { name: String, platform: Platform },
    #[error("cannot push a digest reference")]
    Digest,
    #[error("{0}")]
    Refused(Complaint),
    #[error("no basic auth credentials")]
    NoCredentials,
    #[error("the image's manifest cannot be made anew: {0}")]
    Manifest(#[source] serde_json::Error),
    #[error("blob {0} of the image is missing in the store: load or pull the image again")]
    Missing(Digest),
    #[error("blob {0} of the image is damaged in the store: load or pull the image again")]
    Damaged(Digest),
    #[error(transparent)]
    Remote(RemoteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RemoteError> for PushError {
    fn from(error: RemoteError) -> PushError {
        match error {
            RemoteError::Store(error) => PushError::Store(error),
            RemoteError::Refused(complaint) => PushError::Refused(complaint),
            RemoteError::NoCredentials { .. } => PushError::NoCredentials,
            error => PushError::Remote(error),
        }
    }
}

/// A name and the image that it stands for.
struct Item {
    name: Reference,
    tag: String,
    image: ImageId,
}

impl Store {
    /// Pushes what `push` names. Ends early when `cancel` says so.
    pub fn push(
        &self,
        remote: &Remote,
        push: &Push,
        (audience, cancel): (Audience<'_>, &Cancel),
    ) -> Result<Vec<Pushed>, PushError> {
        let repository = push.name.repository();
        if push.name.digest().is_some() {
            return Err(PushError::Digest);
        }
        if let Some(platform) = &push.platform {
            self.check_platform(push, platform)?;
        }
        audience(Transfer::Pushing {
            repository: repository.to_string(),
        });
        let items = self.items(push)?;
        let mut failure = None;
        for endpoint in remote.endpoints(repository.domain(), Purpose::Push) {
            let connection = match Connection::open(remote, &endpoint, &push.credentials, cancel) {
                Ok(connection) => connection,
                Err(RemoteError::Cancelled) => return Err(RemoteError::Cancelled.into()),
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let one = |item| self.push_one(&connection, item, audience);
            return items.iter().map(one).collect();
        }
        // There is an endpoint for every name.
        Err(failure.unwrap_or(RemoteError::Cancelled).into())
    }

    fn items(&self, push: &Push) -> Result<Vec<Item>, PushError> {
        let repository = push.name.repository();
        let tags = crate::find::tags_of(&self.inner.database(), repository)?;
        if tags.is_empty() {
            return Err(PushError::NoRepository(repository.familiar()));
        }
        let wanted = push.name.clone().or_latest();
        let items: Vec<Item> = tags
            .into_iter()
            .filter(|(name, _)| push.all || wanted == *name)
            .filter_map(|(name, image)| {
                let tag = name.tag()?.to_owned();
                Some(Item { name, tag, image })
            })
            .collect();
        match items.is_empty() {
            true => Err(PushError::NoTag(wanted.familiar())),
            false => Ok(items),
        }
    }

    /// Refuses images for another platform, before anything is said: as dockerd, which looks for
    /// the image first if a platform is named.
    fn check_platform(&self, push: &Push, platform: &Platform) -> Result<(), PushError> {
        let items = self.items(push).map_err(|error| match error {
            PushError::NoRepository(_) | PushError::NoTag(_) => {
                PushError::NoImage(push.name.clone().or_latest().familiar())
            }
            error => error,
        })?;
        for item in items {
            if !self.image(&item.image)?.config.platform.provides(platform) {
                return Err(PushError::Platform {
                    name: item.name.to_string(),
                    platform: platform.clone(),
                });
            }
        }
        Ok(())
    }

    fn push_one(
        &self,
        connection: &Connection,
        item: &Item,
        audience: Audience<'_>,
    ) -> Result<Pushed, PushError> {
        let lease = Lease::new(&self.inner)?;
        let compress = Compress {
            lease: &lease,
            audience,
            cancel: connection.cancel(),
        };
        let parts = compress.image(self.held(&lease, &item.image)?)?;
        let layers = parts.image.layers.iter();
        let diffs: Vec<_> = layers.map(|layer| layer.diff).collect();
        let path = item.name.repository().path();
        let sources = self
            .inner
            .elsewhere(item.name.repository(), &parts.manifest.layers)?;
        layers::send(&layers::Send {
            store: &self.inner,
            connection,
            path,
            layers: &parts.manifest.layers,
            diffs: &diffs,
            sources: &sources,
            audience,
        })?;
        layers::send_blob(&self.inner, connection, path, &parts.manifest.config)?;
        let media_type = match parts.manifest.media_type.as_str() {
            "" => OCI_MANIFEST,
            media_type => media_type,
        };
        let digest = connection.put_manifest(path, &item.tag, (media_type, &parts.bytes))?;
        self.remember(&item.image, &item.name.repository().with_digest(digest))?;
        let size = parts.bytes.len() as u64;
        audience(Transfer::Pushed {
            tag: item.tag.clone(),
            digest: *parts.digest(),
            size,
        });
        Ok(Pushed {
            image: item.image,
            name: item.name.clone(),
            digest,
            size,
        })
    }

    /// The image, of which everything is here and stays until the lease ends.
    fn held(&self, lease: &Lease, id: &ImageId) -> Result<Held, PushError> {
        let held = lease.hold(id)?;
        for blob in held.manifest.layers.iter().chain([&held.manifest.config]) {
            if !self.inner.layout.blob(&blob.digest).exists() {
                return Err(PushError::Missing(blob.digest));
            }
        }
        Ok(held)
    }

    /// Notes that a registry has the image under this digest. An image that was removed while it
    /// went out is not here to note it of.
    fn remember(&self, image: &ImageId, name: &Reference) -> Result<(), StoreError> {
        let mut db = self.inner.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if crate::find::exists(&tx, image)? {
            register::tag(&tx, image, name)?;
        }
        tx.commit()?;
        Ok(())
    }
}

/// For each layer the path of another repository of the same registry that has it, if one has.
type Sources = Vec<Option<String>>;

impl crate::store::Inner {
    fn elsewhere(
        &self,
        target: &crate::reference::Repository,
        layers: &[Descriptor],
    ) -> Result<Sources, StoreError> {
        let db = self.database();
        let mut statement = db.prepare(
            "SELECT DISTINCT repository FROM repo_digests JOIN image_blobs USING (image)
             WHERE blob = ?1 AND repository <> ?2 ORDER BY repository",
        )?;
        let mut found = Vec::new();
        for layer in layers {
            let known: Vec<String> = statement
                .query_map([layer.digest.to_string(), target.to_string()], |row| {
                    row.get(0)
                })?
                .collect::<Result<_, _>>()?;
            let mut near = known.iter().filter_map(|text| {
                let rest = text.strip_prefix(target.domain())?;
                rest.strip_prefix('/').map(str::to_owned)
            });
            found.push(near.next());
        }
        Ok(found)
    }
}
