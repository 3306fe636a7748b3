//! Blobs on their way in, over as many requests and as much time as their clients take.
//!
//! An upload is a file under `uploads`; what has arrived is its length, so that an upload outlives
//! the server. Whoever writes holds an flock on it, which the sweep respects. The hash of what has
//! arrived is kept in memory between requests; where it is not (after a restart), the file is
//! read again.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::params;
use rustix::fs::{FlockOperation, flock};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha512};

use super::{
    ContentDigest, Repositories, RepositoryError, RepositoryName, check_quota, find_or_create,
};
use crate::digest::{Digest, Hashing};
use crate::error::StoreError;
use crate::fault;
use crate::lease::sync_parent;
use crate::store::{Inner, now};

/// More uploads than this at once are hashed again where they go on.
const REMEMBERED: usize = 4096;
const BUFFER: usize = 256 << 10;

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

/// What hashed the uploads that nobody is writing to.
#[derive(Debug, Default)]
pub(super) struct Hashes(Mutex<HashMap<UploadId, (sha2::Sha256, u64)>>);

impl Hashes {
    fn take(&self, id: &UploadId) -> Option<(sha2::Sha256, u64)> {
        self.lock().remove(id)
    }

    fn put(&self, id: UploadId, hash: sha2::Sha256, size: u64) {
        let mut kept = self.lock();
        if kept.len() < REMEMBERED {
            kept.insert(id, (hash, size));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, (sha2::Sha256, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload in one writer's hands. Dropped, it can be taken up again.
#[derive(Debug)]
pub struct Upload {
    id: UploadId,
    path: PathBuf,
    /// Flocked.
    file: File,
    hash: sha2::Sha256,
    size: u64,
    hashes: Arc<Hashes>,
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
    pub fn reader(&self) -> Result<File, StoreError> {
        File::open(&self.path).map_err(StoreError::file("open", &self.path))
    }

    /// Adds bytes. After an error the upload has a prefix of them.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let count = match self.file.write(bytes) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => written,
            };
            let count = count.map_err(StoreError::file("write", &self.path))?;
            let (done, rest) = bytes.split_at(count);
            self.hash.update(done);
            self.size += count as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn digest(&self) -> Digest {
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

    fn remove(&self) -> Result<(), StoreError> {
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
        if self.path.exists() {
            self.hashes.put(self.id, self.hash.clone(), self.size);
        }
    }
}

impl Repositories {
    /// Starts an upload, empty.
    pub fn begin_upload(&self, repository: &RepositoryName) -> Result<Upload, RepositoryError> {
        let id = UploadId::new(repository)?;
        let path = self.store.layout.upload(&id);
        let file = File::options()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(StoreError::file("create", &path))?;
        // A sweep looks for what is old.
        lock(&file)?;
        Ok(Upload {
            id,
            path,
            file,
            hash: sha2::Sha256::new(),
            size: 0,
            hashes: self.hashes.clone(),
        })
    }

    /// Takes an upload up again. Only one may have it.
    pub fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Upload, RepositoryError> {
        let path = self.path_of(repository, &id)?;
        let file = match File::options().append(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RepositoryError::NoUpload);
            }
            opened => opened.map_err(StoreError::file("open", &path))?,
        };
        lock(&file)?;
        // Whoever had the lock before may have finished it.
        if !path.exists() {
            return Err(RepositoryError::NoUpload);
        }
        let length = file
            .metadata()
            .map_err(StoreError::file("inspect", &path))?
            .len();
        let known = self.hashes.take(&id).filter(|(_, size)| *size == length);
        let (hash, size) = match known {
            Some(known) => known,
            None => {
                let file = File::open(&path).map_err(StoreError::file("open", &path))?;
                let mut hashing = Hashing::new(file);
                io::copy(&mut hashing, &mut io::sink()).map_err(StoreError::file("read", &path))?;
                hashing.into_state()
            }
        };
        Ok(Upload {
            id,
            path,
            file,
            hash,
            size,
            hashes: self.hashes.clone(),
        })
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(RepositoryError::NoUpload),
            Err(error) => Err(StoreError::file("inspect", &path)(error).into()),
        }
    }

    /// Throws an upload away.
    pub fn cancel(&self, upload: Upload) -> Result<(), RepositoryError> {
        let removed = upload.remove();
        drop(upload);
        Ok(removed?)
    }

    /// Makes an upload a blob of its repository, if it is what it should be. It is gone
    /// otherwise: there is nothing that more bytes could mend.
    pub fn commit(
        &self,
        repository: &RepositoryName,
        upload: Upload,
        expected: ContentDigest,
        quota: Option<u64>,
    ) -> Result<u64, RepositoryError> {
        let size = upload.size;
        let found = upload.digest_like(&expected)?;
        let result = match found == expected {
            false => Err(RepositoryError::DigestMismatch {
                expected: Box::new(expected),
                found: Box::new(found),
            }),
            true => self.commit_blob(repository, &upload, expected, quota),
        };
        match &result {
            // A busy database may have time later. A full disk needs the room now.
            Err(RepositoryError::Store(error)) if !error.is_disk_full() => {}
            _ => upload.remove()?,
        }
        drop(upload);
        result.map(|()| size)
    }

    fn commit_blob(
        &self,
        repository: &RepositoryName,
        upload: &Upload,
        digest: ContentDigest,
        quota: Option<u64>,
    ) -> Result<(), RepositoryError> {
        let blob = upload.digest();
        self.store.sync_unless_known(upload, &blob)?;
        self.write(|tx| {
            let id = find_or_create(tx, repository)?;
            if !super::blobs::holds(tx, id, &digest)? {
                check_quota(tx, id, upload.size, quota)?;
            }
            tx.prepare_cached(
                "INSERT INTO registry_blobs (repository, digest, blob, size, touched)
                 VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET touched = excluded.touched",
            )?
            .execute(params![
                id,
                digest.to_string(),
                blob.to_string(),
                upload.size.cast_signed(),
                now()
            ])?;
            Ok(self.store.place(upload, &blob)?)
        })
    }

    /// Makes bytes a blob's file within `record`'s transaction, which must refer to it.
    pub(super) fn put_with<T>(
        &self,
        repository: &RepositoryName,
        bytes: &[u8],
        record: impl FnOnce(&rusqlite::Transaction<'_>, &Digest) -> Result<T, RepositoryError>,
    ) -> Result<T, RepositoryError> {
        let mut upload = self.begin_upload(repository)?;
        let result = upload
            .append(bytes)
            .map_err(RepositoryError::from)
            .and_then(|()| {
                let blob = upload.digest();
                self.store.sync_unless_known(&upload, &blob)?;
                self.write(|tx| {
                    let result = record(tx, &blob)?;
                    self.store.place(&upload, &blob)?;
                    Ok(result)
                })
            });
        upload.remove()?;
        result
    }

    /// Forgets the hashes of uploads that are gone.
    pub(super) fn forget_hashes(&self) {
        let mut hashes = self.hashes.lock();
        hashes.retain(|id, _| self.store.layout.upload(id).exists());
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

impl Inner {
    /// Makes an upload's bytes durable, unless the same are known to be.
    fn sync_unless_known(&self, upload: &Upload, blob: &Digest) -> Result<(), StoreError> {
        if self.layout.blob(blob).exists() {
            return Ok(());
        }
        let synced = upload.file.sync_all();
        fault::point();
        synced.map_err(StoreError::file("sync", &upload.path))
    }

    /// Gives an upload its final name, inside the transaction that refers to it: the collector
    /// deletes in transactions too.
    fn place(&self, upload: &Upload, blob: &Digest) -> Result<(), StoreError> {
        let target = self.layout.blob(blob);
        match target.exists() {
            true => upload.remove()?,
            false => {
                // Again, as it may have been left out above for a file that is gone by now.
                upload
                    .file
                    .sync_all()
                    .map_err(StoreError::file("sync", &upload.path))?;
                fs::rename(&upload.path, &target)
                    .map_err(StoreError::file("rename", &upload.path))?;
            }
        }
        fault::point();
        sync_parent(&target)
    }
}

fn lock(file: &File) -> Result<(), RepositoryError> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|_| RepositoryError::UploadBusy)
}
