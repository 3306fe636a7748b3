//! State: queues, and what connections must not be taken for. The connections themselves end with
//! the process that held them; the restored guest is told to reset its own.

use serde::{Deserialize, Serialize};

use super::super::persist::QueueStates;

/// The device's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its queues: rx, tx, events.
    pub queues: QueueStates,
    /// Host ports from here on have not been used.
    pub next_port: u32,
    /// Whether the agent listens.
    pub ready: bool,
}
