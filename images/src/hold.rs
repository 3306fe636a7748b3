//! An image in use by an operation: its manifest, and all that it names kept until the lease ends.

use rusqlite::TransactionBehavior;

use crate::digest::{Digest, ImageId};
use crate::error::StoreError;
use crate::fault;
use crate::lease::Lease;
use crate::list::Image;
use crate::manifest::Manifest;

#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) image: Image,
    /// Its manifest as it is in the store.
    pub(crate) bytes: Vec<u8>,
    pub(crate) manifest: Manifest,
}

impl Held {
    /// The digest of the manifest.
    pub(crate) fn digest(&self) -> &Digest {
        &self.image.manifest
    }
}

impl Lease {
    /// Finds and keeps in one transaction: the image's blobs may be others a moment later.
    pub(crate) fn hold(&self, id: &ImageId) -> Result<Held, StoreError> {
        let mut db = self.store.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let image = self.store.image(&tx, id)?;
        self.pin_within(&tx, &image.manifest)?;
        let bytes = self.store.blob_bytes(&image.manifest)?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|source| StoreError::Manifest {
                digest: image.manifest,
                source,
            })?;
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            self.pin_within(&tx, &blob.digest)?;
        }
        tx.commit()?;
        fault::point();
        Ok(Held {
            image,
            bytes,
            manifest,
        })
    }
}
