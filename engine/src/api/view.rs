//! What `inspect` and `list` show.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::health::Health;
use crate::api::spec::{Config, HostConfig};
use crate::id::{ContainerId, ContainerName, ExecId};
use crate::time::Timestamp;

/// Where a container stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never started.
    Created,
    /// Its first process runs.
    Running,
    /// Its vCPUs are held.
    Paused,
    /// Between an exit and the next start.
    Restarting,
    /// Being removed.
    Removing,
    /// Its first process has ended.
    Exited,
    /// Its removal failed.
    Dead,
}

impl Status {
    /// Docker's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

/// Docker's `State`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerState {
    /// Where it stands.
    pub status: Status,
    /// The VMM's process id while it runs, else 0.
    pub pid: u32,
    /// Of the last run.
    pub exit_code: i32,
    /// Why the last start or run failed; empty if it did not.
    pub error: String,
    /// Whether the last run ended for want of memory.
    pub oom_killed: bool,
    /// `None`: never.
    pub started_at: Option<Timestamp>,
    /// `None`: never.
    pub finished_at: Option<Timestamp>,
    /// `None`: nothing is checked, or it never ran.
    pub health: Option<Arc<Health>>,
}

impl ContainerState {
    /// Of a container that was never started.
    pub(crate) fn created() -> Self {
        Self {
            status: Status::Created,
            pid: 0,
            exit_code: 0,
            error: String::new(),
            oom_killed: false,
            started_at: None,
            finished_at: None,
            health: None,
        }
    }

    /// Docker's `Running`, which is true of a paused container too.
    pub fn is_running(&self) -> bool {
        matches!(
            self.status,
            Status::Running | Status::Paused | Status::Restarting
        )
    }
}

/// All there is to know about one container.
#[derive(Clone, Debug)]
pub struct ContainerInspect {
    /// Who.
    pub id: ContainerId,
    /// Without the `/`.
    pub name: ContainerName,
    /// When it was made.
    pub created: Timestamp,
    /// The program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Where it stands.
    pub state: ContainerState,
    /// The image's id, `sha256:…`.
    pub image: String,
    /// As given, with the image's values beneath where Docker shows them so.
    pub config: Config,
    /// As given, with the defaults filled in.
    pub host_config: HostConfig,
    /// How often its policy restarted it.
    pub restart_count: u32,
    /// Its json-file log, where it has one; not before it was started.
    pub log_path: Option<PathBuf>,
    /// Its image's packed layers, the lowest first.
    pub layers: Vec<PathBuf>,
    /// The disk that it writes to.
    pub disk: PathBuf,
    /// Execs that run.
    pub exec_ids: Vec<ExecId>,
    /// Always `linux`.
    pub platform: &'static str,
}

/// What a container's files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerSizes {
    /// What it wrote, as it lies on the host's disk.
    pub written: u64,
    /// That and its image.
    pub root: u64,
}

/// One row of `list`.
#[derive(Clone, Debug)]
pub struct ContainerSummary {
    /// Who.
    pub id: ContainerId,
    /// Without the `/`.
    pub name: ContainerName,
    /// As the user wrote it, or the image's id once that name means another image.
    pub image: String,
    /// The image's id, `sha256:…`.
    pub image_id: String,
    /// Program and arguments, joined as Docker joins them.
    pub command: String,
    /// When it was made.
    pub created: Timestamp,
    /// Where it stands.
    pub state: ContainerState,
    /// `Up 5 seconds`, `Exited (0) 2 minutes ago`.
    pub status: String,
    /// The user's and the image's.
    pub labels: BTreeMap<String, String>,
    /// `bridge` for `default`.
    pub network_mode: String,
    /// Ports that it and its image expose, such as `80/tcp`.
    pub exposed: Vec<String>,
    /// Where asked for.
    pub sizes: Option<ContainerSizes>,
}
