//! Lists: repositories and tags by pages, and what refers to a manifest.

use jiff::Timestamp;
use rusqlite::params;

use super::records::{self, Record, time};
use super::{
    ContentDigest, Manifest, ManifestKey, Repositories, RepositoryError, RepositoryName, TagName,
    find,
};
use crate::database::column;

/// Part of a list, in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// There is more behind the last item.
    pub more: bool,
}

/// Part of a list of which all was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<T> {
    pub items: Vec<T>,
    pub total: usize,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub skip: usize,
    pub limit: usize,
}

/// A tag, what it points to, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    pub tag: TagName,
    pub manifest: Manifest,
    pub updated: Timestamp,
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

impl Referrer {
    /// About how many bytes it is in a list.
    pub fn weight(&self) -> usize {
        let texts = [&self.artifact_type, &self.annotations];
        let texts = texts.into_iter().flatten().map(String::len);
        256 + self.media_type.len() + texts.sum::<usize>()
    }
}

/// Which referrers are wanted, and how many.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub subject: &'a ContentDigest,
    pub artifact_type: Option<&'a str>,
    /// After the one with that digest.
    pub last: Option<&'a str>,
    /// As many as weigh so much, and one at least.
    pub bytes: usize,
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
        let db = self.store.reader();
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
        let db = self.store.reader();
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
        let db = self.store.reader();
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

    /// The records of the repositories that have `text`, which is in lower case, in their name or
    /// description, by name: of those that `wanted` lets through.
    pub fn search(
        &self,
        text: &str,
        window: Window,
        mut wanted: impl FnMut(&RepositoryName) -> bool,
    ) -> Result<Slice<Record>, RepositoryError> {
        let db = self.store.database();
        let mut statement = db.prepare_cached(
            "SELECT name, description, id FROM registry_repositories ORDER BY name",
        )?;
        let mut rows = statement.query([])?;
        let (mut ids, mut total): (Vec<i64>, usize) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let name: RepositoryName = column(row, 0, "repository name")?;
            let description: String = row.get(1)?;
            let fits = name.as_str().contains(text) || description.to_lowercase().contains(text);
            if !fits || !wanted(&name) {
                continue;
            }
            if total >= window.skip && ids.len() < window.limit {
                ids.push(row.get(2)?);
            }
            total += 1;
        }
        // What a repository takes is summed up only for those that are shown.
        let items = ids
            .iter()
            .filter_map(|id| records::by_id(&db, *id).transpose());
        let items = items.collect::<Result<_, _>>()?;
        Ok(Slice { items, total })
    }

    /// A repository's tags with what they point to, the newest first.
    pub fn newest_tags(
        &self,
        repository: &RepositoryName,
        window: Window,
    ) -> Result<Slice<Tagged>, RepositoryError> {
        let db = self.store.database();
        let id = find(&db, repository)?;
        let count = "SELECT count(*) FROM registry_tags WHERE repository = ?";
        let total: i64 = db
            .prepare_cached(count)?
            .query_row([id], |row| row.get(0))?;
        let mut statement = db.prepare_cached(
            "SELECT tag, updated, manifest FROM registry_tags WHERE repository = ?
             ORDER BY updated DESC, tag LIMIT ? OFFSET ?",
        )?;
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let window = (number(window.limit), number(window.skip));
        let mut rows = statement.query(params![id, window.0, window.1])?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            let digest: ContentDigest = column(row, 2, "content digest")?;
            items.push(Tagged {
                tag: column(row, 0, "tag")?,
                manifest: super::manifests::find_in(&db, id, &ManifestKey::Digest(digest))?,
                updated: time(row.get(1)?)?,
            });
        }
        let total = usize::try_from(total).unwrap_or_default();
        Ok(Slice { items, total })
    }

    /// The tags that point to a manifest, by name.
    pub fn tags_of(
        &self,
        repository: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<Vec<TagName>, RepositoryError> {
        let db = self.store.database();
        let id = find(&db, repository)?;
        super::tags::of_manifest(&db, id, &digest.to_string())
    }

    /// The manifests of a repository that are about another, oldest first.
    pub fn referrers(
        &self,
        repository: &RepositoryName,
        wanted: &About<'_>,
    ) -> Result<Page<Referrer>, RepositoryError> {
        let db = self.store.reader();
        let none = Page {
            items: Vec::new(),
            more: false,
        };
        let id = match find(&db, repository) {
            Err(RepositoryError::NoRepository(_)) => return Ok(none),
            found => found?,
        };
        // Annotations may be as large as a manifest: only those that are given are read.
        let mut keys = db.prepare_cached(
            "SELECT digest FROM registry_manifests
             WHERE repository = ?1 AND subject = ?2 AND (?3 IS NULL OR artifact_type = ?3)
             AND (?4 IS NULL OR (pushed, digest) > (SELECT pushed, digest
                 FROM registry_manifests WHERE repository = ?1 AND digest = ?4))
             ORDER BY pushed, digest",
        )?;
        let mut one = db.prepare_cached(
            "SELECT digest, media_type, size, artifact_type, annotations
             FROM registry_manifests WHERE repository = ? AND digest = ?",
        )?;
        let subject = wanted.subject.to_string();
        let mut rows = keys.query(params![id, subject, wanted.artifact_type, wanted.last])?;
        let (mut page, mut bytes) = (none, 0);
        while let Some(row) = rows.next()? {
            let digest: String = row.get(0)?;
            let mut found = one.query(params![id, digest])?;
            let Some(row) = found.next()? else { continue };
            let referrer = Referrer {
                digest: column(row, 0, "content digest")?,
                media_type: row.get(1)?,
                size: row.get::<_, i64>(2)?.cast_unsigned(),
                artifact_type: row.get(3)?,
                annotations: row.get(4)?,
            };
            bytes += referrer.weight();
            if bytes > wanted.bytes && !page.items.is_empty() {
                page.more = true;
                break;
            }
            page.items.push(referrer);
        }
        Ok(page)
    }
}
