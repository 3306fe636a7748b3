//! Tags: what they point to, and their removal.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Repositories, RepositoryError, RepositoryName, TagName, find};
use crate::database::column;

impl Repositories {
    /// Removes a tag. Its manifest stays.
    pub fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &TagName,
    ) -> Result<(), RepositoryError> {
        self.write(|tx| {
            let id = find(tx, repository)?;
            let gone = tx.execute(
                "DELETE FROM registry_tags WHERE repository = ? AND tag = ?",
                params![id, tag.as_str()],
            )?;
            match gone {
                0 => Err(RepositoryError::NoManifest(tag.to_string())),
                _ => Ok(()),
            }
        })
    }
}

/// The digest of the manifest that a tag points to.
pub(super) fn target(
    db: &Connection,
    repository: i64,
    tag: &TagName,
) -> Result<Option<String>, RepositoryError> {
    Ok(db
        .prepare_cached("SELECT manifest FROM registry_tags WHERE repository = ? AND tag = ?")?
        .query_row(params![repository, tag.as_str()], |row| row.get(0))
        .optional()?)
}

pub(super) fn of_manifest(
    db: &Connection,
    repository: i64,
    digest: &str,
) -> Result<Vec<TagName>, RepositoryError> {
    let mut statement = db.prepare_cached(
        "SELECT tag FROM registry_tags WHERE repository = ? AND manifest = ? ORDER BY tag",
    )?;
    let mut rows = statement.query(params![repository, digest])?;
    let mut tags = Vec::new();
    while let Some(row) = rows.next()? {
        tags.push(column(row, 0, "tag")?);
    }
    Ok(tags)
}
