//! One queue as a worker holds it: ring, kick, and the driver's wish to be told.

use std::num::Wrapping;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vmm_sys_util::eventfd::EventFd;

use super::chain::{Chain, ChainError};
use crate::memory::GuestRam;

/// Why a queue cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The rings themselves are broken.
    #[error("broken ring")]
    Ring(#[from] virtio_queue::Error),
    /// A request in them is.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// A queue that is ready, and the eventfd by which the driver kicks it.
#[derive(Debug)]
pub struct DeviceQueue {
    ring: Queue,
    kick: Arc<EventFd>,
}

impl DeviceQueue {
    /// Joins a ring to its kick.
    pub fn new(ring: Queue, kick: Arc<EventFd>) -> Self {
        Self { ring, kick }
    }

    /// Readable when the driver has added requests.
    pub fn kick(&self) -> &EventFd {
        &self.kick
    }

    /// Takes the kick back, so that the next one is seen.
    pub fn clear_kick(&self) {
        // Another reader, or a kick that never was, leaves nothing to read: that is no error.
        let _ = self.kick.read();
    }

    /// Takes the next request.
    ///
    /// # Errors
    /// The driver broke the ring or the chain; the device must stop.
    pub fn pop(&mut self, memory: &GuestRam) -> Result<Option<Chain>, QueueError> {
        // `iter` is what notices an available index that ran ahead of the queue's size.
        let Some(chain) = self.ring.iter(memory)?.next() else {
            return Ok(None);
        };
        Ok(Some(Chain::collect(chain, memory)?))
    }

    /// Puts the request that was popped last back.
    pub fn unpop(&mut self) {
        self.ring.go_to_previous_position();
    }

    /// Whether the driver has put in more than was taken.
    ///
    /// # Errors
    /// The ring is not in memory.
    pub fn has_pending(&self, memory: &GuestRam) -> Result<bool, QueueError> {
        let available = self.ring.avail_idx(memory, Ordering::Acquire)?;
        Ok(available != Wrapping(self.ring.next_avail()))
    }

    /// Gives a request back with so many bytes written.
    ///
    /// # Errors
    /// The used ring is not in memory.
    pub fn push(&mut self, memory: &GuestRam, head: u16, written: u32) -> Result<(), QueueError> {
        Ok(self.ring.add_used(memory, head, written)?)
    }

    /// Whether the driver wants to hear of what was pushed.
    ///
    /// # Errors
    /// The ring is not in memory.
    pub fn wants_interrupt(&mut self, memory: &GuestRam) -> Result<bool, QueueError> {
        Ok(self.ring.needs_notification(memory)?)
    }

    /// Asks to be kicked again; `true` when requests came meanwhile and must be looked at first.
    ///
    /// # Errors
    /// The ring is not in memory.
    pub fn rearm(&mut self, memory: &GuestRam) -> Result<bool, QueueError> {
        Ok(self.ring.enable_notification(memory)?)
    }

    /// Where the queue stands.
    pub fn state(&self) -> QueueState {
        QueueState::of(&self.ring)
    }
}

/// A queue's registers and positions, for a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueState {
    max_size: u16,
    size: u16,
    ready: bool,
    next_avail: u16,
    next_used: u16,
    event_idx: bool,
    desc_table: u64,
    avail_ring: u64,
    used_ring: u64,
}

impl QueueState {
    /// The state of a ring.
    pub fn of(ring: &Queue) -> Self {
        Self {
            max_size: ring.max_size(),
            size: ring.size(),
            ready: ring.ready(),
            next_avail: ring.next_avail(),
            next_used: ring.next_used(),
            event_idx: ring.event_idx_enabled(),
            desc_table: ring.desc_table(),
            avail_ring: ring.avail_ring(),
            used_ring: ring.used_ring(),
        }
    }

    /// A ring in this state.
    ///
    /// # Errors
    /// The state contradicts the specification.
    pub fn to_ring(self) -> Result<Queue, QueueError> {
        let state = virtio_queue::QueueState {
            max_size: self.max_size,
            next_avail: self.next_avail,
            next_used: self.next_used,
            event_idx_enabled: self.event_idx,
            size: self.size,
            ready: self.ready,
            desc_table: self.desc_table,
            avail_ring: self.avail_ring,
            used_ring: self.used_ring,
        };
        Ok(Queue::try_from(state)?)
    }
}
