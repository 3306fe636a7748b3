//! What a container's task publishes.

use std::path::PathBuf;

use crate::agent::AgentClient;
use crate::api::{ContainerState, Status};
use crate::restart::Restarts;
use crate::state::Phase;
use crate::time::Timestamp;

/// Where a container stands, at some moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) phase: Phase,
    pub(crate) state: ContainerState,
    /// While there is a VM that was started.
    pub(crate) live: Option<Live>,
    /// How many runs, and attempts to start, have come to an end.
    pub(crate) ends: u64,
    /// The exit code of the latest of them: the state's is gone with the next start.
    pub(crate) latest_code: i32,
    pub(crate) restarts: Restarts,
}

/// How to reach a running VM.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) agent: AgentClient,
    /// The VMM's control socket.
    pub(crate) control: PathBuf,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) exit_code: i32,
    pub(crate) oom_killed: bool,
    /// Empty where the process simply ended.
    pub(crate) error: String,
    pub(crate) time: Timestamp,
}

impl Snapshot {
    pub(crate) fn new(phase: Phase, state: ContainerState, restarts: Restarts) -> Self {
        Self {
            phase,
            live: None,
            ends: 0,
            latest_code: state.exit_code,
            state,
            restarts,
        }
    }

    /// What Docker shows.
    pub(crate) fn shown(&self) -> ContainerState {
        let status = self.phase.status();
        let pid = match status {
            Status::Running | Status::Paused => self.state.pid,
            _ => 0,
        };
        ContainerState {
            status,
            pid,
            ..self.state.clone()
        }
    }
}
