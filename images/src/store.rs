//! The store as its users see it.

use std::fs::DirBuilder;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hull_layer::Limits;
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use crate::collect::Collected;
use crate::commit::Commit;
use crate::config::Platform;
use crate::database;
use crate::digest::ImageId;
use crate::error::StoreError;
use crate::import::{Import, ImportError};
use crate::layers::Progress;
use crate::layout::Layout;
use crate::lease::Lease;
use crate::load::{LoadError, Loaded};
use crate::reference::Reference;
use crate::register;
use crate::turns::Turns;

/// The image store of one data root. Clones are the same store; all calls block.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) options: Options,
    pub(crate) unpacking: Turns,
    pub(crate) compressing: Turns,
    /// Held by who syncs small blobs.
    pub(crate) settling: Mutex<()>,
    database: Mutex<Connection>,
    /// Sees what is committed, also while `database` waits for the disk.
    reader: Mutex<Connection>,
}

/// What strangers' archives may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Of one unpacked layer.
    pub limits: Limits,
    /// Of one layer's plain tar: what a compression bomb meets first.
    pub stream_bytes: u64,
    /// Of an image archive when it is plain.
    pub archive_bytes: u64,
    /// Files in one image archive.
    pub archive_files: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            limits: Limits::default(),
            stream_bytes: 256 << 30,
            archive_bytes: 1 << 40,
            archive_files: 20_000,
        }
    }
}

impl Store {
    /// Opens the store under a data root, makes it if there is none, and collects what a crash
    /// left behind.
    pub fn open(data_root: &Path, options: Options) -> Result<Store, StoreError> {
        let layout = Layout::new(data_root);
        for folder in layout.folders() {
            DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(&folder)
                .map_err(StoreError::file("create", &folder))?;
        }
        let inner = Inner {
            database: Mutex::new(database::open(&layout.database())?),
            reader: Mutex::new(database::open_to_read(&layout.database())?),
            layout,
            options,
            unpacking: Turns::default(),
            compressing: Turns::default(),
            settling: Mutex::default(),
        };
        inner.recover()?;
        let collected = inner.collect()?;
        if collected != Collected::default() {
            tracing::info!(?collected, "removed what nothing refers to");
        }
        Ok(Store {
            inner: Arc::new(inner),
        })
    }

    /// Adds the images of an archive as `docker save` or an OCI tool wrote it, compressed or not.
    pub fn load(
        &self,
        archive: impl Read,
        watcher: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Loaded>, LoadError> {
        self.load_for(None, archive, watcher)
    }

    /// The same of the images for one platform only; there must be such.
    pub fn load_for(
        &self,
        platform: Option<&Platform>,
        archive: impl Read,
        watcher: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Loaded>, LoadError> {
        crate::load::load(&Lease::new(&self.inner)?, archive, platform, watcher)
    }

    /// Makes an image of one layer from the tar of a root file system, compressed or not.
    pub fn import(&self, archive: impl Read, import: &Import) -> Result<ImageId, ImportError> {
        crate::import::import(&Lease::new(&self.inner)?, archive, import)
    }

    /// Makes an image of another one and one more layer, a tar with whiteouts.
    pub fn commit(
        &self,
        parent: &ImageId,
        layer: impl Read,
        commit: &Commit,
    ) -> Result<ImageId, ImportError> {
        crate::commit::commit(&Lease::new(&self.inner)?, parent, layer, commit)
    }

    /// Gives an image another name. Says which other image had it.
    pub fn tag(&self, image: &ImageId, name: &Reference) -> Result<Option<ImageId>, StoreError> {
        self.inner.tag(image, name)
    }

    /// Removes what nothing refers to.
    pub fn collect(&self) -> Result<Collected, StoreError> {
        self.inner.collect()
    }
}

impl Inner {
    pub(crate) fn database(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves no half change: transactions roll back when dropped.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For queries alone.
    pub(crate) fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tag(
        &self,
        image: &ImageId,
        name: &Reference,
    ) -> Result<Option<ImageId>, StoreError> {
        let mut db = self.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !crate::find::exists(&tx, image)? {
            return Err(StoreError::Gone(*image));
        }
        let before = register::tag(&tx, image, name)?;
        tx.commit()?;
        Ok(before)
    }
}

/// Unix nanoseconds, as the database keeps times.
pub(crate) fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
