//! A repository's blobs: asked for, read, mounted, deleted.

use std::fs::File;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    ContentDigest, Repositories, RepositoryError, RepositoryName, check_quota, find, find_or_create,
};
use crate::collect::Collected;
use crate::database::column;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::store::now;

/// A client that is told that a blob is here will not send it. So much longer it is kept at least,
/// and so seldom is that written down.
pub(super) const TOUCH: i64 = 10 * 60 * 1_000_000_000;

/// A blob that a repository has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    pub(super) file: Digest,
    pub size: u64,
}

/// A blob that can be read. It stays readable if the blob is deleted.
#[derive(Debug)]
pub struct BlobFile {
    pub file: File,
    pub size: u64,
}

impl Repositories {
    /// A repository's blob. It is kept for a while from now on, manifest or none.
    pub fn blob(
        &self,
        repository: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<Blob, RepositoryError> {
        let unknown = || RepositoryError::NoBlob(Box::new(*digest));
        let db = self.store.reader();
        let id = find(&db, repository).map_err(|error| no_blob(error, digest))?;
        let (blob, touched) = row(&db, id, digest)?.ok_or_else(unknown)?;
        drop(db);
        let now = now();
        if now.saturating_sub(touched) > TOUCH {
            let noted = self
                .store
                .database()
                .prepare_cached(
                    "UPDATE registry_blobs SET touched = ? WHERE repository = ? AND digest = ?",
                )?
                .execute(params![now, id, digest.to_string()]);
            // Swept since it was found.
            if unless_full(noted)? == Some(0) {
                return Err(unknown());
            }
        }
        Ok(blob)
    }

    /// Opens a repository's blob.
    pub fn open_blob(
        &self,
        repository: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<BlobFile, RepositoryError> {
        let db = self.store.reader();
        let id = find(&db, repository).map_err(|error| no_blob(error, digest))?;
        let (blob, _) = row(&db, id, digest)?.ok_or(RepositoryError::NoBlob(Box::new(*digest)))?;
        let path = self.store.layout.blob(&blob.file);
        let file = File::open(&path).map_err(StoreError::file("open", &path))?;
        let size = blob.size;
        Ok(BlobFile { file, size })
    }

    /// Gives `to` the blob that `from` has. No byte is copied.
    pub fn mount(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: &ContentDigest,
        quota: Option<u64>,
    ) -> Result<Blob, RepositoryError> {
        self.write(|tx| {
            let source = find(tx, from).map_err(|error| no_blob(error, digest))?;
            let (blob, _) =
                row(tx, source, digest)?.ok_or(RepositoryError::NoBlob(Box::new(*digest)))?;
            self.add(tx, to, digest, blob, quota)
        })
    }

    /// Gives `to` a blob that some image of this store has.
    pub fn mount_of_image(
        &self,
        to: &RepositoryName,
        digest: &Digest,
        quota: Option<u64>,
    ) -> Result<Blob, RepositoryError> {
        let name = ContentDigest::from(*digest);
        self.write(|tx| {
            let known: bool = tx.query_row(
                "SELECT EXISTS (SELECT 1 FROM image_blobs WHERE blob = ?)",
                [digest.to_string()],
                |row| row.get(0),
            )?;
            let path = self.store.layout.blob(digest);
            let size = match known.then(|| path.metadata()) {
                Some(Ok(metadata)) => metadata.len(),
                _ => return Err(RepositoryError::NoBlob(Box::new(name))),
            };
            let file = *digest;
            self.add(tx, to, &name, Blob { file, size }, quota)
        })
    }

    fn add(
        &self,
        tx: &rusqlite::Transaction<'_>,
        to: &RepositoryName,
        digest: &ContentDigest,
        blob: Blob,
        quota: Option<u64>,
    ) -> Result<Blob, RepositoryError> {
        let id = find_or_create(tx, to)?;
        if !holds(tx, id, digest)? {
            check_quota(tx, id, blob.size, quota)?;
        }
        tx.execute(
            "INSERT INTO registry_blobs (repository, digest, blob, size, touched)
             VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET touched = excluded.touched",
            params![
                id,
                digest.to_string(),
                blob.file.to_string(),
                blob.size.cast_signed(),
                now()
            ],
        )?;
        Ok(blob)
    }

    /// Takes a blob from a repository, whatever manifests need it: who asks for it knows why.
    pub fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<(), RepositoryError> {
        let file = self.write(|tx| {
            let id = find(tx, repository).map_err(|error| no_blob(error, digest))?;
            let (blob, _) =
                row(tx, id, digest)?.ok_or(RepositoryError::NoBlob(Box::new(*digest)))?;
            tx.execute(
                "DELETE FROM registry_blobs WHERE repository = ? AND digest = ?",
                params![id, digest.to_string()],
            )?;
            Ok(blob.file)
        })?;
        self.discard(&[file])?;
        Ok(())
    }

    /// Removes files that nothing refers to any more. The records are gone for good by now: a
    /// crash in between leaves garbage for the next start.
    pub(super) fn discard(&self, files: &[Digest]) -> Result<Collected, RepositoryError> {
        let mut collected = Collected::default();
        self.write(|tx| {
            for file in files {
                self.store.collect_blob(tx, file, &mut collected)?;
            }
            Ok(collected)
        })
    }
}

/// Whether something was used is worth no failure of its reader when the disk is full.
pub(super) fn unless_full(noted: rusqlite::Result<usize>) -> Result<Option<usize>, StoreError> {
    match noted.map_err(StoreError::from) {
        Err(error) if error.is_disk_full() => {
            tracing::warn!(%error, "cannot note what is used");
            Ok(None)
        }
        noted => noted.map(Some),
    }
}

/// To a client of a repository that is not there, its content is what is missing.
fn no_blob(error: RepositoryError, digest: &ContentDigest) -> RepositoryError {
    match error {
        RepositoryError::NoRepository(_) => RepositoryError::NoBlob(Box::new(*digest)),
        error => error,
    }
}

pub(super) fn holds(
    db: &Connection,
    repository: i64,
    digest: &ContentDigest,
) -> Result<bool, RepositoryError> {
    Ok(row(db, repository, digest)?.is_some())
}

/// A blob and when it was last touched.
fn row(
    db: &Connection,
    repository: i64,
    digest: &ContentDigest,
) -> Result<Option<(Blob, i64)>, RepositoryError> {
    let read = |row: &Row<'_>| {
        let file = column(row, 0, "blob digest");
        let size: i64 = row.get(1)?;
        let touched: i64 = row.get(2)?;
        Ok(file.map(|file| {
            let size = size.cast_unsigned();
            (Blob { file, size }, touched)
        }))
    };
    let found = db
        .prepare_cached(
            "SELECT blob, size, touched FROM registry_blobs WHERE repository = ? AND digest = ?",
        )?
        .query_row(params![repository, digest.to_string()], read)
        .optional()?;
    Ok(found.transpose()?)
}
