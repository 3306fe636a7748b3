//! Makes an image out of its parts: the one way by which images come into being.

use rusqlite::{Transaction, TransactionBehavior, params};

use crate::config::ImageConfig;
use crate::digest::{ChainId, ImageId};
use crate::error::StoreError;
use crate::fault;
use crate::layers::{LayerError, Watcher};
use crate::lease::{Lease, Spooled};
use crate::reference::Reference;
use crate::store::now;

/// As many as Docker takes.
const MAX_LAYERS: usize = 127;

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

impl Lease {
    /// Unpacks what is missing and adds the image. It is the same image if it was there.
    pub(crate) fn register(
        &self,
        draft: &Draft,
        watcher: Watcher<'_>,
    ) -> Result<ImageId, ImageError> {
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
        let mut db = self.store.database();
        let tx = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let mut blobs = vec![id.0, manifest];
        blobs.extend(draft.layers.iter().map(|blob| blob.digest));
        let parent = draft.parent.map(|parent| parent.to_string());
        let record = || -> Result<(), StoreError> {
            let text = id.to_string();
            tx.execute(
                "INSERT INTO images (id, manifest, parent, size, added) VALUES (?, ?, ?, 0, ?)
                 ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest",
                params![text, manifest.to_string(), parent, now()],
            )?;
            for (position, chain) in chains.iter().enumerate() {
                tx.execute(
                    "INSERT OR IGNORE INTO image_layers (image, position, chain) VALUES (?, ?, ?)",
                    params![text, position as i64, chain.to_string()],
                )?;
            }
            for blob in &blobs {
                tx.execute(
                    "INSERT OR IGNORE INTO image_blobs (image, blob) VALUES (?, ?)",
                    [&text, &blob.to_string()],
                )?;
            }
            tx.execute(
                "UPDATE images SET size = (SELECT coalesce(sum(size), 0) FROM image_layers
                 JOIN layers USING (chain) WHERE image = ?1) WHERE id = ?1",
                [&text],
            )?;
            Ok(())
        };
        record()?;
        fault::point();
        tx.commit().map_err(StoreError::from)?;
        fault::point();
        Ok(id)
    }

    /// A layer that several images of one archive share is a blob after the first.
    fn where_it_is(&self, blob: &Spooled) -> Spooled {
        let mut blob = blob.clone();
        if !blob.path.exists() {
            blob.path = self.store.layout.blob(&blob.digest);
        }
        blob
    }
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
