//! The state of a virtio device as a snapshot holds it.

use serde::{Deserialize, Serialize};

use super::queue::QueueState;
use super::{balloon, blk, fs, rng, vsock};

/// What every device's state begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStates {
    /// Empty when the device is not active.
    pub queues: Vec<QueueState>,
}

/// The state of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// See [`fs`].
    Fs(fs::persist::State),
    /// See [`blk`].
    Blk(blk::persist::State),
    /// See [`rng`].
    Rng(rng::persist::State),
    /// See [`vsock`].
    Vsock(vsock::persist::State),
    /// See [`balloon`].
    Balloon(balloon::persist::State),
}

impl DeviceState {
    /// Where its queues stand; none if no driver was at work.
    pub fn queues(&self) -> &[QueueState] {
        let states = match self {
            Self::Fs(state) => &state.queues,
            Self::Blk(state) => &state.queues,
            Self::Rng(state) => &state.queues,
            Self::Vsock(state) => &state.queues,
            Self::Balloon(state) => &state.queues,
        };
        &states.queues
    }
}

/// Why a state cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The state is of another device.
    #[error("the state is not of a {0} device")]
    WrongDevice(&'static str),
    /// A queue's state contradicts the specification.
    #[error("the state of queue {index} is invalid")]
    Queue {
        /// Which queue.
        index: usize,
        /// Why.
        source: super::queue::QueueError,
    },
    /// The transport's registers and the device's queues disagree.
    #[error("the device state has {found} queues, not {expected}")]
    QueueCount {
        /// In the state.
        found: usize,
        /// Of the device.
        expected: usize,
    },
}
