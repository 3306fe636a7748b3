//! Layers that came plain go compressed, as dockerd's do.
//!
//! ```text
//!   plain layer ─► known compressed? ── yes ───────────────────┐
//!                     └ no ─► gzip, aside ─► blob, its diff ───┴─► manifest anew ─► the image's own
//! ```
//!
//! The image takes the compressed blob in place of the plain one, which goes if nothing else needs
//! it: the next push finds nothing to do, and a registry on the same store has an image's blob to
//! mount. The same layer always gives the same bytes, so it is the same blob to every registry.
//!
//! An image that a registry has already is left as it is: that is what it is known as there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use flate2::read::GzEncoder;
use rusqlite::TransactionBehavior;
use serde_json::{Value, json};

use crate::compression::Compression;
use crate::database::column;
use crate::digest::{DiffId, Digest, Hashing};
use crate::error::StoreError;
use crate::hold::Held;
use crate::lease::{Lease, Spooled};
use crate::remote::{Cancel, RemoteError};
use crate::transfer::{Audience, Pace, Transfer, Up};

use super::PushError;
use super::layers::AT_ONCE;

/// What is compressed, for whom, and until when.
pub(super) struct Compress<'a> {
    pub(super) lease: &'a Lease,
    pub(super) audience: Audience<'a>,
    pub(super) cancel: &'a Cancel,
}

impl Compress<'_> {
    /// The image with its plain layers compressed; as it is, if it has none.
    pub(super) fn image(&self, held: Held) -> Result<Held, PushError> {
        let plain = plain_layers(&held);
        if plain.is_empty() || !held.image.digests.is_empty() {
            return Ok(held);
        }
        let blobs = self.all(&plain)?;
        let manifest = with_layers(&held.bytes, &blobs).map_err(PushError::Manifest)?;
        let digest = self.lease.put(&manifest)?;
        let mut held = held;
        held.image.manifest = digest;
        held.manifest = serde_json::from_slice(&manifest).map_err(PushError::Manifest)?;
        held.bytes = manifest;
        // What is sent is this, whether or not the image is still there to have it.
        self.lease.store.repackage(&held)?;
        Ok(held)
    }

    /// The compressed blobs by plain layer. As many threads as there are processors.
    fn all(&self, plain: &[DiffId]) -> Result<BTreeMap<Digest, Blob>, PushError> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let done: Mutex<Result<BTreeMap<Digest, Blob>, PushError>> =
            Mutex::new(Ok(BTreeMap::new()));
        let work = || {
            while let Some(diff) = plain.get(next.fetch_add(1, Ordering::Relaxed)) {
                let blob = self.one(diff);
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                match (blob, done.as_mut()) {
                    (Ok(blob), Ok(blobs)) => {
                        blobs.insert(diff.0, blob);
                    }
                    (Err(error), Ok(_)) => {
                        *done = Err(error);
                        return;
                    }
                    (_, Err(_)) => return,
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..processors.min(AT_ONCE).min(plain.len()) {
                scope.spawn(work);
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn one(&self, diff: &DiffId) -> Result<Blob, PushError> {
        // Who waited for another push of the layer finds it done.
        let _turn = self.lease.store.compressing.enter(diff.0);
        if let Some(known) = self.lease.compressed(diff)? {
            return Ok(known);
        }
        let spooled = self.gzip(diff)?;
        self.lease.adopt(&spooled)?;
        self.lease.store.record_blob_diff(&spooled, diff)?;
        Ok(Blob {
            digest: spooled.digest,
            size: spooled.size,
        })
    }

    /// Compresses aside, and checks on the way that the layer is what it was.
    fn gzip(&self, diff: &DiffId) -> Result<Spooled, PushError> {
        let path = self.lease.store.layout.blob(&diff.0);
        let file = File::open(&path).map_err(StoreError::file("open", &path))?;
        let metadata = file.metadata();
        let total = metadata.map_err(StoreError::file("inspect", &path))?.len();
        let watched = Watched {
            file,
            done: 0,
            total,
            diff: *diff,
            pace: Pace::default(),
            compress: self,
        };
        // Without a name and a time in its head: the same bytes each time.
        let mut encoder = GzEncoder::new(Hashing::new(watched), flate2::Compression::default());
        let spooled = self.lease.spool(|buffer| -> Result<usize, PushError> {
            encoder
                .read(buffer)
                .map_err(|error| match self.cancel.is_cancelled() {
                    true => RemoteError::Cancelled.into(),
                    false => StoreError::file("read", &path)(error).into(),
                })
        })?;
        let (_, found, _) = encoder.into_inner().finish();
        match found == diff.0 {
            true => Ok(spooled),
            false => Err(PushError::Damaged(diff.0)),
        }
    }
}

/// A layer's blob as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blob {
    digest: Digest,
    size: u64,
}

/// Tells how far it was read, and ends when it is to.
struct Watched<'a> {
    file: File,
    done: u64,
    total: u64,
    diff: DiffId,
    pace: Pace,
    compress: &'a Compress<'a>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.compress.cancel.is_cancelled() {
            return Err(io::Error::other(RemoteError::Cancelled));
        }
        let count = self.file.read(buffer)?;
        self.done += count as u64;
        if self.pace.lets(self.done == self.total) {
            let state = Up::Compressing {
                done: self.done,
                total: self.total,
            };
            let layer = self.diff;
            (self.compress.audience)(Transfer::Up { layer, state });
        }
        Ok(count)
    }
}

/// The layers of an image whose blob is the plain tar, each once.
fn plain_layers(held: &Held) -> Vec<DiffId> {
    let layers = held.manifest.layers.iter().zip(&held.image.layers);
    let plain = layers.filter(|(blob, layer)| blob.digest == layer.diff.0);
    let mut found: Vec<DiffId> = Vec::new();
    for (_, layer) in plain {
        if !found.contains(&layer.diff) {
            found.push(layer.diff);
        }
    }
    found
}

/// A manifest that names compressed blobs where it named plain ones; all else in it stays.
fn with_layers(
    manifest: &[u8],
    blobs: &BTreeMap<Digest, Blob>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut document: Value = serde_json::from_slice(manifest)?;
    let layers = document.get_mut("layers").and_then(Value::as_array_mut);
    for layer in layers
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        let digest = layer.get("digest").and_then(Value::as_str);
        let plain: Option<Digest> = digest.and_then(|text| text.parse().ok());
        let Some(blob) = plain.and_then(|plain| blobs.get(&plain)) else {
            continue;
        };
        let kind = layer.get("mediaType").and_then(Value::as_str);
        let kind = gzipped(kind.unwrap_or_default());
        layer.insert("mediaType".to_owned(), json!(kind));
        layer.insert("digest".to_owned(), json!(blob.digest.to_string()));
        layer.insert("size".to_owned(), json!(blob.size));
    }
    serde_json::to_vec(&document)
}

/// The media type of the same layer compressed: Docker's for Docker's, OCI's for all others.
fn gzipped(plain: &str) -> &'static str {
    match plain.starts_with("application/vnd.docker.") {
        true => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        false => "application/vnd.oci.image.layer.v1.tar+gzip",
    }
}

impl Lease {
    /// A compressed blob of a plain layer that is here already, kept until the lease ends.
    fn compressed(&self, diff: &DiffId) -> Result<Option<Blob>, StoreError> {
        let mut db = self.store.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut found = None;
        {
            let query = "SELECT blob FROM blob_diffs WHERE diff = ? AND blob <> diff ORDER BY blob";
            let mut statement = tx.prepare(query)?;
            let mut rows = statement.query([diff.to_string()])?;
            while let Some(row) = rows.next()? {
                let digest: Digest = column(row, 0, "blob digest")?;
                if let Some(size) = gzip_size(&self.store.layout.blob(&digest)) {
                    found = Some(Blob { digest, size });
                    break;
                }
            }
        }
        if let Some(blob) = &found {
            self.pin_within(&tx, &blob.digest)?;
        }
        tx.commit()?;
        Ok(found)
    }
}

/// The size of a file that is there and compressed so that every client can read it.
fn gzip_size(path: &std::path::Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let mut start = [0; 6];
    file.read_exact(&mut start).ok()?;
    let size = file.metadata().ok()?.len();
    (Compression::sniff(&start) == Compression::Gzip).then_some(size)
}

#[cfg(test)]
#[path = "compress_tests.rs"]
mod tests;
