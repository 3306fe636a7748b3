//! An operation that adds to the store, and what keeps its work from being collected.
//!
//! ```text
//!   spool ──► (hashed, in tmp/<lease>) ──► pin in the database ──► sync, rename ──► image refers
//!                                                                                   to it: unpin
//! ```
//!
//! A lease is a folder under `tmp` that its owner holds an flock on, and rows in `pins`. The kernel
//! drops the lock with the process, so a lease whose lock can be had is dead: its folder and its
//! pins are garbage. A pin is committed *before* its owner looks whether the file is there, and
//! the collector deletes files inside a write transaction: either the collector sees the pin, or
//! the owner sees that the file has gone.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Transaction, params};
use rustix::fs::{FlockOperation, flock};

use crate::digest::{Digest, Hashing};
use crate::error::StoreError;
use crate::fault;
use crate::store::Inner;

/// Ends with the value: what was not made part of an image is garbage then, and collected.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) store: Arc<Inner>,
    name: String,
    folder: PathBuf,
    files: AtomicU64,
    /// Held for its flock.
    _lock: File,
}

/// A file in a lease's folder that is complete, and named by nothing yet.
#[derive(Debug, Clone)]
pub(crate) struct Spooled {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Lease {
    pub(crate) fn new(store: &Arc<Inner>) -> Result<Lease, StoreError> {
        loop {
            let name = unique_name();
            let folder = store.layout.lease(&name);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(StoreError::file("create", &folder)(error)),
            }
            // A collector may take the folder for a dead one until it is locked: then try again.
            let Some(lock) = lock_alive(&folder)? else {
                continue;
            };
            return Ok(Lease {
                store: store.clone(),
                name,
                folder,
                files: AtomicU64::new(0),
                _lock: lock,
            });
        }
    }

    /// A new file in the lease's folder.
    pub(crate) fn file(&self, kind: &str) -> Result<(File, PathBuf), StoreError> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{kind}-{number}"));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(StoreError::file("create", &path))?;
        Ok((file, path))
    }

    /// Copies `pieces` of a stream aside, hashed on the way. Each call of `pieces` fills the
    /// buffer and gives how much of it; 0 is the end.
    pub(crate) fn spool<E: From<StoreError>>(
        &self,
        mut pieces: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Spooled, E> {
        let (file, path) = self.file("spool")?;
        let mut out = Hashing::new(file);
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = pieces(&mut buffer)?;
            let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else {
                break;
            };
            out.write_all(piece)
                .map_err(StoreError::file("write", &path))?;
        }
        fault::point();
        let (_, digest, size) = out.finish();
        Ok(Spooled { path, digest, size })
    }

    /// Keeps a digest's file, if it is there, until the lease ends.
    pub(crate) fn pin(&self, digest: &Digest) -> Result<(), StoreError> {
        self.store.database().execute(
            "INSERT OR IGNORE INTO pins (lease, digest) VALUES (?, ?)",
            params![self.name, digest.to_string()],
        )?;
        fault::point();
        Ok(())
    }

    /// The same as part of a transaction that found the file needed, and thus there.
    pub(crate) fn pin_within(
        &self,
        tx: &Transaction<'_>,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        tx.execute(
            "INSERT OR IGNORE INTO pins (lease, digest) VALUES (?, ?)",
            params![self.name, digest.to_string()],
        )?;
        Ok(())
    }

    /// Makes a spooled file a blob, durably.
    pub(crate) fn adopt(&self, spooled: &Spooled) -> Result<(), StoreError> {
        self.pin(&spooled.digest)?;
        let target = self.store.layout.blob(&spooled.digest);
        if spooled.path.exists() {
            publish(&spooled.path, &target)?;
        }
        Ok(())
    }

    /// Makes bytes a blob, durably.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let mut rest = bytes;
        let spooled = self.spool(|buffer| -> Result<usize, StoreError> {
            Ok(rest.read(buffer).unwrap_or_default())
        })?;
        self.adopt(&spooled)?;
        Ok(spooled.digest)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Err(error) = self.store.end_lease(&self.name, &self.folder) {
            // The next start collects what is left.
            tracing::warn!(lease = self.name, %error, "cannot end lease");
        }
    }
}

/// Syncs a file and gives it its final name, durably. Replaces what is there.
pub(crate) fn publish(from: &Path, to: &Path) -> Result<(), StoreError> {
    let file = File::open(from).map_err(StoreError::file("open", from))?;
    file.sync_all().map_err(StoreError::file("sync", from))?;
    fault::point();
    fs::rename(from, to).map_err(StoreError::file("rename", from))?;
    fault::point();
    sync_parent(to)
}

pub(crate) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let folder = File::open(parent).map_err(StoreError::file("open", parent))?;
    folder.sync_all().map_err(StoreError::file("sync", parent))
}

/// Locks a lease's folder; `None` if it was removed before.
fn lock_alive(folder: &Path) -> Result<Option<File>, StoreError> {
    let lock = match File::open(folder) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::file("open", folder)(error)),
    };
    flock(&lock, FlockOperation::LockExclusive)
        .map_err(|error| StoreError::file("lock", folder)(error.into()))?;
    Ok(folder.exists().then_some(lock))
}

/// Removes a lease's folder if nobody lives in it. Says whether it is gone.
pub(crate) fn remove_dead(folder: &Path) -> Result<bool, StoreError> {
    let lock = match File::open(folder) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(StoreError::file("open", folder)(error)),
    };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    fs::remove_dir_all(folder).map_err(StoreError::file("remove", folder))?;
    Ok(true)
}

/// Process, moment and count: enough, and `create` would notice a clash.
fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{}-{now}-{count}", std::process::id())
}
