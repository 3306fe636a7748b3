//! What there is to know about images: lists, and one image's configuration and layers.

use std::fs::{self, File};
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use crate::config::ImageConfig;
use crate::database::{column, maybe};
use crate::digest::{ChainId, DiffId, Digest, ImageId};
use crate::error::StoreError;
use crate::reference::Reference;
use crate::store::{Inner, Store};

/// An image with everything but its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub id: ImageId,
    pub manifest: Digest,
    /// The image that it was built or committed from, here.
    pub parent: Option<ImageId>,
    /// Others were built or committed on top of it here.
    pub has_children: bool,
    pub tags: Vec<Reference>,
    /// By repository, where a registry knows it.
    pub digests: Vec<Reference>,
    /// Bytes of its unpacked layers together.
    pub size: u64,
    /// Bytes of those layers that other images have, too.
    pub shared: u64,
    pub tagged: Option<Timestamp>,
    /// Bottom first: the **last is the topmost**.
    pub layers: Vec<ImageLayer>,
    pub config: ImageConfig,
}

/// An unpacked layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    pub chain: ChainId,
    pub diff: DiffId,
    /// Bytes of its files.
    pub size: u64,
    /// The packed layer: see [`hull_layer::Layer`].
    pub path: PathBuf,
}

impl Image {
    /// Only images above it need it.
    pub fn is_intermediate(&self) -> bool {
        self.has_children && self.tags.is_empty() && self.digests.is_empty()
    }

    /// No name leads to it.
    pub fn is_dangling(&self) -> bool {
        self.tags.is_empty()
    }

    /// Opens the packed layers read-only, bottom first. They stay readable if the image goes.
    pub fn open_layers(&self) -> Result<Vec<File>, StoreError> {
        let open = |layer: &ImageLayer| {
            File::open(&layer.path).map_err(StoreError::file("open", &layer.path))
        };
        self.layers.iter().map(open).collect()
    }
}

impl Store {
    /// Every image, newest first.
    pub fn list(&self) -> Result<Vec<Image>, StoreError> {
        let db = self.inner.database();
        let ids = ids(&db, "SELECT id FROM images ORDER BY id", &[])?;
        let images = ids.iter().map(|id| self.inner.image(&db, id));
        let mut images = images.collect::<Result<Vec<_>, _>>()?;
        images.sort_by_key(|image| std::cmp::Reverse(image.config.created));
        Ok(images)
    }

    /// How many images there are.
    pub fn count(&self) -> Result<usize, StoreError> {
        let db = self.inner.database();
        let count: i64 = db.query_row("SELECT count(*) FROM images", [], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Bytes of all images' unpacked layers, each counted once.
    pub fn layers_size(&self) -> Result<u64, StoreError> {
        let query = "SELECT coalesce(sum(size), 0) FROM layers
                     WHERE chain IN (SELECT chain FROM image_layers)";
        let size: i64 = self
            .inner
            .database()
            .query_row(query, [], |row| row.get(0))?;
        Ok(size.cast_unsigned())
    }

    /// One image.
    pub fn image(&self, id: &ImageId) -> Result<Image, StoreError> {
        self.inner.image(&self.inner.database(), id)
    }

    /// An image's configuration in the bytes that its id is the digest of.
    pub fn config_bytes(&self, id: &ImageId) -> Result<Vec<u8>, StoreError> {
        self.inner.blob_bytes(id.digest())
    }

    /// The images that were built or committed on top of this one.
    pub fn children(&self, id: &ImageId) -> Result<Vec<ImageId>, StoreError> {
        children(&self.inner.database(), id)
    }
}

impl Inner {
    pub(crate) fn image(&self, db: &Connection, id: &ImageId) -> Result<Image, StoreError> {
        let text = id.to_string();
        let query = "SELECT manifest, parent, size, tagged FROM images WHERE id = ?";
        let record = db.query_row(query, [&text], |row| {
            let manifest = column(row, 0, "manifest digest");
            let parent = maybe(row, 1, "parent image's id");
            let size: i64 = row.get(2)?;
            let tagged: Option<i64> = row.get(3)?;
            Ok(manifest.and_then(|manifest| Ok((manifest, parent?, size, tagged))))
        });
        let record = record.optional()?.ok_or(StoreError::Gone(*id))?;
        let (manifest, parent, size, tagged) = record?;
        let bytes = self.blob_bytes(id.digest())?;
        let config = serde_json::from_slice(&bytes);
        let shared: i64 = db.query_row(
            "SELECT coalesce(sum(size), 0) FROM image_layers AS mine JOIN layers USING (chain)
             WHERE image = ?1 AND EXISTS
             (SELECT 1 FROM image_layers WHERE chain = mine.chain AND image <> ?1)",
            [&text],
            |row| row.get(0),
        )?;
        Ok(Image {
            id: *id,
            manifest,
            parent,
            has_children: !children(db, id)?.is_empty(),
            tags: tags(db, id)?,
            digests: digests(db, id)?,
            size: size.cast_unsigned(),
            shared: shared.cast_unsigned(),
            tagged: tagged.and_then(|t| Timestamp::from_nanosecond(i128::from(t)).ok()),
            layers: self.layers_of(db, &text)?,
            config: config.map_err(|source| StoreError::Configuration {
                digest: id.0,
                source,
            })?,
        })
    }

    pub(crate) fn blob_bytes(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.layout.blob(digest);
        fs::read(&path).map_err(StoreError::file("read", &path))
    }

    fn layers_of(&self, db: &Connection, image: &str) -> Result<Vec<ImageLayer>, StoreError> {
        let mut statement = db.prepare(
            "SELECT chain, diff, size FROM image_layers JOIN layers USING (chain)
             WHERE image = ? ORDER BY position",
        )?;
        let mut rows = statement.query([image])?;
        let mut layers = Vec::new();
        while let Some(row) = rows.next()? {
            let chain = column(row, 0, "chain id")?;
            layers.push(ImageLayer {
                chain,
                diff: column(row, 1, "layer digest")?,
                size: row.get::<_, i64>(2)?.cast_unsigned(),
                path: self.layout.layer(&chain),
            });
        }
        Ok(layers)
    }
}

/// An image's names with a tag, sorted.
pub(crate) fn tags(db: &Connection, id: &ImageId) -> Result<Vec<Reference>, StoreError> {
    let query = "SELECT repository || ':' || tag FROM tags WHERE image = ? ORDER BY 1";
    references(db, query, id)
}

/// An image's names with a digest, sorted.
pub(crate) fn digests(db: &Connection, id: &ImageId) -> Result<Vec<Reference>, StoreError> {
    let query = "SELECT repository || '@' || digest FROM repo_digests WHERE image = ? ORDER BY 1";
    references(db, query, id)
}

pub(crate) fn children(db: &Connection, id: &ImageId) -> Result<Vec<ImageId>, StoreError> {
    ids(
        db,
        "SELECT id FROM images WHERE parent = ?",
        &[&id.to_string()],
    )
}

fn references(db: &Connection, query: &str, id: &ImageId) -> Result<Vec<Reference>, StoreError> {
    let mut statement = db.prepare(query)?;
    let mut rows = statement.query([id.to_string()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(column(row, 0, "reference")?);
    }
    Ok(found)
}

fn ids(db: &Connection, query: &str, values: &[&str]) -> Result<Vec<ImageId>, StoreError> {
    let mut statement = db.prepare(query)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(column(row, 0, "image id")?);
    }
    Ok(found)
}
