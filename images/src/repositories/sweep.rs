//! Removes what pushes left behind, while others push.
//!
//! Nothing younger than the grace time goes. A client that is told that a blob is there makes it
//! young again (see `blobs`), so no push loses what it was told it need not send.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::{Transaction, params};
use rustix::fs::{FlockOperation, flock};

use super::{Repositories, RepositoryError};
use crate::database::column;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::store::now;

/// What a sweep leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Anything that was touched since.
    pub grace: Duration,
    /// Manifests that no tag, no index and no subject leads to.
    pub untagged: bool,
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    pub uploads: u64,
    pub manifests: u64,
    /// Of repositories. Files go with the last.
    pub blobs: u64,
    /// Bytes of disk given back by blobs.
    pub bytes: u64,
}

impl Repositories {
    /// Removes uploads that nobody goes on with and content that nothing needs.
    pub fn sweep(&self, keep: Keep) -> Result<Swept, RepositoryError> {
        let mut swept = Swept {
            uploads: self.sweep_uploads(keep.grace)?,
            ..Swept::default()
        };
        let grace = i64::try_from(keep.grace.as_nanos()).unwrap_or(i64::MAX);
        let before = now().saturating_sub(grace);
        let mut files = Vec::new();
        self.write(|tx| {
            if !keep.untagged {
                swept.manifests = sweep_manifests(tx, before, &mut files)?;
            }
            swept.blobs = sweep_blobs(tx, before, &mut files)?;
            Ok(())
        })?;
        swept.bytes = self.discard_once(files)?;
        Ok(swept)
    }

    /// Removes files that may have had several records; gives the bytes of disk that it brought.
    pub(super) fn discard_once(&self, mut files: Vec<Digest>) -> Result<u64, RepositoryError> {
        files.sort_unstable();
        files.dedup();
        Ok(self.discard(&files)?.bytes)
    }

    fn sweep_uploads(&self, grace: Duration) -> Result<u64, RepositoryError> {
        let folder = self.store.layout.uploads();
        let entries = fs::read_dir(&folder).map_err(StoreError::file("list", &folder))?;
        let mut count = 0;
        for entry in entries {
            let path = entry.map_err(StoreError::file("list", &folder))?.path();
            if is_abandoned(&path, grace).map_err(StoreError::file("inspect", &path))? {
                fs::remove_file(&path).map_err(StoreError::file("remove", &path))?;
                count += 1;
            }
        }
        Ok(count + self.forget_uploads(grace))
    }
}

/// Whether an upload is old and nobody writes to it. The lock that was had ends with the file.
fn is_abandoned(path: &Path, grace: Duration) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let age = SystemTime::now().duration_since(file.metadata()?.modified()?);
    // One from the future is young.
    let old = age.is_ok_and(|age| age >= grace);
    Ok(old && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() && path.exists())
}

/// One manifest may lead to another, so this goes on until nothing is found.
fn sweep_manifests(
    tx: &Transaction<'_>,
    before: i64,
    files: &mut Vec<Digest>,
) -> Result<u64, RepositoryError> {
    let mut count = 0;
    loop {
        let mut statement = tx.prepare_cached(
            "DELETE FROM registry_manifests AS m WHERE pushed <= ?
             AND NOT EXISTS (SELECT 1 FROM registry_tags AS t
                 WHERE t.repository = m.repository AND t.manifest = m.digest)
             AND NOT EXISTS (SELECT 1 FROM registry_parts AS p
                 WHERE p.repository = m.repository AND p.digest = m.digest)
             AND (subject IS NULL OR NOT EXISTS (SELECT 1 FROM registry_manifests AS s
                 WHERE s.repository = m.repository AND s.digest = m.subject))
             RETURNING blob",
        )?;
        let mut rows = statement.query([before])?;
        let start = files.len();
        while let Some(row) = rows.next()? {
            files.push(column(row, 0, "blob digest")?);
        }
        match files.len() - start {
            0 => return Ok(count),
            found => count += found as u64,
        }
    }
}

fn sweep_blobs(
    tx: &Transaction<'_>,
    before: i64,
    files: &mut Vec<Digest>,
) -> Result<u64, RepositoryError> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM registry_blobs AS b WHERE touched <= ?
         AND NOT EXISTS (SELECT 1 FROM registry_parts AS p
             WHERE p.repository = b.repository AND p.digest = b.digest)
         RETURNING blob",
    )?;
    let mut rows = statement.query(params![before])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        files.push(column(row, 0, "blob digest")?);
        count += 1;
    }
    Ok(count)
}
