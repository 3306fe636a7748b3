//! Makes sure that a layer is unpacked: once, by one thread, from a blob that is what it says.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rusqlite::{OptionalExtension, params};

use crate::compression::decode;
use crate::digest::{ChainId, DiffId, Digest, Hashing};
use crate::error::StoreError;
use crate::fault;
use crate::lease::{Lease, Spooled, publish};
use crate::store::Inner;
use crate::tar::TarError;
use crate::unpack::{UnpackError, unpack};

/// Reports progress each time that many more bytes were read.
const STEP: u64 = 512 << 10;

/// Why a layer is refused.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("layer {diff}: {source}")]
    Unpack { diff: DiffId, source: UnpackError },
    #[error("layer {expected} is not what the image says: its digest is {found}")]
    Mismatch { expected: DiffId, found: DiffId },
}

/// How far a layer has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub layer: DiffId,
    /// Bytes of its blob, read and in all.
    pub done: u64,
    pub total: u64,
}

/// Told of progress.
pub(crate) type Watcher<'a> = &'a mut dyn FnMut(Progress);

impl Lease {
    /// Unpacks `diff` on top of `below` from `blob`, unless it is there; checks the blob anyway.
    pub(crate) fn ensure_layer(
        &self,
        below: Option<&ChainId>,
        diff: DiffId,
        blob: &Spooled,
        watcher: Watcher<'_>,
    ) -> Result<ChainId, LayerError> {
        let chain = ChainId::of(below, &diff);
        let _turn = self.store.unpacking.enter(*chain.digest());
        self.pin(chain.digest())?;
        let known = self.store.knows_layer(&chain)?;
        if known && self.store.blob_diff(&blob.digest)? == Some(diff) {
            return Ok(chain);
        }
        // Of a layer that is there nobody waits for more than the check.
        let tell = |done| {
            if !known {
                watcher(Progress {
                    layer: diff,
                    done,
                    total: blob.size,
                });
            }
        };
        let failed = |source| LayerError::Unpack { diff, source };
        let file = File::open(&blob.path).map_err(StoreError::file("open", &blob.path))?;
        let counted = Counted {
            inner: file,
            done: 0,
            told: 0,
            tell,
        };
        let limit = self.store.options.stream_bytes;
        let (_, plain) =
            decode(counted, limit).map_err(|error| failed(TarError::from(error).into()))?;
        let mut plain = Hashing::new(plain);
        let summary = if known {
            io::copy(&mut plain, &mut io::sink())
                .map_err(|error| failed(TarError::from(error).into()))?;
            None
        } else {
            let (out, path) = self.file("layer")?;
            let summary = unpack(&mut plain, out, self.store.options.limits).map_err(failed)?;
            Some((summary, path))
        };
        let (_, found, _) = plain.finish();
        if found != diff.0 {
            return Err(LayerError::Mismatch {
                expected: diff,
                found: DiffId(found),
            });
        }
        if let Some((summary, path)) = summary {
            publish(&path, &self.store.layout.layer(&chain))?;
            fault::point();
            self.store.record_layer(&chain, &diff, summary.bytes)?;
        }
        self.store.record_blob_diff(blob, &diff)?;
        Ok(chain)
    }

    /// Whether a layer is there and known to be what `blob` unpacks to; kept until the lease ends.
    pub(crate) fn has_layer(
        &self,
        chain: &ChainId,
        blob: &Digest,
        diff: &DiffId,
    ) -> Result<bool, StoreError> {
        self.pin(chain.digest())?;
        Ok(self.store.knows_layer(chain)? && self.store.blob_diff(blob)? == Some(*diff))
    }

    /// The digest of the plain tar inside a blob.
    pub(crate) fn diff_of(&self, blob: &Path) -> Result<DiffId, TarError> {
        let file = File::open(blob)?;
        let (_, plain) = decode(file, self.store.options.stream_bytes)?;
        let mut plain = Hashing::new(plain);
        io::copy(&mut plain, &mut io::sink())?;
        let (_, digest, _) = plain.finish();
        Ok(DiffId(digest))
    }
}

impl Inner {
    /// Whether a layer is there, record and file.
    fn knows_layer(&self, chain: &ChainId) -> Result<bool, StoreError> {
        let recorded = self.database().query_row(
            "SELECT EXISTS (SELECT 1 FROM layers WHERE chain = ?)",
            [chain.to_string()],
            |row| row.get(0),
        )?;
        Ok(recorded && self.layout.layer(chain).exists())
    }

    fn record_layer(&self, chain: &ChainId, diff: &DiffId, size: u64) -> Result<(), StoreError> {
        self.database().execute(
            "INSERT OR REPLACE INTO layers (chain, diff, size) VALUES (?, ?, ?)",
            params![chain.to_string(), diff.to_string(), size.cast_signed()],
        )?;
        Ok(())
    }

    fn blob_diff(&self, blob: &Digest) -> Result<Option<DiffId>, StoreError> {
        let diff: Option<String> = self
            .database()
            .query_row(
                "SELECT diff FROM blob_diffs WHERE blob = ?",
                [blob.to_string()],
                |row| row.get(0),
            )
            .optional()?;
        Ok(diff.and_then(|diff| diff.parse().ok()))
    }

    pub(crate) fn record_blob_diff(&self, blob: &Spooled, diff: &DiffId) -> Result<(), StoreError> {
        self.database().execute(
            "INSERT OR REPLACE INTO blob_diffs (blob, diff) VALUES (?, ?)",
            [blob.digest.to_string(), diff.to_string()],
        )?;
        Ok(())
    }
}

struct Counted<F> {
    inner: File,
    done: u64,
    told: u64,
    tell: F,
}

impl<F: FnMut(u64)> Read for Counted<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done += count as u64;
        if self.done - self.told >= STEP || (count == 0 && self.told < self.done) {
            self.told = self.done;
            (self.tell)(self.done);
        }
        Ok(count)
    }
}
