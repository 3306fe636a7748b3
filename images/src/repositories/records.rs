//! What is known of a repository beside its content: whose it is, who may see it, what it is for.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Repositories, RepositoryError, RepositoryName, find, find_or_create, used};
use crate::database::column;
use crate::digest::Digest;
use crate::error::StoreError;

/// Who may read a repository without being named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    Public,
    Private,
}

/// A repository's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub name: RepositoryName,
    pub created: Timestamp,
    /// Who pushed it first, where the registry knows users.
    pub owner: Option<String>,
    pub visibility: Visibility,
    pub description: String,
    /// The long description.
    pub overview: String,
    /// Users who may read and write beside the owner, sorted.
    pub collaborators: Vec<String>,
    /// Bytes of its blobs and manifests.
    pub size: u64,
    pub tags: u64,
    /// When a manifest last came.
    pub pushed: Option<Timestamp>,
}

/// What to change in a record; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub owner: Option<String>,
    pub visibility: Option<Visibility>,
    pub description: Option<String>,
    pub overview: Option<String>,
    pub collaborators: Option<Vec<String>>,
}

/// What a repository says of a user, or of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub public: bool,
    pub owner: bool,
    pub collaborator: bool,
}

const COLUMNS: &str = "SELECT id, name, created, owner, public, description, overview,
    (SELECT count(*) FROM registry_tags WHERE repository = id),
    (SELECT max(pushed) FROM registry_manifests WHERE repository = id)
    FROM registry_repositories";

impl Repositories {
    /// One repository's record.
    pub fn record(&self, name: &RepositoryName) -> Result<Record, RepositoryError> {
        let db = self.store.reader();
        let id = find(&db, name)?;
        by_id(&db, id)?.ok_or_else(|| RepositoryError::NoRepository(name.clone()))
    }

    /// Every repository's record, by name.
    pub fn records(&self) -> Result<Vec<Record>, RepositoryError> {
        let db = self.store.reader();
        let mut statement = db.prepare_cached(&format!("{COLUMNS} ORDER BY name"))?;
        let mut rows = statement.query([])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(read(&db, row)?);
        }
        Ok(records)
    }

    /// What a repository says of a user. One that is not there says nothing.
    pub fn standing(
        &self,
        name: &RepositoryName,
        user: Option<&str>,
    ) -> Result<Standing, RepositoryError> {
        let db = self.store.reader();
        let standing = db
            .prepare_cached(
                "SELECT public, owner IS NOT NULL AND owner IS ?2, EXISTS
                 (SELECT 1 FROM registry_collaborators WHERE repository = id AND user IS ?2)
                 FROM registry_repositories WHERE name = ?1",
            )?
            .query_row(params![name.as_str(), user], |row| {
                Ok(Standing {
                    public: row.get(0)?,
                    owner: row.get(1)?,
                    collaborator: row.get(2)?,
                })
            })
            .optional()?;
        Ok(standing.unwrap_or_default())
    }

    /// The repositories that say that a user, or anybody, may read them.
    pub fn opened_to(
        &self,
        user: Option<&str>,
    ) -> Result<HashSet<RepositoryName>, RepositoryError> {
        let db = self.store.reader();
        let mut statement = db.prepare_cached(
            "SELECT name FROM registry_repositories WHERE public OR owner = ?1 OR EXISTS
             (SELECT 1 FROM registry_collaborators WHERE repository = id AND user = ?1)",
        )?;
        let mut rows = statement.query([user])?;
        let mut names = HashSet::new();
        while let Some(row) = rows.next()? {
            names.insert(column(row, 0, "repository name")?);
        }
        Ok(names)
    }

    /// Changes a record, and makes the repository if there is none.
    pub fn change(&self, name: &RepositoryName, change: &Change) -> Result<(), RepositoryError> {
        self.write(|tx| {
            let id = find_or_create(tx, name)?;
            let public = change.visibility.map(|v| v == Visibility::Public);
            tx.execute(
                "UPDATE registry_repositories SET owner = coalesce(?, owner),
                 public = coalesce(?, public), description = coalesce(?, description),
                 overview = coalesce(?, overview) WHERE id = ?",
                params![
                    change.owner,
                    public,
                    change.description,
                    change.overview,
                    id
                ],
            )?;
            if let Some(users) = &change.collaborators {
                tx.execute(
                    "DELETE FROM registry_collaborators WHERE repository = ?",
                    [id],
                )?;
                for user in users {
                    tx.execute(
                        "INSERT OR IGNORE INTO registry_collaborators VALUES (?, ?)",
                        params![id, user],
                    )?;
                }
            }
            Ok(())
        })
    }

    /// Deletes a repository with all that it holds.
    pub fn delete(&self, name: &RepositoryName) -> Result<(), RepositoryError> {
        let files = self.write(|tx| {
            let id = find(tx, name)?;
            let mut statement = tx.prepare(
                "SELECT blob FROM registry_blobs WHERE repository = ?1
                 UNION SELECT blob FROM registry_manifests WHERE repository = ?1",
            )?;
            let mut rows = statement.query([id])?;
            let mut files: Vec<Digest> = Vec::new();
            while let Some(row) = rows.next()? {
                files.push(column(row, 0, "blob digest")?);
            }
            tx.execute("DELETE FROM registry_repositories WHERE id = ?", [id])?;
            Ok(files)
        })?;
        self.discard(&files)?;
        Ok(())
    }
}

pub(super) fn by_id(db: &Connection, id: i64) -> Result<Option<Record>, RepositoryError> {
    let mut statement = db.prepare_cached(&format!("{COLUMNS} WHERE id = ?"))?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(|row| read(db, row)).transpose()
}

fn read(db: &Connection, row: &Row<'_>) -> Result<Record, RepositoryError> {
    let id: i64 = row.get(0)?;
    let mut statement = db.prepare_cached(
        "SELECT user FROM registry_collaborators WHERE repository = ? ORDER BY user",
    )?;
    let users = statement.query_map([id], |row| row.get(0))?;
    Ok(Record {
        name: column(row, 1, "repository name")?,
        created: time(row.get(2)?)?,
        owner: row.get(3)?,
        visibility: match row.get(4)? {
            true => Visibility::Public,
            false => Visibility::Private,
        },
        description: row.get(5)?,
        overview: row.get(6)?,
        collaborators: users.collect::<Result<_, _>>()?,
        size: used(db, id)?,
        tags: row.get::<_, i64>(7)?.cast_unsigned(),
        pushed: row.get::<_, Option<i64>>(8)?.map(time).transpose()?,
    })
}

pub(super) fn time(nanoseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).map_err(|_| StoreError::Record {
        what: "moment",
        text: nanoseconds.to_string(),
    })
}
