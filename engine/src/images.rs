//! The image store as the engine's callers see it: asynchronous, and aware of which images
//! containers use.

use std::collections::BTreeMap;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use crate::error::EngineError;
use crate::time::Timestamp;

/// One image in a list.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// `name:tag`, as users write them (`busybox:latest`).
    pub repo_tags: Vec<String>,
    /// `name@sha256:…`.
    pub repo_digests: Vec<String>,
    /// When it was made, as it says itself.
    pub created: Option<Timestamp>,
    /// Bytes of its unpacked layers.
    pub size: u64,
    /// Its own.
    pub labels: BTreeMap<String, String>,
    /// How many containers use it.
    pub containers: usize,
}

/// All there is to know about one image.
#[derive(Clone, Debug)]
pub struct ImageInspect {
    /// As in a list.
    pub summary: ImageSummary,
    /// `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// Its author's name.
    pub author: String,
    /// The last history entry's comment.
    pub comment: String,
    /// The OCI image configuration, as stored.
    pub configuration: serde_json::Value,
    /// Digests of its unpacked layers, the lowest first.
    pub diff_ids: Vec<String>,
}

/// What `import` is told beside the archive.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// `name[:tag]`; empty for none.
    pub reference: String,
    /// For its history.
    pub message: String,
    /// Dockerfile instructions for its configuration.
    pub changes: Vec<String>,
}

/// How removal went: Docker's `Untagged` and `Deleted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A name is gone.
    Untagged(String),
    /// An image or a layer is gone.
    Deleted(String),
}

/// What a container needs of its image.
#[derive(Clone, Debug, Default)]
pub struct RunImage {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// `amd64`, as it says itself.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// What it runs, unless the user says otherwise.
    pub config: ImageConfig,
    /// Its packed layers, the lowest first.
    pub layers: Vec<PathBuf>,
}

/// The part of an image's configuration that containers inherit.
#[derive(Clone, Debug, Default)]
pub struct ImageConfig {
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub env: Vec<String>,
    pub user: String,
    pub working_dir: String,
    pub labels: BTreeMap<String, String>,
    pub stop_signal: Option<String>,
}

/// Where images come from: the image store, or a test's own.
pub trait ImageSource: std::fmt::Debug + Send + Sync {
    /// By reference, id or id prefix. May read files; called where blocking is fine.
    ///
    /// # Errors
    /// [`EngineError::NoSuchImage`], or the store cannot be read.
    fn find(&self, reference: &str) -> Result<RunImage, EngineError>;
}

/// The image store.
#[derive(Clone, Debug)]
pub struct Images {
    source: Arc<dyn ImageSource>,
}

/// Opens the image store.
pub(crate) fn store(root: &std::path::Path) -> Result<Arc<dyn ImageSource>, EngineError> {
    let _ = root;
    Err(EngineError::NotSupported("the image store".into()))
}

impl Images {
    pub(crate) fn new(source: Arc<dyn ImageSource>) -> Self {
        Self { source }
    }

    /// What a container needs of an image.
    pub(crate) async fn find(&self, reference: &str) -> Result<RunImage, EngineError> {
        let (source, reference) = (self.source.clone(), reference.to_owned());
        let found = tokio::task::spawn_blocking(move || source.find(&reference)).await;
        found.map_err(|_| EngineError::Closing)?
    }

    /// Every image, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<ImageSummary>, EngineError> {
        Err(EngineError::NotSupported("images".into()))
    }

    /// One, by reference, id or id prefix.
    ///
    /// # Errors
    /// There is none.
    pub async fn inspect(&self, reference: &str) -> Result<ImageInspect, EngineError> {
        Err(EngineError::NoSuchImage(reference.to_owned()))
    }

    /// Loads what `save` writes: an archive of images, compressed or not. Lines such as
    /// `Loaded image: busybox:latest` come on `progress` as they happen.
    ///
    /// # Errors
    /// The archive is damaged or hostile, or there is no space.
    pub async fn load(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        progress: mpsc::Sender<String>,
    ) -> Result<(), EngineError> {
        let _ = (archive, progress);
        Err(EngineError::NotSupported("loading images".into()))
    }

    /// Makes an image of one layer from a tar of a root filesystem; gives its id.
    ///
    /// # Errors
    /// The archive is damaged or hostile, or there is no space.
    pub async fn import(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        options: ImportOptions,
    ) -> Result<String, EngineError> {
        let _ = (archive, options);
        Err(EngineError::NotSupported("importing images".into()))
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// No such image, or not a name.
    pub async fn tag(&self, source: &str, target: &str) -> Result<(), EngineError> {
        let _ = (source, target);
        Err(EngineError::NotSupported("tagging images".into()))
    }

    /// Removes a name, and the image with its last name. Refused while containers use it.
    ///
    /// # Errors
    /// No such image, or it is in use.
    pub async fn remove(&self, reference: &str, force: bool) -> Result<Vec<Removal>, EngineError> {
        let _ = (reference, force);
        Err(EngineError::NotSupported("removing images".into()))
    }
}
