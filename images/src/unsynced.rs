//! Small blobs that are durable before their files are.
//!
//! To sync a file costs the disk a flush or two, however small the file is. So the bytes of a small
//! blob go into the database as well, in the transaction that refers to the blob: its commit is
//! the one sync that makes both durable, and it is shared by all who commit together. Files are
//! synced later, many at once, and the bytes leave the database:
//!
//! ```text
//!   file written, renamed ──► commit: reference + bytes ──► (later) files synced ──► bytes deleted
//!                                         │
//!                                         └ power fails: the next start writes the file again
//! ```
//!
//! A process that is killed leaves its files in the page cache: only a machine that goes down
//! makes a difference between a file that is there and one that is durable.

use std::fs::{self, File};
use std::io::{self, Write};
use std::sync::PoisonError;

use rusqlite::{Connection, params};

use crate::digest::Digest;
use crate::error::StoreError;
use crate::fault;
use crate::lease::sync_parent;
use crate::store::Inner;

/// Blobs up to this size. Above it, writing the bytes twice costs more than a sync.
pub(crate) const SMALL: u64 = 32 << 10;

/// From so many files on, one sync of their whole file system is cheaper than one of each.
const MANY: usize = 64;
/// Settled at once: bounds what is held of their names.
const AT_ONCE: i64 = 16 << 10;

impl Inner {
    /// Makes a small blob's bytes part of a transaction that refers to it.
    pub(crate) fn keep_bytes(
        &self,
        db: &Connection,
        blob: &Digest,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        db.prepare_cached("INSERT INTO unsynced (blob, bytes) VALUES (?, ?)")?
            .execute(params![blob.to_string(), bytes])?;
        Ok(())
    }

    /// Part of a transaction that removes a blob's file.
    pub(crate) fn forget_bytes(&self, db: &Connection, blob: &str) -> Result<(), StoreError> {
        db.prepare_cached("DELETE FROM unsynced WHERE blob = ?")?
            .execute([blob])?;
        Ok(())
    }

    /// Syncs the files of small blobs, and lets their bytes go. Says how many there were.
    pub(crate) fn settle(&self) -> Result<usize, StoreError> {
        // Two at once would only do the same work twice.
        let _turn = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0;
        loop {
            let (last, blobs) = self.unsettled()?;
            if blobs.is_empty() {
                return Ok(count);
            }
            count += blobs.len();
            self.sync_blobs(&blobs)?;
            fault::point();
            // A blob that came again since has a later row.
            self.database()
                .prepare_cached("DELETE FROM unsynced WHERE id <= ?")?
                .execute([last])?;
            fault::point();
        }
    }

    /// Writes the files again that a crash of the machine took.
    pub(crate) fn recover(&self) -> Result<(), StoreError> {
        let db = self.database();
        let mut statement = db.prepare("SELECT blob, bytes FROM unsynced ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut lost = 0;
        while let Some(row) = rows.next()? {
            let blob: Digest = crate::database::column(row, 0, "blob digest")?;
            let bytes = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
            lost += u64::from(self.write_if_lost(&blob, bytes)?);
        }
        if lost > 0 {
            tracing::warn!(
                blobs = lost,
                "wrote blobs again that had not reached the disk"
            );
        }
        drop(rows);
        drop(statement);
        drop(db);
        self.settle().map(drop)
    }

    fn write_if_lost(&self, blob: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
        let target = self.layout.blob(blob);
        match fs::read(&target) {
            Ok(found) if found == bytes => return Ok(false),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::file("read", &target)(error));
            }
            _ => {}
        }
        let aside = self.layout.rescued(blob);
        let written = File::create(&aside).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(StoreError::file("write", &aside))?;
        fs::rename(&aside, &target).map_err(StoreError::file("rename", &aside))?;
        Ok(true)
    }

    /// Some of the blobs that are to be synced, and the last one's row.
    fn unsettled(&self) -> Result<(i64, Vec<Digest>), StoreError> {
        let db = self.database();
        let mut statement =
            db.prepare_cached("SELECT id, blob FROM unsynced ORDER BY id LIMIT ?")?;
        let mut rows = statement.query([AT_ONCE])?;
        let (mut last, mut blobs) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            blobs.push(crate::database::column(row, 1, "blob digest")?);
        }
        Ok((last, blobs))
    }

    fn sync_blobs(&self, blobs: &[Digest]) -> Result<(), StoreError> {
        let folder = self.layout.blobs();
        if blobs.len() >= MANY {
            let opened = File::open(&folder).map_err(StoreError::file("open", &folder))?;
            return rustix::fs::syncfs(&opened)
                .map_err(|error| StoreError::file("sync", &folder)(error.into()));
        }
        for blob in blobs {
            let path = self.layout.blob(blob);
            match File::open(&path) {
                Ok(file) => file.sync_all().map_err(StoreError::file("sync", &path))?,
                // Deleted since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::file("open", &path)(error)),
            }
        }
        blobs
            .first()
            .map_or(Ok(()), |blob| sync_parent(&self.layout.blob(blob)))
    }
}
