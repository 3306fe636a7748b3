//! The store's tree on disk. No other module joins a path.
//!
//! ```text
//! <data root>/images/
//!   db, db-wal, db-shm         SQLite: images, tags, layers, what refers to what (see `database`)
//!   blobs/sha256/<hex>         configurations, manifests and layers, as they came
//!   layers/<chain hex>.layer   unpacked layers in hull-layer's format, named by chain id
//!   tmp/<lease>/               what one live operation is writing (see `lease`), flocked by it
//!     spool-<n>                a blob of which the digest is not known yet
//!     layer-<n>                a layer that is being unpacked
//!   uploads/<id>               what the registry was sent of a blob so far (see `repositories`)
//!   uploads/rescued-<hex>      a blob that is written again after a crash (see `unsynced`)
//! ```
//!
//! A file under `blobs` or `layers` is complete and durable: it was written under `tmp`, synced and
//! renamed; or it is small, and the database makes it durable. It never changes after.

use std::path::{Path, PathBuf};

use crate::digest::{ChainId, Digest};
use crate::repositories::UploadId;

const LAYER_SUFFIX: &str = ".layer";

#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The store inside a data root.
    pub(crate) fn new(data_root: &Path) -> Layout {
        Layout {
            root: data_root.join("images"),
        }
    }

    /// The folders that must be there, parents first.
    pub(crate) fn folders(&self) -> [PathBuf; 6] {
        [
            self.root.clone(),
            self.root.join("blobs"),
            self.blobs(),
            self.layers(),
            self.tmp(),
            self.uploads(),
        ]
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("db")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn layer(&self, chain: &ChainId) -> PathBuf {
        let name = format!("{}{LAYER_SUFFIX}", chain.digest().hex());
        self.layers().join(name)
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn lease(&self, name: &str) -> PathBuf {
        self.tmp().join(name)
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(crate) fn upload(&self, id: &UploadId) -> PathBuf {
        self.uploads().join(id.to_string())
    }

    pub(crate) fn rescued(&self, digest: &Digest) -> PathBuf {
        self.uploads().join(format!("rescued-{}", digest.hex()))
    }

    /// The blob that a file name in [`Layout::blobs`] stands for.
    pub(crate) fn blob_of(name: &str) -> Option<Digest> {
        Digest::from_hex(name).ok()
    }

    /// The layer that a file name in [`Layout::layers`] stands for.
    pub(crate) fn layer_of(name: &str) -> Option<ChainId> {
        let hex = name.strip_suffix(LAYER_SUFFIX)?;
        Digest::from_hex(hex).ok().map(ChainId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_lead_back_to_what_they_name() {
        let layout = Layout::new(Path::new("/data"));
        let digest = Digest::of(b"x");
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let blob = layout.blob(&digest);
        assert!(blob.starts_with("/data/images/blobs/sha256"));
        assert_eq!(Layout::blob_of(&name(blob)), Some(digest));
        let layer = layout.layer(&ChainId(digest));
        assert_eq!(Layout::layer_of(&name(layer)), Some(ChainId(digest)));
        assert_eq!(Layout::layer_of(&digest.hex()), None);
        assert_eq!(Layout::blob_of("lost+found"), None);
    }
}
