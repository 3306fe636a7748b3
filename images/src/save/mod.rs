//! Saves images as an archive that `load`, Docker and OCI tools read.
//!
//! ```text
//!   names ──► pack: images found, what they are made of pinned ──► write: layers measured, then
//!                                                                  everything in one pass
//! ```
//!
//! The layout is Docker's since version 25: an OCI layout of plain layers, with `manifest.json` and
//! `repositories` beside it. Layers are decompressed once to learn their size and once more while
//! they are written, so that neither memory nor disk ever holds one. The same images give the
//! same bytes: entries are sorted, and their times are the images' own.

mod documents;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::compression::decode;
use crate::config::Platform;
use crate::digest::{DiffId, Digest, Hashing, ImageId};
use crate::error::StoreError;
use crate::fault;
use crate::find::{FindError, find, tags_of};
use crate::lease::Lease;
use crate::list::Image;
use crate::manifest::Manifest;
use crate::reference::{AnyReference, Reference};
use crate::store::{Inner, Store};
use crate::tar::writer::Writer;
use documents::Documents;

/// Why images are not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("No such image: {0}")]
    NotFound(String),
    #[error(transparent)]
    Find(FindError),
    #[error(
        "image with reference {name} was found but does not provide the specified platform ({platform})"
    )]
    Platform { name: String, platform: Platform },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot make the archive's lists: {0}")]
    Document(#[from] serde_json::Error),
    #[error("cannot read layer {diff}: {source}")]
    Layer { diff: DiffId, source: io::Error },
    /// The reader's end of the stream, most likely.
    #[error("cannot write the archive: {0}")]
    Write(#[source] io::Error),
}

/// Images that are ready to be written; nothing of them goes before this does.
#[derive(Debug)]
pub struct Saving {
    lease: Lease,
    images: Vec<Packed>,
}

/// One image of an archive.
#[derive(Debug)]
struct Packed {
    id: ImageId,
    config: Vec<u8>,
    /// Unix seconds.
    created: i64,
    parent: Option<ImageId>,
    names: Vec<Reference>,
    /// Bottom first: what each is when plain, and the blob that holds it.
    layers: Vec<(DiffId, Digest)>,
}

impl Store {
    /// Finds what `names` mean, as `docker save` does: a repository alone is all its tags.
    pub fn pack(&self, names: &[String], platform: Option<&Platform>) -> Result<Saving, SaveError> {
        let lease = Lease::new(&self.inner)?;
        let mut db = self.inner.database();
        let tx = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let mut images: Vec<Packed> = Vec::new();
        for name in names {
            for (id, reference) in meant(&tx, name)? {
                let at = match images.iter().position(|image| image.id == id) {
                    Some(at) => at,
                    None => {
                        images.push(self.inner.packed(&tx, &lease, &id, (name, platform))?);
                        images.len() - 1
                    }
                };
                let kept = &mut images[at].names;
                kept.extend(reference.filter(|reference| !kept.contains(reference)));
            }
        }
        tx.commit().map_err(StoreError::from)?;
        drop(db);
        fault::point();
        Ok(Saving { lease, images })
    }
}

/// The images of a name, each with the tag that it is saved with.
fn meant(db: &Connection, name: &str) -> Result<Vec<(ImageId, Option<Reference>)>, SaveError> {
    let missing = |error| match error {
        FindError::NotFound(_) => SaveError::NotFound(name.to_owned()),
        error => SaveError::Find(error),
    };
    let parsed: AnyReference = name
        .parse()
        .map_err(|error| missing(FindError::from(error)))?;
    if let AnyReference::Named(reference) = &parsed
        && reference.is_name_only()
    {
        let tags = tags_of(db, reference.repository())?;
        if !tags.is_empty() {
            return Ok(tags.into_iter().map(|(tag, id)| (id, Some(tag))).collect());
        }
    }
    let id = find(db, name).map_err(missing)?;
    let reference = match parsed {
        AnyReference::Named(reference) if reference.digest().is_none() => {
            let named = crate::find::named(db, &reference)? == Some(id);
            named.then(|| reference.or_latest())
        }
        _ => None,
    };
    Ok(vec![(id, reference)])
}

impl Inner {
    fn packed(
        &self,
        tx: &Transaction<'_>,
        lease: &Lease,
        id: &ImageId,
        (name, platform): (&str, Option<&Platform>),
    ) -> Result<Packed, SaveError> {
        let image: Image = self.image(tx, id)?;
        if let Some(platform) = platform
            && !image.config.platform.provides(platform)
        {
            return Err(SaveError::Platform {
                name: name.to_owned(),
                platform: platform.clone(),
            });
        }
        let manifest: Manifest = serde_json::from_slice(&self.blob_bytes(&image.manifest)?)
            .map_err(|source| StoreError::Configuration {
                digest: image.manifest,
                source,
            })?;
        for blob in manifest.layers.iter().map(|layer| &layer.digest) {
            lease.pin_within(tx, blob)?;
        }
        let diffs = image.config.rootfs.diff_ids.iter().copied();
        let blobs = manifest.layers.iter().map(|layer| layer.digest);
        Ok(Packed {
            id: *id,
            config: self.blob_bytes(id.digest())?,
            created: image.config.created.map_or(0, jiff::Timestamp::as_second),
            parent: image.parent,
            names: Vec::new(),
            layers: diffs.zip(blobs).collect(),
        })
    }
}

/// Where an entry's bytes come from.
enum Source {
    Bytes(Vec<u8>),
    /// The plain tar inside a blob, and its length.
    Layer(DiffId, Digest, u64),
}

impl Saving {
    /// The images, in the order of their names.
    pub fn images(&self) -> impl Iterator<Item = &ImageId> {
        self.images.iter().map(|image| &image.id)
    }

    /// Writes the archive.
    pub fn write(&self, out: impl Write) -> Result<(), SaveError> {
        let sizes = self.measure()?;
        let documents = Documents::new(&self.images, &sizes)?;
        let mut blobs: BTreeMap<Digest, (i64, Source)> = BTreeMap::new();
        for image in &self.images {
            let config = Source::Bytes(image.config.clone());
            blobs.entry(image.id.0).or_insert((image.created, config));
            for (diff, blob) in &image.layers {
                let size = sizes.get(diff).copied().unwrap_or_default();
                let layer = Source::Layer(*diff, *blob, size);
                blobs.entry(diff.0).or_insert((image.created, layer));
            }
        }
        for manifest in documents.manifests {
            let digest = Digest::of(&manifest);
            blobs.insert(digest, (0, Source::Bytes(manifest)));
        }
        let newest = self.images.iter().map(|image| image.created).max();
        let mut archive = Writer::new(out);
        for folder in ["blobs/", "blobs/sha256/"] {
            archive
                .directory(folder, newest.unwrap_or_default())
                .map_err(SaveError::Write)?;
        }
        for (digest, (mtime, source)) in blobs {
            let name = format!("blobs/sha256/{}", digest.hex());
            self.add(&mut archive, &name, mtime, &source)?;
        }
        for (name, bytes) in documents.lists {
            self.add(&mut archive, name, 0, &Source::Bytes(bytes))?;
        }
        archive.finish().map_err(SaveError::Write)
    }

    fn add<W: Write>(
        &self,
        archive: &mut Writer<W>,
        name: &str,
        mtime: i64,
        source: &Source,
    ) -> Result<(), SaveError> {
        match source {
            Source::Bytes(bytes) => archive
                .file(name, bytes.len() as u64, mtime, &mut &bytes[..])
                .map_err(SaveError::Write),
            Source::Layer(diff, blob, size) => {
                let failed = |source| SaveError::Layer {
                    diff: *diff,
                    source,
                };
                let mut plain = Hashing::new(self.plain(blob).map_err(failed)?);
                archive
                    .file(name, *size, mtime, &mut plain)
                    .map_err(SaveError::Write)?;
                let (_, found, _) = plain.finish();
                match found == diff.0 {
                    true => Ok(()),
                    false => Err(failed(io::ErrorKind::InvalidData.into())),
                }
            }
        }
    }

    /// How long each layer is when it is plain.
    fn measure(&self) -> Result<BTreeMap<DiffId, u64>, SaveError> {
        let mut sizes = BTreeMap::new();
        for (diff, blob) in self.images.iter().flat_map(|image| &image.layers) {
            if sizes.contains_key(diff) {
                continue;
            }
            let size = if *blob == diff.0 {
                let path = self.lease.store.layout.blob(blob);
                let metadata = path.metadata();
                metadata.map_err(StoreError::file("inspect", &path))?.len()
            } else {
                let length = |mut plain: Box<dyn Read>| io::copy(&mut plain, &mut io::sink());
                let measured = self.plain(blob).and_then(length);
                measured.map_err(|source| SaveError::Layer {
                    diff: *diff,
                    source,
                })?
            };
            sizes.insert(*diff, size);
        }
        Ok(sizes)
    }

    fn plain(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        let file = File::open(self.lease.store.layout.blob(blob))?;
        Ok(decode(file, self.lease.store.options.stream_bytes)?.1)
    }
}

#[cfg(test)]
mod tests;
