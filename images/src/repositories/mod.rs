//! The registry's side of the store: which repository holds which blobs, manifests and tags.
//!
//! The files are the image store's own: a blob that an image, or another repository, has is there
//! already, and a repository that takes it gets a row. What a client may see is another matter: a
//! blob exists *for a repository* only when that repository has a row for it, so that nobody can
//! fetch what he knows no more of than the digest.
//!
//! ```text
//!   begin_upload ──► uploads/<id> ──append──► commit: digest checked, synced, renamed, row
//!                         │
//!                         └ cancelled, or swept after the grace time
//! ```
//!
//! What refers to what: a tag to a manifest, a manifest to its parts (blobs, and manifests if it is
//! an index), all inside one repository. A blob that no manifest of its repository has for a part
//! is given a grace time by [`Repositories::sweep`]: its manifest is still to come. What a
//! manifest *means* is not known here; `hull-registry` reads it.

mod batch;
mod blobs;
mod cached;
#[cfg(test)]
mod cached_tests;
#[cfg(test)]
mod durable_tests;
mod listing;
mod manifests;
mod names;
mod placing;
mod records;
mod sweep;
mod tags;
#[cfg(test)]
mod tests;
mod underway;
mod uploads;

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::error::StoreError;
use crate::store::{Inner, Store, now};

pub use blobs::{Blob, BlobFile};
pub use cached::Origin;
pub use listing::{About, Page, Referrer, Slice, Tagged, Window};
pub use manifests::{Manifest, ManifestKey, NewManifest, Pushed};
pub use names::{ContentDigest, RepositoryName, TagName};
pub use records::{Change, Record, Standing, Visibility};
pub use sweep::{Keep, Swept};
pub use uploads::{Upload, UploadId};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("repository {0} is not known")]
    NoRepository(RepositoryName),
    #[error("upload is not known")]
    NoUpload,
    #[error("upload is in use by another request")]
    UploadBusy,
    #[error("content is {found}, not {expected}")]
    DigestMismatch {
        expected: Box<ContentDigest>,
        found: Box<ContentDigest>,
    },
    #[error("blob {0} is not known")]
    NoBlob(Box<ContentDigest>),
    #[error("manifest {0} is not known")]
    NoManifest(String),
    #[error("the manifest refers to content that is not in the repository")]
    MissingParts(Vec<ContentDigest>),
    #[error("quota of {0} bytes exceeded")]
    Quota(u64),
}

impl From<rusqlite::Error> for RepositoryError {
    fn from(error: rusqlite::Error) -> RepositoryError {
        RepositoryError::Store(error.into())
    }
}

/// The repositories of a store. Clones are the same; all calls block.
#[derive(Debug, Clone)]
pub struct Repositories {
    store: Arc<Inner>,
    underway: Arc<underway::Underway>,
    batch: Arc<batch::Batch>,
}

impl Repositories {
    pub fn new(store: &Store) -> Repositories {
        Repositories {
            store: store.inner.clone(),
            underway: Arc::default(),
            batch: Arc::default(),
        }
    }

    /// Runs `work` in a write transaction, which nothing else writes or collects beside.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, RepositoryError>,
    ) -> Result<T, RepositoryError> {
        let mut db = self.store.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&tx)?;
        crate::fault::point();
        tx.commit()?;
        crate::fault::point();
        Ok(result)
    }
}

/// The row of a repository.
fn find(db: &Connection, name: &RepositoryName) -> Result<i64, RepositoryError> {
    let id = db
        .prepare_cached("SELECT id FROM registry_repositories WHERE name = ?")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    id.ok_or_else(|| RepositoryError::NoRepository(name.clone()))
}

/// The row of a repository, which is made if there is none: a push is what creates it.
fn find_or_create(tx: &Connection, name: &RepositoryName) -> Result<i64, RepositoryError> {
    match find(tx, name) {
        Err(RepositoryError::NoRepository(_)) => {
            tx.execute(
                "INSERT INTO registry_repositories (name, created) VALUES (?, ?)",
                rusqlite::params![name.as_str(), now()],
            )?;
            Ok(tx.last_insert_rowid())
        }
        found => found,
    }
}

/// Bytes of a repository's content, each thing counted once.
fn used(db: &Connection, repository: i64) -> Result<u64, RepositoryError> {
    let used: i64 = db
        .prepare_cached(
            "SELECT coalesce(sum(size), 0) FROM
             (SELECT blob, size FROM registry_blobs WHERE repository = ?1
              UNION SELECT blob, size FROM registry_manifests WHERE repository = ?1)",
        )?
        .query_row([repository], |row| row.get(0))?;
    Ok(used.cast_unsigned())
}

/// Refuses what would bring a repository over its quota.
fn check_quota(
    db: &Connection,
    repository: i64,
    added: u64,
    quota: Option<u64>,
) -> Result<(), RepositoryError> {
    match quota {
        Some(quota) if used(db, repository)?.saturating_add(added) > quota => {
            Err(RepositoryError::Quota(quota))
        }
        _ => Ok(()),
    }
}
