//! What callers are told of images, and what they tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hull_images::Healthcheck;

use crate::time::Timestamp;

/// One image in a list.
#[derive(Clone, Debug, Default)]
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
    /// The image that it was built from here; empty for none.
    pub parent: String,
    /// Bytes of its layers that other images have, too.
    pub shared: u64,
    /// Only images that were built from it need it.
    pub intermediate: bool,
}

/// All there is to know about one image.
#[derive(Clone, Debug, Default)]
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
    /// What built it, if it says so.
    pub docker_version: String,
    /// `v7`; empty for most.
    pub variant: String,
    /// When it last got a name here.
    pub last_tagged: Option<Timestamp>,
    /// Digests of its unpacked layers, the lowest first.
    pub diff_ids: Vec<String>,
    /// Where those layers are.
    pub layer_files: Vec<PathBuf>,
}

/// A step of how an image was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryStep {
    /// The image that this step made, where that is here.
    pub id: Option<String>,
    /// When.
    pub created: Option<Timestamp>,
    /// A command line.
    pub created_by: String,
    /// Bytes that it added.
    pub size: u64,
    /// A remark.
    pub comment: String,
    /// That image's names.
    pub tags: Vec<String>,
}

/// What is not to be kept.
#[derive(Clone, Debug, Default)]
pub struct PruneOptions {
    /// Also images with names, if no container uses them.
    pub all: bool,
    /// Only what is older.
    pub until: Option<Timestamp>,
    /// `key` or `key=value`: only images with all of these, and with none of those.
    pub labels: Vec<String>,
    pub not_labels: Vec<String>,
}

/// What pruning removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// In order.
    pub removals: Vec<Removal>,
    /// Bytes given back.
    pub reclaimed: u64,
}

/// What images take on disk.
#[derive(Clone, Debug)]
pub struct DiskUsage {
    /// Newest first.
    pub images: Vec<ImageSummary>,
    /// Bytes of all layers, each counted once.
    pub layers: u64,
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
    /// Bytes of its unpacked layers.
    pub size: u64,
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
    pub healthcheck: Option<Healthcheck>,
    pub shell: Option<Vec<String>>,
    pub exposed_ports: BTreeSet<String>,
}
