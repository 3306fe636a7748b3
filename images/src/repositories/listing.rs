//! Lists: repositories and tags by pages, and what refers to a manifest.

use rusqlite::params;

use super::{ContentDigest, Repositories, RepositoryError, RepositoryName, TagName, find};
use crate::database::column;

/// Part of a list, in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// There is more behind the last item.
    pub more: bool,
}

/// A manifest that says that it is about another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    pub digest: ContentDigest,
    pub media_type: String,
    pub size: u64,
    pub artifact_type: Option<String>,
    /// A JSON object.
    pub annotations: Option<String>,
}

impl Repositories {
    /// The repositories that have a manifest, after `last`, as many as `limit` of those that
    /// `wanted` lets through.
    pub fn catalog(
        &self,
        last: Option<&str>,
        limit: usize,
        mut wanted: impl FnMut(&RepositoryName) -> bool,
    ) -> Result<Page<RepositoryName>, RepositoryError> {
        let db = self.store.database();
        let mut statement = db.prepare_cached(
            "SELECT name FROM registry_repositories AS r WHERE name > ? AND EXISTS
             (SELECT 1 FROM registry_manifests WHERE repository = r.id) ORDER BY name",
        )?;
        let mut rows = statement.query([last.unwrap_or_default()])?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            let name = column(row, 0, "repository name")?;
            if !wanted(&name) {
                continue;
            }
            if items.len() == limit {
                return Ok(Page { items, more: true });
            }
            items.push(name);
        }
        Ok(Page { items, more: false })
    }

    /// The repositories that hold a blob, for who may choose among them.
    pub fn holders(&self, digest: &ContentDigest) -> Result<Vec<RepositoryName>, RepositoryError> {
        let db = self.store.database();
        let mut statement = db.prepare_cached(
            "SELECT name FROM registry_repositories WHERE id IN
             (SELECT repository FROM registry_blobs WHERE digest = ?) ORDER BY id LIMIT 1000",
        )?;
        let mut rows = statement.query([digest.to_string()])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()? {
            names.push(column(row, 0, "repository name")?);
        }
        Ok(names)
    }

    /// A repository's tags after `last`, as many as `limit`.
    pub fn tags(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<TagName>, RepositoryError> {
        let db = self.store.database();
        let id = find(&db, repository)?;
        let mut statement = db.prepare_cached(
            "SELECT tag FROM registry_tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?",
        )?;
        let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![id, last.unwrap_or_default(), most])?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            items.push(column(row, 0, "tag")?);
        }
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { items, more })
    }

    /// The manifests of a repository whose subject is `digest`, oldest first.
    pub fn referrers(
        &self,
        repository: &RepositoryName,
        digest: &ContentDigest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, RepositoryError> {
        let db = self.store.database();
        let id = match find(&db, repository) {
            Err(RepositoryError::NoRepository(_)) => return Ok(Vec::new()),
            found => found?,
        };
        let mut statement = db.prepare_cached(
            "SELECT digest, media_type, size, artifact_type, annotations FROM registry_manifests
             WHERE repository = ?1 AND subject = ?2 AND (?3 IS NULL OR artifact_type = ?3)
             ORDER BY pushed, digest",
        )?;
        let mut rows = statement.query(params![id, digest.to_string(), artifact_type])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Referrer {
                digest: column(row, 0, "content digest")?,
                media_type: row.get(1)?,
                size: row.get::<_, i64>(2)?.cast_unsigned(),
                artifact_type: row.get(3)?,
                annotations: row.get(4)?,
            });
        }
        Ok(found)
    }
}
