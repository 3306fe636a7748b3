//! State: its queues, nothing else. The layers come with the configuration, and the device keeps
//! nothing between requests.

use serde::{Deserialize, Serialize};

use super::super::persist::QueueStates;

/// The device's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its queues.
    pub queues: QueueStates,
}
