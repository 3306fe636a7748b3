//! State: its queue, nothing else.

use serde::{Deserialize, Serialize};

use super::super::persist::QueueStates;

/// The device's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its queue.
    pub queues: QueueStates,
}
