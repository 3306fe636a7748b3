//! Repositories that are copies of another registry's: what they are of, and what of them is old.
//!
//! A repository is a copy from the first content that is fetched for it, and stays one until
//! somebody pushes to it. What was pushed is here alone, so it is never taken for a copy: not
//! fetched again, and not removed for its age.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::blobs::{TOUCH, unless_full};
use super::{
    ContentDigest, Repositories, RepositoryError, RepositoryName, Swept, find, find_or_create,
};
use crate::database::column;
use crate::digest::Digest;
use crate::store::now;

/// Where a repository's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// There is no such repository.
    Nowhere,
    Pushed,
    /// From the registry at that address.
    Copied(String),
}

impl Repositories {
    pub fn origin(&self, name: &RepositoryName) -> Result<Origin, RepositoryError> {
        let db = self.store.reader();
        let found = db
            .prepare_cached(
                "SELECT upstream FROM registry_repositories
                 LEFT JOIN registry_cached ON repository = id WHERE name = ?",
            )?
            .query_row([name.as_str()], |row| row.get::<_, Option<String>>(0))
            .optional()?;
        Ok(match found {
            None => Origin::Nowhere,
            Some(None) => Origin::Pushed,
            Some(Some(upstream)) => Origin::Copied(upstream),
        })
    }

    /// Makes a repository a copy of an upstream's. Says whether it is one then: what was pushed
    /// stays what it is.
    pub fn copy_from(
        &self,
        name: &RepositoryName,
        upstream: &str,
    ) -> Result<bool, RepositoryError> {
        match self.origin(name)? {
            Origin::Pushed => return Ok(false),
            Origin::Copied(known) if known == upstream => return Ok(true),
            // Another registry's: what it called so is something else.
            Origin::Copied(_) => self.delete(name)?,
            Origin::Nowhere => {}
        }
        self.write(|tx| {
            let before = find(tx, name).is_ok();
            let id = find_or_create(tx, name)?;
            if !before {
                tx.execute(
                    "INSERT INTO registry_cached (repository, upstream) VALUES (?, ?)",
                    params![id, upstream],
                )?;
            }
            let known: Option<String> = tx
                .query_row(
                    "SELECT upstream FROM registry_cached WHERE repository = ?",
                    [id],
                    |row| row.get(0),
                )
                .optional()?;
            Ok(known.as_deref() == Some(upstream))
        })
    }

    /// Makes a copy a repository of our own, for somebody pushes to it.
    pub fn own(&self, name: &RepositoryName) -> Result<(), RepositoryError> {
        if !matches!(self.origin(name)?, Origin::Copied(_)) {
            return Ok(());
        }
        self.write(|tx| {
            let id = find(tx, name)?;
            tx.execute("DELETE FROM registry_cached WHERE repository = ?", [id])?;
            Ok(())
        })
    }

    /// Notes that a copy's manifest is in use.
    pub fn used(
        &self,
        name: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<(), RepositoryError> {
        let db = self.store.database();
        let id = find(&db, name)?;
        let now = now();
        let old = now.saturating_sub(TOUCH);
        let noted = db
            .prepare_cached(
                "UPDATE registry_manifests SET pushed = ?1
                 WHERE repository = ?2 AND digest = ?3 AND pushed < ?4",
            )?
            .execute(params![now, id, digest.to_string(), old]);
        unless_full(noted)?;
        Ok(())
    }

    /// Removes the copies of all upstreams but this one: who has them called other things so.
    pub fn forget_others(&self, upstream: &str) -> Result<u64, RepositoryError> {
        let others: Vec<RepositoryName> = {
            let db = self.store.database();
            let mut statement = db.prepare(
                "SELECT name FROM registry_cached
                 JOIN registry_repositories ON id = repository WHERE upstream <> ?",
            )?;
            let mut rows = statement.query([upstream])?;
            let mut names = Vec::new();
            while let Some(row) = rows.next()? {
                names.push(column(row, 0, "repository name")?);
            }
            names
        };
        for name in &others {
            self.delete(name)?;
        }
        Ok(others.len() as u64)
    }

    /// Removes what nobody used of copies for so long. It can be fetched again.
    pub fn expire(&self, age: Duration) -> Result<Swept, RepositoryError> {
        let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
        let before = now().saturating_sub(age);
        let mut files: Vec<Digest> = Vec::new();
        let mut swept = Swept::default();
        self.write(|tx| {
            let mut take = |statement: &str| -> Result<u64, RepositoryError> {
                let mut statement = tx.prepare_cached(statement)?;
                let mut rows = statement.query([before])?;
                let mut count = 0;
                while let Some(row) = rows.next()? {
                    files.push(column(row, 0, "blob digest")?);
                    count += 1;
                }
                Ok(count)
            };
            swept.manifests = take(
                "DELETE FROM registry_manifests WHERE pushed <= ?
                 AND repository IN (SELECT repository FROM registry_cached) RETURNING blob",
            )?;
            swept.blobs = take(
                "DELETE FROM registry_blobs WHERE touched <= ?
                 AND repository IN (SELECT repository FROM registry_cached) RETURNING blob",
            )?;
            Ok(())
        })?;
        swept.bytes = self.discard_once(files)?;
        Ok(swept)
    }
}
