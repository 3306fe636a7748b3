//! Small arguments and answers.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::EngineError;
use crate::id::{ContainerId, ContainerName};

/// What `create` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// Its name, made up where none was given.
    pub name: ContainerName,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// How to stop.
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// Instead of the container's own stop signal.
    pub signal: Option<String>,
    /// From the signal to SIGKILL. `None`: the container's own, or 10 s. Negative counts as
    /// for ever in Docker: the daemon passes [`Duration::MAX`].
    pub timeout: Option<Duration>,
}

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it first if it runs.
    pub force: bool,
    /// Its anonymous volumes too.
    pub volumes: bool,
}

/// How to copy into a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyOptions {
    /// Refuse to replace a folder by something else, and something else by a folder.
    pub keep_kinds: bool,
    /// Everything becomes the container's user's.
    pub to_user: bool,
}

/// What an image made of a container is like.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// `name[:tag]`; empty for none.
    pub reference: String,
    /// Its author.
    pub author: String,
    /// For its history.
    pub comment: String,
    /// Dockerfile instructions for its configuration.
    pub changes: Vec<String>,
    /// Hold the container's processes meanwhile.
    pub pause: bool,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// At once if it does not run.
    #[default]
    NotRunning,
    /// The next end, even if it has not been started yet.
    NextExit,
    /// It is gone.
    Removed,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitOutcome {
    /// 0 to 255.
    pub exit_code: i32,
    /// Why it could not be removed.
    pub error: Option<String>,
}

/// A wait that has begun: nothing that happens after `Engine::wait` returned is missed.
#[derive(Debug)]
pub struct Waiting(pub(crate) oneshot::Receiver<WaitOutcome>);

impl Waiting {
    /// Until the condition holds.
    ///
    /// # Errors
    /// The engine closed first.
    pub async fn outcome(self) -> Result<WaitOutcome, EngineError> {
        self.0.await.map_err(|_| EngineError::Closing)
    }
}

/// A table of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// `UID`, `PID`, …
    pub titles: Vec<String>,
    /// One each.
    pub processes: Vec<Vec<String>>,
}

/// What `prune` removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Containers that were.
    pub containers: Vec<ContainerId>,
    /// Bytes of the host's disk.
    pub reclaimed: u64,
}
