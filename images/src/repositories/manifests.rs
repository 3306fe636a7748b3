//! A repository's manifests: pushed with what they are made of, found by tag or digest, deleted.

use std::fs;
use std::io;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::records::time;
use super::{
    BlobFile, ContentDigest, Repositories, RepositoryError, RepositoryName, TagName, check_quota,
    find, find_or_create,
};
use crate::database::column;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::store::now;

/// How a client names a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestKey {
    Tag(TagName),
    Digest(ContentDigest),
}

impl std::fmt::Display for ManifestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ManifestKey::Tag(tag) => tag.fmt(f),
            ManifestKey::Digest(digest) => digest.fmt(f),
        }
    }
}

/// A manifest as it is pushed, and what its reader found in it.
#[derive(Debug, Clone)]
pub struct NewManifest<'a> {
    pub bytes: &'a [u8],
    /// Checked by the caller to be that of the bytes.
    pub digest: ContentDigest,
    pub media_type: &'a str,
    pub tags: &'a [TagName],
    /// Blobs that must be in the repository.
    pub blobs: Vec<ContentDigest>,
    /// Its parts if they are there: layers that may be fetched from elsewhere.
    pub optional: Vec<ContentDigest>,
    /// Manifests that must be in the repository.
    pub manifests: Vec<ContentDigest>,
    /// What it is about, which need not be there.
    pub subject: Option<ContentDigest>,
    pub artifact_type: Option<String>,
    /// A JSON object.
    pub annotations: Option<String>,
    /// Who sends it. A repository without an owner is his then.
    pub pusher: Option<&'a str>,
}

/// A manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub digest: ContentDigest,
    pub media_type: String,
    pub size: u64,
    /// When it last came.
    pub pushed: Timestamp,
    file: Digest,
}

/// What a push changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The repository did not have the manifest before.
    pub is_new: bool,
}

impl Repositories {
    /// Adds a manifest, and points its tags to it.
    pub fn put_manifest(
        &self,
        repository: &RepositoryName,
        new: &NewManifest<'_>,
        quota: Option<u64>,
    ) -> Result<Pushed, RepositoryError> {
        self.put_with(repository, new.bytes, |tx, file| {
            let id = find_or_create(tx, repository)?;
            let missing = missing_parts(tx, id, new)?;
            if !missing.is_empty() {
                return Err(RepositoryError::MissingParts(missing));
            }
            let digest = new.digest.to_string();
            let is_new = row(tx, id, &digest)?.is_none();
            if is_new {
                check_quota(tx, id, new.bytes.len() as u64, quota)?;
            }
            record(tx, id, &digest, file, new)?;
            if let Some(pusher) = new.pusher {
                tx.prepare_cached(
                    "UPDATE registry_repositories SET owner = ? WHERE id = ? AND owner IS NULL",
                )?
                .execute(params![pusher, id])?;
            }
            for tag in new.tags {
                tx.prepare_cached(
                    "INSERT INTO registry_tags (repository, tag, manifest, updated)
                     VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
                     SET manifest = excluded.manifest, updated = excluded.updated",
                )?
                .execute(params![id, tag.as_str(), digest, now()])?;
            }
            Ok(Pushed { is_new })
        })
    }

    /// Finds a manifest.
    pub fn manifest(
        &self,
        repository: &RepositoryName,
        key: &ManifestKey,
    ) -> Result<Manifest, RepositoryError> {
        let db = self.store.reader();
        let id = find(&db, repository)?;
        find_in(&db, id, key)
    }

    /// A manifest's bytes, as they were pushed.
    pub fn manifest_bytes(&self, manifest: &Manifest) -> Result<Vec<u8>, RepositoryError> {
        let path = self.store.layout.blob(&manifest.file);
        match fs::read(&path) {
            // Deleted since it was found.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(RepositoryError::NoManifest(manifest.digest.to_string()))
            }
            read => Ok(read.map_err(StoreError::file("read", &path))?),
        }
    }

    /// Opens a manifest, to read it bit by bit.
    pub fn open_manifest(&self, manifest: &Manifest) -> Result<BlobFile, RepositoryError> {
        let path = self.store.layout.blob(&manifest.file);
        match fs::File::open(&path) {
            // Deleted since it was found.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(RepositoryError::NoManifest(manifest.digest.to_string()))
            }
            opened => Ok(BlobFile {
                file: opened.map_err(StoreError::file("open", &path))?,
                size: manifest.size,
            }),
        }
    }

    /// Deletes a manifest with all its tags. Its blobs stay until a sweep.
    pub fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &ContentDigest,
    ) -> Result<Vec<TagName>, RepositoryError> {
        let (file, tags) = self.write(|tx| {
            let id = find(tx, repository)?;
            let text = digest.to_string();
            let manifest = row(tx, id, &text)?;
            let manifest = manifest.ok_or_else(|| RepositoryError::NoManifest(text.clone()))?;
            let tags = super::tags::of_manifest(tx, id, &text)?;
            tx.execute(
                "DELETE FROM registry_manifests WHERE repository = ? AND digest = ?",
                params![id, text],
            )?;
            Ok((manifest.file, tags))
        })?;
        self.discard(&[file])?;
        Ok(tags)
    }
}

/// A manifest of the repository with that row.
pub(super) fn find_in(
    db: &Connection,
    repository: i64,
    key: &ManifestKey,
) -> Result<Manifest, RepositoryError> {
    let unknown = || RepositoryError::NoManifest(key.to_string());
    let digest = match key {
        ManifestKey::Digest(digest) => digest.to_string(),
        ManifestKey::Tag(tag) => super::tags::target(db, repository, tag)?.ok_or_else(unknown)?,
    };
    row(db, repository, &digest)?.ok_or_else(unknown)
}

fn missing_parts(
    tx: &Connection,
    repository: i64,
    new: &NewManifest<'_>,
) -> Result<Vec<ContentDigest>, RepositoryError> {
    let mut missing = Vec::new();
    for blob in &new.blobs {
        if !super::blobs::holds(tx, repository, blob)? {
            missing.push(*blob);
        }
    }
    for manifest in &new.manifests {
        if row(tx, repository, &manifest.to_string())?.is_none() {
            missing.push(*manifest);
        }
    }
    Ok(missing)
}

fn record(
    tx: &Connection,
    repository: i64,
    digest: &str,
    file: &Digest,
    new: &NewManifest<'_>,
) -> Result<(), RepositoryError> {
    tx.prepare_cached(
        "INSERT INTO registry_manifests
         (repository, digest, blob, size, media_type, subject, artifact_type, annotations, pushed)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET media_type = excluded.media_type, pushed = excluded.pushed",
    )?
    .execute(params![
        repository,
        digest,
        file.to_string(),
        new.bytes.len() as i64,
        new.media_type,
        new.subject.map(|subject| subject.to_string()),
        new.artifact_type,
        new.annotations,
        now(),
    ])?;
    let mut link = tx.prepare_cached(
        "INSERT OR IGNORE INTO registry_parts (repository, manifest, digest) VALUES (?, ?, ?)",
    )?;
    let parts = new.blobs.iter().chain(&new.optional);
    for part in parts.chain(&new.manifests) {
        link.execute(params![repository, digest, part.to_string()])?;
    }
    Ok(())
}

fn row(
    db: &Connection,
    repository: i64,
    digest: &str,
) -> Result<Option<Manifest>, RepositoryError> {
    let read = |row: &Row<'_>| {
        let digest = column(row, 0, "content digest");
        let file = column(row, 1, "blob digest");
        let size: i64 = row.get(2)?;
        let media_type = row.get(3)?;
        let pushed = time(row.get(4)?);
        Ok(digest.and_then(|digest| {
            Ok(Manifest {
                digest,
                media_type,
                size: size.cast_unsigned(),
                pushed: pushed?,
                file: file?,
            })
        }))
    };
    let found = db
        .prepare_cached(
            "SELECT digest, blob, size, media_type, pushed FROM registry_manifests
             WHERE repository = ? AND digest = ?",
        )?
        .query_row(params![repository, digest], read)
        .optional()?;
    Ok(found.transpose()?)
}
