//! Finds the image that a user means, in Docker's order: a name, then the start of an id.

use rusqlite::{Connection, OptionalExtension};

use crate::database::{column, maybe};
use crate::digest::{Digest, ImageId};
use crate::error::StoreError;
use crate::reference::{AnyReference, Reference, ReferenceError, Repository};
use crate::store::Store;

/// Why no image was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("No such image: {0}")]
    NotFound(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The image that `text` names: `x`, `x:tag`, `x@sha256:…`, an id, or the start of one.
    pub fn find(&self, text: &str) -> Result<ImageId, FindError> {
        let db = self.inner.database();
        find(&db, text)
    }
}

pub(crate) fn find(db: &Connection, text: &str) -> Result<ImageId, FindError> {
    let reference: AnyReference = text.parse()?;
    let not_found = || FindError::NotFound(reference.familiar());
    match &reference {
        AnyReference::Digest(digest) => {
            let id = ImageId(*digest);
            return exists(db, &id)?.then_some(id).ok_or_else(not_found);
        }
        AnyReference::Named(name) => {
            if let Some(id) = named(db, name)? {
                return Ok(id);
            }
        }
    }
    let prefix = text.strip_prefix("sha256:").unwrap_or(text);
    if !prefix
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err(not_found());
    }
    let mut statement = db
        .prepare("SELECT id FROM images WHERE id GLOB ? LIMIT 2")
        .map_err(StoreError::from)?;
    let mut rows = statement
        .query([format!("sha256:{prefix}*")])
        .map_err(StoreError::from)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(StoreError::from)? {
        found.push(column(row, 0, "image id")?);
    }
    match found[..] {
        [id] => Ok(id),
        // Of several that begin so Docker says the same as of none.
        _ => Err(not_found()),
    }
}

/// The image of a name. A digest says more than a tag beside it.
pub(crate) fn named(db: &Connection, name: &Reference) -> Result<Option<ImageId>, StoreError> {
    let repository = name.repository().to_string();
    match name.digest() {
        Some(digest) => with_digest(db, &repository, digest),
        None => tagged(db, &repository, name.tag().unwrap_or("latest")),
    }
}

/// A repository's tags with their images, sorted.
pub(crate) fn tags_of(
    db: &Connection,
    repository: &Repository,
) -> Result<Vec<(Reference, ImageId)>, StoreError> {
    let query = "SELECT repository || ':' || tag, image FROM tags WHERE repository = ? ORDER BY 1";
    let mut statement = db.prepare(query)?;
    let mut rows = statement.query([repository.to_string()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((column(row, 0, "reference")?, column(row, 1, "image id")?));
    }
    Ok(found)
}

pub(crate) fn tagged(
    db: &Connection,
    repository: &str,
    tag: &str,
) -> Result<Option<ImageId>, StoreError> {
    one(
        db,
        "SELECT image FROM tags WHERE repository = ? AND tag = ?",
        [repository, tag],
    )
}

fn with_digest(
    db: &Connection,
    repository: &str,
    digest: &Digest,
) -> Result<Option<ImageId>, StoreError> {
    one(
        db,
        "SELECT image FROM repo_digests WHERE repository = ? AND digest = ?",
        [repository, &digest.to_string()],
    )
}

pub(crate) fn exists(db: &Connection, id: &ImageId) -> Result<bool, StoreError> {
    let query = "SELECT EXISTS (SELECT 1 FROM images WHERE id = ?)";
    Ok(db.query_row(query, [id.to_string()], |row| row.get(0))?)
}

fn one(db: &Connection, query: &str, values: [&str; 2]) -> Result<Option<ImageId>, StoreError> {
    let id = db.query_row(query, values, |row| Ok(maybe(row, 0, "image id")));
    id.optional()?.transpose().map(Option::flatten)
}
