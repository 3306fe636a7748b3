//! The store's records: what there is, what it is called, and what refers to what.
//!
//! A file under `blobs` or `layers` may go when no row of `image_blobs`, `image_layers`,
//! `registry_blobs`, `registry_manifests` or `pins` names it. A row of `layers` means that its file
//! is there, and says what only unpacking told.
//!
//! The schema grows by steps: a database of version N takes the steps from N on, all or none.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use rusqlite::{Connection, Row, TransactionBehavior};

use crate::error::StoreError;

/// Never changed, only added to: what a step made is on people's disks.
const STEPS: &[&str] = &[IMAGES, REGISTRY, CACHED, UNSYNCED];

const IMAGES: &str = "
CREATE TABLE images (
    id       TEXT PRIMARY KEY,
    manifest TEXT NOT NULL,
    parent   TEXT,
    size     INTEGER NOT NULL,   -- of its layers, unpacked
    added    INTEGER NOT NULL,   -- unix nanoseconds
    tagged   INTEGER             -- when it last got a tag
) STRICT;
CREATE TABLE layers (
    chain TEXT PRIMARY KEY,
    diff  TEXT NOT NULL,
    size  INTEGER NOT NULL       -- unpacked
) STRICT;
CREATE TABLE image_layers (
    image    TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    position INTEGER NOT NULL,   -- 0 is the lowest
    chain    TEXT NOT NULL REFERENCES layers,
    PRIMARY KEY (image, position)
) STRICT;
CREATE INDEX image_layers_by_chain ON image_layers (chain);
CREATE TABLE image_blobs (
    image TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    blob  TEXT NOT NULL,
    PRIMARY KEY (image, blob)
) STRICT;
CREATE INDEX image_blobs_by_blob ON image_blobs (blob);
-- Layer blobs of which the plain tar's digest was seen.
CREATE TABLE blob_diffs (
    blob TEXT PRIMARY KEY,
    diff TEXT NOT NULL
) STRICT;
CREATE TABLE tags (
    repository TEXT NOT NULL,
    tag        TEXT NOT NULL,
    image      TEXT NOT NULL REFERENCES images,
    PRIMARY KEY (repository, tag)
) STRICT;
CREATE INDEX tags_by_image ON tags (image);
CREATE TABLE repo_digests (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    image      TEXT NOT NULL REFERENCES images,
    PRIMARY KEY (repository, digest)
) STRICT;
CREATE INDEX repo_digests_by_image ON repo_digests (image);
-- What a live operation needs, before an image does.
CREATE TABLE pins (
    lease  TEXT NOT NULL,
    digest TEXT NOT NULL,        -- of a blob, or a chain id
    PRIMARY KEY (lease, digest)
) STRICT;
CREATE INDEX pins_by_digest ON pins (digest);
";

/// What the registry's repositories hold (see `repositories`). A digest here is what clients call
/// the content, by any algorithm; a blob is the file, by SHA-256.
const REGISTRY: &str = "
CREATE TABLE registry_repositories (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    created     INTEGER NOT NULL,             -- unix nanoseconds, as all times here
    owner       TEXT,
    public      INTEGER NOT NULL DEFAULT 0,
    description TEXT NOT NULL DEFAULT '',
    overview    TEXT NOT NULL DEFAULT ''      -- the long description
) STRICT;
CREATE TABLE registry_collaborators (
    repository INTEGER NOT NULL REFERENCES registry_repositories ON DELETE CASCADE,
    user       TEXT NOT NULL,
    PRIMARY KEY (repository, user)
) STRICT;
CREATE TABLE registry_blobs (
    repository INTEGER NOT NULL REFERENCES registry_repositories ON DELETE CASCADE,
    digest     TEXT NOT NULL,
    blob       TEXT NOT NULL,
    size       INTEGER NOT NULL,
    touched    INTEGER NOT NULL,              -- when a client was last told that it is here
    PRIMARY KEY (repository, digest)
) STRICT;
CREATE INDEX registry_blobs_by_blob ON registry_blobs (blob);
CREATE INDEX registry_blobs_by_digest ON registry_blobs (digest);
CREATE TABLE registry_manifests (
    repository    INTEGER NOT NULL REFERENCES registry_repositories ON DELETE CASCADE,
    digest        TEXT NOT NULL,
    blob          TEXT NOT NULL,
    size          INTEGER NOT NULL,
    media_type    TEXT NOT NULL,
    subject       TEXT,
    artifact_type TEXT,
    annotations   TEXT,                       -- JSON
    pushed        INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT;
CREATE INDEX registry_manifests_by_blob ON registry_manifests (blob);
CREATE INDEX registry_manifests_by_subject ON registry_manifests (repository, subject);
-- What a manifest is made of: blobs and manifests of the same repository.
CREATE TABLE registry_parts (
    repository INTEGER NOT NULL,
    manifest   TEXT NOT NULL,
    digest     TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, digest),
    FOREIGN KEY (repository, manifest) REFERENCES registry_manifests ON DELETE CASCADE
) STRICT;
CREATE INDEX registry_parts_by_digest ON registry_parts (repository, digest);
CREATE TABLE registry_tags (
    repository INTEGER NOT NULL,
    tag        TEXT NOT NULL,
    manifest   TEXT NOT NULL,
    updated    INTEGER NOT NULL,
    PRIMARY KEY (repository, tag),
    FOREIGN KEY (repository, manifest) REFERENCES registry_manifests ON DELETE CASCADE
) STRICT;
CREATE INDEX registry_tags_by_manifest ON registry_tags (repository, manifest);
";

/// Repositories that are copies of another registry's (see `repositories::cached`).
const CACHED: &str = "
CREATE TABLE registry_cached (
    repository INTEGER PRIMARY KEY REFERENCES registry_repositories ON DELETE CASCADE,
    upstream   TEXT NOT NULL                 -- its address
) STRICT;
";

/// Small blobs that are durable here before they are as files (see `unsynced`).
const UNSYNCED: &str = "
CREATE TABLE unsynced (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,  -- later ones have greater ones, always
    blob  TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX unsynced_by_blob ON unsynced (blob);
";

/// A checkpoint stops whoever commits, and costs two syncs: rather one each 16 MiB than each 4.
const CHECKPOINT_PAGES: i64 = 4096;

pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(30))?;
    db.pragma_update(None, "journal_mode", "wal")?;
    // A commit is on disk when it returns: it is what makes a synced file count.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", "on")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = STEPS.len() as i64;
    let steps = usize::try_from(found).ok().and_then(|at| STEPS.get(at..));
    for step in steps.ok_or(StoreError::DatabaseVersion { found, known })? {
        tx.execute_batch(step)?;
    }
    if found != known {
        tx.pragma_update(None, "user_version", known)?;
    }
    tx.commit()?;
    Ok(db)
}

/// A second connection to a database that is open, for queries.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(30))?;
    db.pragma_update(None, "query_only", "on")?;
    Ok(db)
}

/// A text column as what it stands for.
pub(crate) fn column<T>(row: &Row<'_>, at: usize, what: &'static str) -> Result<T, StoreError>
where
    T: FromStr<Err: Display>,
{
    let text: String = row.get(at)?;
    parse(text, what)
}

/// As [`column`], of a column that may be empty.
pub(crate) fn maybe<T>(
    row: &Row<'_>,
    at: usize,
    what: &'static str,
) -> Result<Option<T>, StoreError>
where
    T: FromStr<Err: Display>,
{
    let text: Option<String> = row.get(at)?;
    text.map(|text| parse(text, what)).transpose()
}

fn parse<T: FromStr>(text: String, what: &'static str) -> Result<T, StoreError> {
    match text.parse() {
        Ok(value) => Ok(value),
        Err(_) => Err(StoreError::Record { what, text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(db: &Connection) -> i64 {
        db.pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn an_old_database_takes_the_steps_that_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(IMAGES).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old.execute_batch("INSERT INTO pins VALUES ('lease', 'digest')")
            .unwrap();
        drop(old);
        for _ in 0..2 {
            let db = open(&path).unwrap();
            assert_eq!(version(&db), STEPS.len() as i64);
            let count = |table: &str| -> i64 {
                let query = format!("SELECT count(*) FROM {table}");
                db.query_row(&query, [], |row| row.get(0)).unwrap()
            };
            assert_eq!((count("pins"), count("registry_tags")), (1, 0));
        }
    }

    #[test]
    fn a_newer_database_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let newer = open(&path).unwrap();
        newer.pragma_update(None, "user_version", 1000).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains("has version 1000"), "{error}");
        assert_eq!(version(&newer), 1000);
    }
}
