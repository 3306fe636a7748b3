//! Makes an image out of its parts: the one way by which images come into being.

use rusqlite::{Transaction, TransactionBehavior, params};

use crate::collect::Collected;
use crate::config::ImageConfig;
use crate::database::column;
use crate::digest::{ChainId, Digest, ImageId};
use crate::error::StoreError;
use crate::fault;
use crate::hold::Held;
use crate::layers::{LayerError, Watcher};
use crate::lease::{Lease, Spooled};
use crate::reference::Reference;
use crate::store::{Inner, now};

/// As many as Docker takes.
pub(crate) const MAX_LAYERS: usize = 127;

/// Why an image is refused.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error("invalid image configuration: {0}")]
    Configuration(#[source] serde_json::Error),
    #[error("invalid image configuration: its root file system is of type {0:?}, not layers")]
    RootFs(String),
    #[error("invalid manifest, layers length mismatch: expected {expected}, got {found}")]
    LayerCount { expected: usize, found: usize },
    #[error("max depth exceeded: an image has at most {MAX_LAYERS} layers")]
    TooManyLayers,
}

impl From<StoreError> for ImageError {
    fn from(error: StoreError) -> ImageError {
        ImageError::Layer(LayerError::Store(error))
    }
}

/// An image that is to be: everything but its names.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    /// Bottom first, as many as the configuration has.
    pub(crate) layers: Vec<Spooled>,
    pub(crate) parent: Option<ImageId>,
}

/// Reads and checks a configuration against the number of layers that came with it.
pub(crate) fn read_config(bytes: &[u8], layers: usize) -> Result<ImageConfig, ImageError> {
    let config: ImageConfig = serde_json::from_slice(bytes).map_err(ImageError::Configuration)?;
    if config.rootfs.kind != "layers" {
        return Err(ImageError::RootFs(config.rootfs.kind));
    }
    let expected = config.rootfs.diff_ids.len();
    if expected != layers {
        let found = layers;
        return Err(ImageError::LayerCount { expected, found });
    }
    if expected > MAX_LAYERS {
        return Err(ImageError::TooManyLayers);
    }
    Ok(config)
}

/// An image of which everything is in the store but its record. Its lease keeps it there.
#[derive(Debug)]
pub(crate) struct Ready {
    id: ImageId,
    manifest: Digest,
    /// Bottom first.
    chains: Vec<ChainId>,
    blobs: Vec<Digest>,
    parent: Option<ImageId>,
}

/// An image that came to be, and for each of its names the other image that had it.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) image: ImageId,
    pub(crate) replaced: Vec<Option<ImageId>>,
}

impl Lease {
    /// Unpacks what is missing and adds the image with its names. It is the same image if it was
    /// there.
    pub(crate) fn register(
        &self,
        draft: &Draft,
        names: &[Reference],
        watcher: Watcher<'_>,
    ) -> Result<Registered, ImageError> {
        let ready = self.prepare(draft, watcher)?;
        let mut registered = self.commit(&[(ready, names)])?;
        Ok(registered.remove(0))
    }

    /// Unpacks what is missing, and keeps what the image is made of until the lease ends.
    pub(crate) fn prepare(&self, draft: &Draft, watcher: Watcher<'_>) -> Result<Ready, ImageError> {
        let config = read_config(&draft.config, draft.layers.len())?;
        let mut chains: Vec<ChainId> = Vec::new();
        for (diff, blob) in config.rootfs.diff_ids.iter().zip(&draft.layers) {
            let blob = self.where_it_is(blob);
            let chain = self.ensure_layer(chains.last(), *diff, &blob, watcher)?;
            self.adopt(&blob)?;
            chains.push(chain);
        }
        let id = ImageId(self.put(&draft.config)?);
        let manifest = self.put(&draft.manifest)?;
        let mut blobs = vec![id.0, manifest];
        blobs.extend(draft.layers.iter().map(|blob| blob.digest));
        Ok(Ready {
            id,
            manifest,
            chains,
            blobs,
            parent: draft.parent,
        })
    }

    /// Makes images of what is ready, and names them, in one step: nobody can remove an image
    /// before it has its names, and of several either all come to be or none.
    ///
    /// An image that is there already keeps the manifest and the blobs that it has, unless a
    /// registry gave these, which a name with a digest says.
    pub(crate) fn commit(
        &self,
        images: &[(Ready, &[Reference])],
    ) -> Result<Vec<Registered>, StoreError> {
        let mut db = self.store.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut registered = Vec::new();
        let mut stale = Vec::new();
        for (ready, names) in images {
            let pulled = names.iter().any(|name| name.digest().is_some());
            match (known(&tx, &ready.id)?, pulled) {
                // What it came as first is what a registry may know it as.
                (Some(_), false) => {}
                (Some(old), true) => {
                    stale.extend(old.into_iter().filter(|blob| !ready.blobs.contains(blob)));
                    record(&tx, ready)?;
                }
                (None, _) => record(&tx, ready)?,
            }
            let replaced = names.iter().map(|name| tag(&tx, &ready.id, name));
            registered.push(Registered {
                image: ready.id,
                replaced: replaced.collect::<Result<_, _>>()?,
            });
        }
        fault::point();
        tx.commit()?;
        fault::point();
        // Files go only when no record can come back.
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for blob in &stale {
            let collected = &mut Collected::default();
            self.store.collect_blob(&tx, blob, collected)?;
        }
        tx.commit()?;
        Ok(registered)
    }

    /// A layer that several images of one archive share is a blob after the first.
    pub(crate) fn where_it_is(&self, blob: &Spooled) -> Spooled {
        let mut blob = blob.clone();
        if !blob.path.exists() {
            blob.path = self.store.layout.blob(&blob.digest);
        }
        blob
    }
}

impl Inner {
    /// Gives an image the manifest and blobs of `held` in place of those that it had, if it is still
    /// there. Those that nothing needs any more are removed.
    pub(crate) fn repackage(&self, held: &Held) -> Result<(), StoreError> {
        let image = held.image.id;
        let mut blobs = vec![image.0, *held.digest()];
        blobs.extend(held.manifest.layers.iter().map(|layer| layer.digest));
        let mut db = self.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(old) = known(&tx, &image)? else {
            return Ok(());
        };
        let text = image.to_string();
        tx.execute(
            "UPDATE images SET manifest = ? WHERE id = ?",
            [&held.digest().to_string(), &text],
        )?;
        record_blobs(&tx, &text, &blobs)?;
        fault::point();
        tx.commit()?;
        fault::point();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for blob in old.iter().filter(|blob| !blobs.contains(blob)) {
            self.collect_blob(&tx, blob, &mut Collected::default())?;
        }
        tx.commit()?;
        Ok(())
    }
}

/// The blobs of an image, if it is there.
fn known(tx: &Transaction<'_>, image: &ImageId) -> Result<Option<Vec<Digest>>, StoreError> {
    if !crate::find::exists(tx, image)? {
        return Ok(None);
    }
    let mut statement = tx.prepare("SELECT blob FROM image_blobs WHERE image = ?")?;
    let mut rows = statement.query([image.to_string()])?;
    let mut blobs = Vec::new();
    while let Some(row) = rows.next()? {
        blobs.push(column(row, 0, "digest")?);
    }
    Ok(Some(blobs))
}

/// Writes an image's rows, in place of those that it had.
fn record(tx: &Transaction<'_>, ready: &Ready) -> Result<(), StoreError> {
    let image = ready.id.to_string();
    let manifest = ready.manifest.to_string();
    let parent = ready.parent.map(|parent| parent.to_string());
    tx.execute(
        "INSERT INTO images (id, manifest, parent, size, added) VALUES (?, ?, ?, 0, ?)
         ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest",
        params![image, manifest, parent, now()],
    )?;
    for (position, chain) in ready.chains.iter().enumerate() {
        tx.execute(
            "INSERT OR IGNORE INTO image_layers (image, position, chain) VALUES (?, ?, ?)",
            params![image, position as i64, chain.to_string()],
        )?;
    }
    record_blobs(tx, &image, &ready.blobs)?;
    tx.execute(
        "UPDATE images SET size = (SELECT coalesce(sum(size), 0) FROM image_layers
         JOIN layers USING (chain) WHERE image = ?1) WHERE id = ?1",
        [&image],
    )?;
    Ok(())
}

fn record_blobs(tx: &Transaction<'_>, image: &str, blobs: &[Digest]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM image_blobs WHERE image = ?", [image])?;
    for blob in blobs {
        tx.execute(
            "INSERT OR IGNORE INTO image_blobs (image, blob) VALUES (?, ?)",
            [image, &blob.to_string()],
        )?;
    }
    Ok(())
}

/// Gives `image` a tag; says which other image had it.
pub(crate) fn tag(
    tx: &Transaction<'_>,
    image: &ImageId,
    name: &Reference,
) -> Result<Option<ImageId>, StoreError> {
    let name = name.clone().or_latest();
    let repository = name.repository().to_string();
    let image_text = image.to_string();
    if let Some(digest) = name.digest() {
        tx.execute(
            "INSERT OR REPLACE INTO repo_digests (repository, digest, image) VALUES (?, ?, ?)",
            [&repository, &digest.to_string(), &image_text],
        )?;
    }
    let Some(tag) = name.tag() else {
        return Ok(None);
    };
    let before = crate::find::tagged(tx, &repository, tag)?;
    tx.execute(
        "INSERT OR REPLACE INTO tags (repository, tag, image) VALUES (?, ?, ?)",
        [repository.as_str(), tag, &image_text],
    )?;
    tx.execute(
        "UPDATE images SET tagged = ? WHERE id = ?",
        params![now(), image_text],
    )?;
    Ok(before.filter(|before| before != image))
}
