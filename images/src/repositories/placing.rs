//! How a whole upload becomes a blob's file: what has to be durable before the record that refers
//! to it, and what is made so by it.

use std::fs::{self, File};
use std::path::PathBuf;

use rusqlite::Connection;

use super::RepositoryError;
use super::batch::Placed;
use super::uploads::Upload;
use crate::collect::is_recorded;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::fault;
use crate::store::Inner;
use crate::unsynced::SMALL;

/// A whole upload on its way to being a blob's file.
#[derive(Debug)]
pub(super) struct Placing {
    path: PathBuf,
    pub(super) blob: Digest,
    bytes: Bytes,
}

/// How a blob's bytes become durable.
#[derive(Debug)]
enum Bytes {
    /// By the commit that refers to them.
    Small(Vec<u8>),
    /// They are, in the upload's file.
    Synced,
    /// They were, in a file that was there before.
    Known(File),
}

impl Inner {
    /// Makes a large upload durable; a small one will be with its record.
    pub(super) fn prepare(&self, upload: &mut Upload) -> Result<Placing, StoreError> {
        let blob = upload.digest();
        let path = upload.path().to_owned();
        if upload.size() <= SMALL {
            let bytes = Bytes::Small(upload.take_bytes());
            return Ok(Placing { path, blob, bytes });
        }
        let file = upload.file()?;
        let bytes = match self.layout.blob(&blob).exists() {
            true => {
                let file = file.try_clone();
                Bytes::Known(file.map_err(StoreError::file("open", &path))?)
            }
            false => {
                let synced = file.sync_all();
                fault::point();
                synced.map_err(StoreError::file("sync", &path))?;
                Bytes::Synced
            }
        };
        Ok(Placing { path, blob, bytes })
    }
}

impl Placing {
    /// Makes the bytes part of the transaction where they are not durable otherwise: in a file
    /// that is there and that something refers to. What a dead commit left is not that.
    pub(super) fn keep(&self, tx: &Connection, store: &Inner) -> Result<Placed, RepositoryError> {
        let Bytes::Small(bytes) = &self.bytes else {
            return Ok(Placed::Synced(self.blob));
        };
        let there = store.layout.blob(&self.blob).exists();
        if there && is_recorded(tx, &self.blob)? {
            return Ok(Placed::Nothing);
        }
        store.keep_bytes(tx, &self.blob, bytes)?;
        Ok(Placed::Small(self.blob))
    }

    /// Gives an upload its final name, inside the transaction that refers to it: the collector
    /// deletes in transactions too.
    pub(super) fn place(&self, store: &Inner) -> Result<(), StoreError> {
        let target = store.layout.blob(&self.blob);
        match target.exists() {
            true => fs::remove_file(&self.path).map_err(StoreError::file("remove", &self.path))?,
            false => {
                // It was left out for a file that is gone by now.
                if let Bytes::Known(file) = &self.bytes {
                    file.sync_all()
                        .map_err(StoreError::file("sync", &self.path))?;
                }
                fs::rename(&self.path, &target).map_err(StoreError::file("rename", &self.path))?;
            }
        }
        fault::point();
        Ok(())
    }
}
