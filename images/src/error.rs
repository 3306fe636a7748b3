//! What can go wrong with the store itself, whatever is done with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::Digest;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("image database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("image database has version {found}, this program knows {known}: use a newer one")]
    DatabaseVersion { found: i64, known: i64 },
    #[error("image database holds {text:?}, which is not a {what}")]
    Record { what: &'static str, text: String },
    #[error("blob {digest} is not an image configuration: {source}")]
    Configuration {
        digest: Digest,
        source: serde_json::Error,
    },
    #[error("the image's manifest cannot be read: blob {digest}: {source}")]
    Manifest {
        digest: Digest,
        source: serde_json::Error,
    },
    #[error("image {0} is not in the store")]
    Gone(crate::digest::ImageId),
    /// Of a transaction that several shared.
    #[error("{0}")]
    Together(Arc<StoreError>),
    #[error("image database: the transaction was given up")]
    GivenUp,
}

impl StoreError {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::File {
            action,
            path,
            source,
        }
    }

    /// Whether the disk is full: what was asked may work once there is room.
    pub fn is_disk_full(&self) -> bool {
        match self {
            StoreError::File { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            StoreError::Database(error) => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            StoreError::Together(error) => error.is_disk_full(),
            _ => false,
        }
    }
}
