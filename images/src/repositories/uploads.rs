//! Blobs on their way in, over as many requests and as much time as their clients take.
//!
//! An upload is a file under `uploads`, from its first byte on; what has arrived is its length, so
//! that an upload outlives the server. Whoever writes holds an flock on it, which the sweep
//! respects. The hash of what has arrived is kept in memory between requests (see `underway`);
//! where it is not (after a restart), the file is read again.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};
use rustix::fs::{Advice, FlockOperation, fadvise, flock};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha512};

use super::batch::Placed;
use super::underway::{Known, Underway};
use super::{
    ContentDigest, Repositories, RepositoryError, RepositoryName, check_quota, find_or_create,
};
use crate::digest::{Digest, Hashing};
use crate::error::StoreError;
use crate::lease::sync_parent;
use crate::store::now;
use crate::unsynced::SMALL;

const BUFFER: usize = 256 << 10;
/// The disk begins with a large blob while more of it comes: each time so much is there.
const AHEAD: u64 = 8 << 20;

/// Names an upload: unguessable, and bound to its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadId([u8; 20]);

impl UploadId {
    fn new(repository: &RepositoryName) -> Result<UploadId, StoreError> {
        let mut bytes = [0; 20];
        getrandom(&mut bytes[..16], GetRandomFlags::empty())
            .map_err(|error| StoreError::file("read", "/dev/random".as_ref())(error.into()))?;
        bytes[16..].copy_from_slice(&mark(repository));
        Ok(UploadId(bytes))
    }

    fn is_of(&self, repository: &RepositoryName) -> bool {
        self.0[16..] == mark(repository)
    }
}

fn mark(repository: &RepositoryName) -> [u8; 4] {
    let mut mark = [0; 4];
    mark.copy_from_slice(&sha2::Sha256::digest(repository.as_str())[..4]);
    mark
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for UploadId {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<UploadId, RepositoryError> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| RepositoryError::NoUpload)?;
        Ok(UploadId(bytes))
    }
}

/// An upload in one writer's hands. Dropped, it can be taken up again.
#[derive(Debug)]
pub struct Upload {
    id: UploadId,
    path: PathBuf,
    /// Flocked. Made when the first byte comes.
    file: Option<File>,
    hash: sha2::Sha256,
    size: u64,
    /// All that has arrived, while it is little.
    bytes: Vec<u8>,
    /// It is a blob now, or nothing.
    ended: bool,
    underway: Arc<Underway>,
}

impl Upload {
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// Bytes that have arrived.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What has arrived, for who reads it while more comes.
    pub fn reader(&mut self) -> Result<File, StoreError> {
        self.file()?;
        File::open(&self.path).map_err(StoreError::file("open", &self.path))
    }

    /// Adds bytes. After an error the upload has a prefix of them.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let mut file = self.file()?;
            let count = match file.write(bytes) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => written,
            };
            let count = count.map_err(StoreError::file("write", &self.path))?;
            let (done, rest) = bytes.split_at(count);
            let before = self.size;
            self.hash.update(done);
            self.size += count as u64;
            self.remember(done);
            self.write_ahead(before);
            bytes = rest;
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All that has arrived, if it is little.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(super) fn file(&mut self) -> Result<&File, StoreError> {
        if self.file.is_none() {
            let file = File::options()
                .append(true)
                .create_new(true)
                .open(&self.path)
                .map_err(StoreError::file("create", &self.path))?;
            // A sweep looks for what is old: nobody else has locked it.
            flock(&file, FlockOperation::NonBlockingLockExclusive)
                .map_err(|error| StoreError::file("lock", &self.path)(error.into()))?;
            self.file = Some(file);
        }
        let missing = || StoreError::file("open", &self.path)(io::ErrorKind::NotFound.into());
        self.file.as_ref().ok_or_else(missing)
    }

    /// Only what is small is kept, and then all of it.
    fn remember(&mut self, bytes: &[u8]) {
        match self.size <= SMALL {
            true => self.bytes.extend_from_slice(bytes),
            false => self.bytes = Vec::new(),
        }
    }

    /// Lets the disk begin. Otherwise all of a blob is written when it is synced, and its client
    /// waits.
    fn write_ahead(&self, before: u64) {
        let (from, to) = (before / AHEAD, self.size / AHEAD);
        if let Some(file) = self.file.as_ref().filter(|_| from < to) {
            let length = std::num::NonZeroU64::new((to - from) * AHEAD);
            // Pages that are not written yet are written for this, and stay. A file system that
            // does not do it does not have to.
            let _ = fadvise(file, from * AHEAD, length, Advice::DontNeed);
        }
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::from_hash(self.hash.clone())
    }

    /// Its digest by the algorithm of `like`.
    fn digest_like(&self, like: &ContentDigest) -> Result<ContentDigest, StoreError> {
        match like {
            ContentDigest::Sha256(_) => Ok(self.digest().into()),
            ContentDigest::Sha512(_) => {
                let mut hash = Sha512::new();
                let mut file =
                    File::open(&self.path).map_err(StoreError::file("open", &self.path))?;
                let mut buffer = vec![0; BUFFER];
                loop {
                    let count = file
                        .read(&mut buffer)
                        .map_err(StoreError::file("read", &self.path))?;
                    match buffer.get(..count) {
                        None | Some([]) => break,
                        Some(piece) => hash.update(piece),
                    }
                }
                Ok(ContentDigest::Sha512(hash.finalize().into()))
            }
        }
    }

    /// Ends it, and removes its file where it has one.
    fn remove(&mut self) -> Result<(), StoreError> {
        self.ended = true;
        if self.file.is_none() {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::file("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        match self.ended {
            true => self.underway.forget(self.id),
            false => self.underway.rest(self.id, self.hash.clone(), self.size),
        }
    }
}

impl Repositories {
    /// Starts an upload, empty.
    pub fn begin_upload(&self, repository: &RepositoryName) -> Result<Upload, RepositoryError> {
        let id = UploadId::new(repository)?;
        let path = self.store.layout.upload(&id);
        let has_place = self.underway.begin(id);
        let mut upload = Upload {
            id,
            path,
            file: None,
            hash: sha2::Sha256::new(),
            size: 0,
            bytes: Vec::new(),
            ended: false,
            underway: self.underway.clone(),
        };
        if !has_place {
            upload.file()?;
        }
        Ok(upload)
    }

    /// Takes an upload up again. Only one may have it.
    pub fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Upload, RepositoryError> {
        let path = self.path_of(repository, &id)?;
        let known = match self.underway.take(id) {
            Known::InHand => return Err(RepositoryError::UploadBusy),
            Known::Hashed(hash, size) => Some((hash, size)),
            Known::Nothing => None,
        };
        let opened = self.open_upload(id, &path, known.clone());
        if opened.is_err() {
            // As it was.
            match known {
                Some((hash, size)) => self.underway.rest(id, hash, size),
                None => self.underway.forget(id),
            }
        }
        opened
    }

    fn open_upload(
        &self,
        id: UploadId,
        path: &Path,
        known: Option<(sha2::Sha256, u64)>,
    ) -> Result<Upload, RepositoryError> {
        let upload = |file, (hash, size), bytes| Upload {
            id,
            path: path.to_owned(),
            file,
            hash,
            size,
            bytes,
            ended: false,
            underway: self.underway.clone(),
        };
        let file = File::options().read(true).append(true).open(path);
        let file = match (file, known.clone()) {
            (Err(error), known) if error.kind() == io::ErrorKind::NotFound => {
                return match known {
                    Some((hash, 0)) => Ok(upload(None, (hash, 0), Vec::new())),
                    _ => Err(RepositoryError::NoUpload),
                };
            }
            (opened, _) => opened.map_err(StoreError::file("open", path))?,
        };
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| RepositoryError::UploadBusy)?;
        // Whoever had the lock before may have finished it.
        if !path.exists() {
            return Err(RepositoryError::NoUpload);
        }
        let length = file
            .metadata()
            .map_err(StoreError::file("inspect", path))?
            .len();
        let known = known.filter(|(_, size)| *size == length);
        let mut bytes = Vec::new();
        let state = match known {
            Some(known) if length > SMALL => known,
            _ => {
                let mut hashing = Hashing::new(&file);
                let read = match length > SMALL {
                    true => io::copy(&mut hashing, &mut io::sink()).map(drop),
                    false => hashing.read_to_end(&mut bytes).map(drop),
                };
                read.map_err(StoreError::file("read", path))?;
                hashing.into_state()
            }
        };
        Ok(upload(Some(file), state, bytes))
    }

    /// How much of an upload has arrived.
    pub fn upload_size(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<u64, RepositoryError> {
        let path = self.path_of(repository, &id)?;
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.underway.has(id) {
                true => Ok(0),
                false => Err(RepositoryError::NoUpload),
            },
            Err(error) => Err(StoreError::file("inspect", &path)(error).into()),
        }
    }

    /// Throws an upload away.
    pub fn cancel(&self, mut upload: Upload) -> Result<(), RepositoryError> {
        Ok(upload.remove()?)
    }

    /// Makes an upload a blob of its repository, if it is what it should be. It is gone
    /// otherwise: there is nothing that more bytes could mend.
    pub fn commit(
        &self,
        repository: &RepositoryName,
        mut upload: Upload,
        expected: ContentDigest,
        quota: Option<u64>,
    ) -> Result<u64, RepositoryError> {
        let size = upload.size;
        // A blob of no bytes has a file, too.
        upload.file()?;
        let found = upload.digest_like(&expected)?;
        let result = match found == expected {
            false => Err(RepositoryError::DigestMismatch {
                expected: Box::new(expected),
                found: Box::new(found),
            }),
            true => self.commit_blob(repository, &mut upload, expected, quota),
        };
        match &result {
            Ok(()) => upload.ended = true,
            // A busy database may have time later. A full disk needs the room now.
            Err(RepositoryError::Store(error)) if !error.is_disk_full() => {}
            Err(_) => upload.remove()?,
        }
        drop(upload);
        result.map(|()| size)
    }

    fn commit_blob(
        &self,
        repository: &RepositoryName,
        upload: &mut Upload,
        digest: ContentDigest,
        quota: Option<u64>,
    ) -> Result<(), RepositoryError> {
        let placing = self.store.prepare(upload)?;
        let (repository, size) = (repository.clone(), upload.size);
        self.write_together(move |tx, store| {
            let id = find_or_create(tx, &repository)?;
            if !super::blobs::holds(tx, id, &digest)? {
                check_quota(tx, id, size, quota)?;
            }
            // Before its row, which would count as a reference.
            let placed = placing.keep(tx, store)?;
            tx.prepare_cached(
                "INSERT INTO registry_blobs (repository, digest, blob, size, touched)
                 VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET touched = excluded.touched",
            )?
            .execute(params![
                id,
                digest.to_string(),
                placing.blob.to_string(),
                size.cast_signed(),
                now()
            ])?;
            // Last: what fails above leaves the upload as it was.
            placing.place(store)?;
            Ok(placed)
        })
    }

    /// Makes bytes a blob's file within `record`'s transaction, which must refer to it.
    pub(super) fn put_with<T>(
        &self,
        repository: &RepositoryName,
        bytes: &[u8],
        record: impl FnOnce(&Connection, &Digest) -> Result<T, RepositoryError>,
    ) -> Result<T, RepositoryError> {
        let mut upload = self.begin_upload(repository)?;
        upload.file()?;
        let result = upload
            .append(bytes)
            .map_err(RepositoryError::from)
            .and_then(|()| {
                let placing = self.store.prepare(&mut upload)?;
                self.write(|tx| {
                    let placed = placing.keep(tx, &self.store)?;
                    let result = record(tx, &placing.blob)?;
                    placing.place(&self.store)?;
                    if let Placed::Synced(blob) = placed {
                        sync_parent(&self.store.layout.blob(&blob))?;
                    }
                    Ok(result)
                })
            });
        upload.remove()?;
        result
    }

    /// Syncs what small blobs have left to be synced. Says how many there were.
    pub fn settle(&self) -> Result<usize, RepositoryError> {
        Ok(self.store.settle()?)
    }

    /// Forgets uploads that are gone.
    pub(super) fn forget_uploads(&self, grace: Duration) -> u64 {
        self.underway
            .sweep(grace, |id| self.store.layout.upload(id).exists())
    }

    fn path_of(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<PathBuf, RepositoryError> {
        match id.is_of(repository) {
            true => Ok(self.store.layout.upload(id)),
            false => Err(RepositoryError::NoUpload),
        }
    }
}
