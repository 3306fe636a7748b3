//! The store's records: what there is, what it is called, and what refers to what.
//!
//! A file under `blobs` or `layers` may go when no row of `image_blobs`, `image_layers` or `pins`
//! names it. A row of `layers` means that its file is there, and says what only unpacking told.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use rusqlite::{Connection, Row, TransactionBehavior};

use crate::error::StoreError;

const VERSION: i64 = 1;

const SCHEMA: &str = "
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

pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(30))?;
    db.pragma_update(None, "journal_mode", "wal")?;
    // A commit is on disk when it returns: it is what makes a synced file count.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", "on")?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match tx.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        VERSION => {}
        0 => {
            tx.execute_batch(SCHEMA)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        found => {
            let known = VERSION;
            return Err(StoreError::DatabaseVersion { found, known });
        }
    }
    tx.commit()?;
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
