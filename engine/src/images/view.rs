//! What callers are told of images, and what they tell.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// `linux/arm64`; empty for this machine's.
    pub platform: String,
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
pub(crate) struct RunImage {
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
pub(crate) struct ImageConfig {
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub env: Vec<String>,
    pub user: String,
    pub working_dir: String,
    pub labels: BTreeMap<String, String>,
    pub stop_signal: Option<String>,
}
