//! Virtio over MMIO (virtio 1.2, sections 2 and 4.2) and the devices on it.
//!
//! ```text
//!  vCPU ── MMIO ──► Transport ── activate, reset ──► Device
//!       ── kick (ioeventfd) ─────────────────────────► Worker thread: chain -> request -> backend
//!       ◄─ irqfd ── IrqLine ◄── Interrupt ─────────────┘
//! ```
//!
//! Registers, feature negotiation and status live once, in [`transport`]. A device is a folder of
//! the same shape: `device` (features, config), `request` (pure parsing), `worker` (queues),
//! `backend` (what it talks to), `persist` (its state). One that has next to nothing to do has no
//! thread: the vCPU that kicks serves it.

pub mod balloon;
pub mod blk;
pub mod chain;
mod drain;
#[cfg(test)]
pub(crate) mod driver_double;
pub mod fs;
pub mod interrupt;
pub mod metrics;
pub mod persist;
pub mod queue;
pub mod rng;
pub mod transport;
pub mod vsock;
pub mod worker;

use std::sync::Arc;

use hull_protocol::vmm::DeviceMetrics;

use crate::memory::GuestRam;
use interrupt::Interrupt;
use persist::DeviceState;
use queue::DeviceQueue;

/// A virtio device type (virtio 1.2, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum DeviceType {
    /// 5.2
    Block = 2,
    /// 5.4
    Entropy = 4,
    /// 5.5
    Balloon = 5,
    /// 5.10
    Vsock = 19,
    /// 5.11
    FileSystem = 26,
}

/// Feature bits every device offers: version 1, indirect descriptors, event index.
pub const COMMON_FEATURES: u64 = 1 << virtio_bindings::virtio_config::VIRTIO_F_VERSION_1
    | 1 << virtio_bindings::virtio_ring::VIRTIO_RING_F_INDIRECT_DESC
    | 1 << virtio_bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;

/// What a driver and its device agreed on, handed to the device when the driver is ready.
#[derive(Debug)]
pub struct Activation {
    /// All of the guest's RAM.
    pub memory: Arc<GuestRam>,
    /// The queues, in the order of the specification, valid and ready.
    pub queues: Vec<DeviceQueue>,
    /// How to tell the driver.
    pub interrupt: Arc<dyn Interrupt>,
    /// The features the driver took.
    pub features: u64,
}

/// How a device learns that its driver has added requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kicks {
    /// By the queue's eventfd, which its thread waits for.
    ByEventfd,
    /// It has no thread: the vCPU that kicks calls [`VirtioDevice::serve`].
    OnVcpu,
}

/// What the transport needs of a device. One thread at a time calls it.
pub trait VirtioDevice: Send + std::fmt::Debug {
    /// What it is.
    fn device_type(&self) -> DeviceType;

    /// The name it has in logs and metrics.
    fn name(&self) -> &'static str;

    /// The largest size of each of its queues.
    fn queue_sizes(&self) -> &[u16];

    /// How many of its queues there are for a driver that took these features: the first ones.
    fn queue_count(&self, _features: u64) -> usize {
        self.queue_sizes().len()
    }

    /// Features it offers beyond [`COMMON_FEATURES`].
    fn features(&self) -> u64;

    /// Its configuration space, whole. Reads outside are zeros; writes are ignored.
    fn config(&self) -> &[u8];

    /// How it wants to be kicked.
    fn kicks(&self) -> Kicks {
        Kicks::ByEventfd
    }

    /// Serves a queue on the calling thread. Only for a device that is kicked so.
    fn serve(&mut self, _queue: usize) {}

    /// Starts work on the queues. Called by a vCPU thread, which may make no thread and open
    /// nothing: the device's [`worker::Runner`] has been waiting since the device was made.
    fn activate(&mut self, activation: Activation);

    /// Stops work and forgets the driver. Does nothing to an idle device.
    fn reset(&mut self);

    /// Stops work for a moment, gives the state and the queues' positions, and goes on.
    fn save(&mut self) -> DeviceState;

    /// What it has done so far.
    fn metrics(&self) -> DeviceMetrics;
}
