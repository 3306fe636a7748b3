//! State: its queues, nothing else. What was given back is zeros in the memory that is saved.

use serde::{Deserialize, Serialize};

use super::super::persist::QueueStates;

/// The device's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Inflate, deflate, and reporting if that was negotiated.
    pub queues: QueueStates,
}
