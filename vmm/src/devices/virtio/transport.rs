//! The virtio-mmio registers (virtio 1.2, 4.2.2): discovery, negotiation, status, reset.
//!
//! ```text
//!  0 ─► ACKNOWLEDGE ─► DRIVER ─► FEATURES_OK ─► DRIVER_OK ─► (device active)
//!  ▲        │             │           │              │
//!  └────────┴── write 0 ──┴───────────┴──────────────┘   NEEDS_RESET, FAILED may join at any time
//! ```
//!
//! The driver is the guest: a write out of turn changes nothing.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use virtio_bindings::virtio_config::{
    VIRTIO_CONFIG_S_ACKNOWLEDGE as ACKNOWLEDGE, VIRTIO_CONFIG_S_DRIVER as DRIVER,
    VIRTIO_CONFIG_S_DRIVER_OK as DRIVER_OK, VIRTIO_CONFIG_S_FAILED as FAILED,
    VIRTIO_CONFIG_S_FEATURES_OK as FEATURES_OK, VIRTIO_CONFIG_S_NEEDS_RESET as NEEDS_RESET,
    VIRTIO_F_VERSION_1,
};
use virtio_bindings::virtio_mmio as regs;
use virtio_bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;
use virtio_queue::{Queue, QueueT};
#[cfg(test)]
use vm_memory::GuestAddress;
use vmm_sys_util::eventfd::EventFd;

use super::interrupt::{Interrupt, IrqLine};
use super::persist::{DeviceState, RestoreError};
use super::queue::{DeviceQueue, QueueState};
use super::{Activation, COMMON_FEATURES, Kicks, VirtioDevice};
use crate::bus::BusDevice;
use crate::memory::GuestRam;

/// "virt".
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
/// "HULL", as a vendor id.
const VENDOR: u32 = 0x4c4c_5548;
/// Where the device's own configuration begins.
const CONFIG: u64 = regs::VIRTIO_MMIO_CONFIG as u64;

/// One device's page of registers.
#[derive(Debug)]
pub struct Transport {
    device: Box<dyn VirtioDevice>,
    memory: Arc<GuestRam>,
    irq: Arc<IrqLine>,
    kicks: Vec<Arc<EventFd>>,
    rings: Vec<Queue>,
    registers: Registers,
}

/// What the driver wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Registers {
    status: u32,
    device_features_select: u32,
    driver_features_select: u32,
    driver_features: u64,
    queue_select: u32,
    config_generation: u32,
}

/// A transport and its device, for a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportState {
    registers: Registers,
    rings: Vec<QueueState>,
    interrupt_status: u32,
    broken: bool,
    /// The device's own.
    pub device: DeviceState,
}

impl Transport {
    /// A device that no driver has seen yet.
    ///
    /// # Errors
    /// No eventfd can be had.
    pub fn new(device: Box<dyn VirtioDevice>, memory: Arc<GuestRam>) -> io::Result<Self> {
        let sizes = device.queue_sizes();
        let kicks = sizes
            .iter()
            .map(|_| EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC).map(Arc::new))
            .collect::<io::Result<_>>()?;
        let rings = fresh_rings(sizes)?;
        let irq = Arc::new(IrqLine::new()?);
        Ok(Self {
            device,
            memory,
            irq,
            kicks,
            rings,
            registers: Registers::default(),
        })
    }

    /// The line to connect to the interrupt controller.
    pub fn irq(&self) -> &IrqLine {
        &self.irq
    }

    /// The eventfds to connect to writes of each queue's number to QueueNotify; none for a device
    /// to which these writes come themselves.
    pub fn kicks(&self) -> &[Arc<EventFd>] {
        match self.device.kicks() {
            Kicks::ByEventfd => &self.kicks,
            Kicks::OnVcpu => &[],
        }
    }

    /// The device behind the registers.
    pub fn device(&self) -> &dyn VirtioDevice {
        &*self.device
    }

    /// Stops the device's worker for good.
    pub fn shut_down(&mut self) {
        self.device.reset();
    }

    /// Takes the state; the device goes on afterwards.
    pub fn save(&mut self) -> TransportState {
        let active = self.is_active();
        let device = self.device.save();
        let mut rings: Vec<QueueState> = self.rings.iter().map(QueueState::of).collect();
        if active {
            // Where the device's own are; what a feature would have brought is as it was.
            for (ring, live) in rings.iter_mut().zip(device.queues()) {
                *ring = *live;
            }
        }
        TransportState {
            registers: self.registers.clone(),
            rings,
            interrupt_status: self.irq.status(),
            broken: self.irq.is_broken(),
            device,
        }
    }

    /// Takes up a saved state; the device, its own part already restored, was made with the same configuration and never used.
    ///
    /// # Errors
    /// The state does not fit, or the device cannot go on from it.
    pub fn restore(&mut self, state: &TransportState) -> Result<(), RestoreError> {
        let expected = self.device.queue_sizes().len();
        if state.rings.len() != expected {
            return Err(RestoreError::QueueCount {
                found: state.rings.len(),
                expected,
            });
        }
        for (index, (ring, saved)) in self.rings.iter_mut().zip(&state.rings).enumerate() {
            *ring = saved
                .to_ring()
                .map_err(|source| RestoreError::Queue { index, source })?;
        }
        self.registers = state.registers.clone();
        // Before the device works, which may break it at once.
        self.irq.restore(state.interrupt_status, state.broken);
        if self.registers.status & DRIVER_OK != 0 && !state.broken {
            let activation = self
                .activation()
                .ok_or(RestoreError::QueueCount { found: 0, expected })?;
            self.device.activate(activation);
            // A kick that came while nobody listened is lost; one too many does no harm.
            for queue in 0..self.kicks.len() {
                self.kick(queue);
            }
        }
        Ok(())
    }

    fn is_active(&self) -> bool {
        self.registers.status & DRIVER_OK != 0
    }

    fn offered(&self) -> u64 {
        self.device.features() | COMMON_FEATURES
    }

    fn ring(&self) -> Option<&Queue> {
        self.rings.get(self.registers.queue_select as usize)
    }

    /// The selected ring while the driver may still configure it.
    fn ring_mut(&mut self) -> Option<&mut Queue> {
        let status = self.registers.status;
        if status & FEATURES_OK == 0 || status & (DRIVER_OK | FAILED) != 0 {
            return None;
        }
        self.rings.get_mut(self.registers.queue_select as usize)
    }

    fn read_register(&self, offset: u64) -> u32 {
        let Ok(offset) = u32::try_from(offset) else {
            return 0;
        };
        match offset {
            regs::VIRTIO_MMIO_MAGIC_VALUE => MAGIC,
            regs::VIRTIO_MMIO_VERSION => VERSION,
            regs::VIRTIO_MMIO_DEVICE_ID => self.device.device_type() as u32,
            regs::VIRTIO_MMIO_VENDOR_ID => VENDOR,
            regs::VIRTIO_MMIO_DEVICE_FEATURES => match self.registers.device_features_select {
                0 => self.offered() as u32,
                1 => (self.offered() >> 32) as u32,
                _ => 0,
            },
            regs::VIRTIO_MMIO_QUEUE_NUM_MAX => self.ring().map_or(0, |r| u32::from(r.max_size())),
            regs::VIRTIO_MMIO_QUEUE_READY => self.ring().map_or(0, |r| u32::from(r.ready())),
            regs::VIRTIO_MMIO_INTERRUPT_STATUS => self.irq.status(),
            regs::VIRTIO_MMIO_STATUS => {
                let broken = if self.irq.is_broken() { NEEDS_RESET } else { 0 };
                self.registers.status | broken
            }
            regs::VIRTIO_MMIO_CONFIG_GENERATION => self.registers.config_generation,
            // No shared memory region: its length and base read as all ones (4.2.2).
            regs::VIRTIO_MMIO_SHM_LEN_LOW
            | regs::VIRTIO_MMIO_SHM_LEN_HIGH
            | regs::VIRTIO_MMIO_SHM_BASE_LOW
            | regs::VIRTIO_MMIO_SHM_BASE_HIGH => u32::MAX,
            _ => 0,
        }
    }

    fn write_register(&mut self, offset: u64, value: u32) {
        let Ok(offset) = u32::try_from(offset) else {
            return;
        };
        match offset {
            regs::VIRTIO_MMIO_DEVICE_FEATURES_SEL => self.registers.device_features_select = value,
            regs::VIRTIO_MMIO_DRIVER_FEATURES_SEL => self.registers.driver_features_select = value,
            regs::VIRTIO_MMIO_DRIVER_FEATURES => self.set_driver_features(value),
            regs::VIRTIO_MMIO_QUEUE_SEL => self.registers.queue_select = value,
            regs::VIRTIO_MMIO_QUEUE_NUM => {
                if let (Some(ring), Ok(size)) = (self.ring_mut(), u16::try_from(value)) {
                    ring.set_size(size);
                }
            }
            regs::VIRTIO_MMIO_QUEUE_READY => {
                if let Some(ring) = self.ring_mut() {
                    ring.set_ready(value == 1);
                }
            }
            regs::VIRTIO_MMIO_QUEUE_NOTIFY => {
                if let Ok(queue) = usize::try_from(value) {
                    self.kick(queue);
                }
            }
            regs::VIRTIO_MMIO_INTERRUPT_ACK => self.irq.acknowledge(value),
            regs::VIRTIO_MMIO_STATUS => self.set_status(value),
            regs::VIRTIO_MMIO_QUEUE_DESC_LOW => {
                if let Some(ring) = self.ring_mut() {
                    ring.set_desc_table_address(Some(value), None);
                }
            }
            regs::VIRTIO_MMIO_QUEUE_DESC_HIGH => {
                if let Some(ring) = self.ring_mut() {
                    ring.set_desc_table_address(None, Some(value));
                }
            }
            regs::VIRTIO_MMIO_QUEUE_AVAIL_LOW => {
                if let Some(ring) = self.ring_mut() {
                    ring.set_avail_ring_address(Some(value), None);
                }
            }
            regs::VIRTIO_MMIO_QUEUE_AVAIL_HIGH => {
                if let Some(ring) = self.ring_mut() {
                    ring.set_avail_ring_address(None, Some(value));
                }
            }
            regs::VIRTIO_MMIO_QUEUE_USED_LOW => {
                if let Some(ring) = self.ring_mut() {
                    ring.set_used_ring_address(Some(value), None);
                }
            }
            regs::VIRTIO_MMIO_QUEUE_USED_HIGH => {
                if let Some(ring) = self.ring_mut() {
                    ring.set_used_ring_address(None, Some(value));
                }
            }
            _ => {}
        }
    }

    /// Tells the device of requests. Where it has eventfds, KVM usually signals them itself.
    fn kick(&mut self, queue: usize) {
        match self.device.kicks() {
            Kicks::OnVcpu => self.device.serve(queue),
            Kicks::ByEventfd => {
                if let Some(kick) = self.kicks.get(queue) {
                    let _ = kick.write(1);
                }
            }
        }
    }

    fn set_driver_features(&mut self, value: u32) {
        let status = self.registers.status;
        if status & DRIVER == 0 || status & (FEATURES_OK | FAILED) != 0 {
            return;
        }
        let features = &mut self.registers.driver_features;
        match self.registers.driver_features_select {
            0 => *features = *features & !0xffff_ffff | u64::from(value),
            1 => *features = *features & 0xffff_ffff | u64::from(value) << 32,
            _ => {}
        }
    }

    fn set_status(&mut self, value: u32) {
        if value == 0 {
            return self.reset();
        }
        let old = self.registers.status;
        // Bits are only ever added, in order; NEEDS_RESET is the device's own.
        let added = value & !old & !NEEDS_RESET;
        if value & old != old & !NEEDS_RESET {
            return;
        }
        let mut status = old;
        for (bit, needs) in [
            (ACKNOWLEDGE, 0),
            (DRIVER, ACKNOWLEDGE),
            (FEATURES_OK, DRIVER),
            (DRIVER_OK, FEATURES_OK),
        ] {
            if added & bit == 0 || status & needs != needs || status & FAILED != 0 {
                continue;
            }
            match bit {
                FEATURES_OK if !self.features_are_fine() => {}
                DRIVER_OK => {
                    status |= DRIVER_OK;
                    self.registers.status = status;
                    self.activate();
                }
                _ => status |= bit,
            }
        }
        self.registers.status = status | added & FAILED;
    }

    fn features_are_fine(&self) -> bool {
        let taken = self.registers.driver_features;
        taken & !self.offered() == 0 && taken & (1 << VIRTIO_F_VERSION_1) != 0
    }

    /// What the device gets, if every queue is as the specification wants it.
    fn activation(&mut self) -> Option<Activation> {
        let features = self.registers.driver_features;
        let event_idx = features & (1 << VIRTIO_RING_F_EVENT_IDX) != 0;
        let count = self.device.queue_count(features);
        let mut queues = Vec::with_capacity(count);
        for (ring, kick) in self.rings.iter_mut().zip(&self.kicks).take(count) {
            ring.set_event_idx(event_idx);
            if !ring.is_valid(&*self.memory) {
                return None;
            }
            let ring = QueueState::of(ring).to_ring().ok()?;
            queues.push(DeviceQueue::new(ring, Arc::clone(kick)));
        }
        Some(Activation {
            memory: Arc::clone(&self.memory),
            queues,
            interrupt: self.irq.clone(),
            features: self.registers.driver_features,
        })
    }

    fn activate(&mut self) {
        match self.activation() {
            Some(activation) => self.device.activate(activation),
            None => self.irq.needs_reset(),
        }
    }

    fn reset(&mut self) {
        self.device.reset();
        // Not the default: the generation must not go back while a driver may be reading.
        let config_generation = self.registers.config_generation.wrapping_add(1);
        self.registers = Registers {
            config_generation,
            ..Registers::default()
        };
        for ring in &mut self.rings {
            ring.reset();
        }
        for kick in &self.kicks {
            let _ = kick.read();
        }
        self.irq.reset();
    }
}

impl BusDevice for Transport {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if offset < CONFIG {
            if offset.is_multiple_of(4) && data.len() == 4 {
                data.copy_from_slice(&self.read_register(offset).to_le_bytes());
            }
            return;
        }
        let config = self.device.config();
        let rest = usize::try_from(offset - CONFIG)
            .ok()
            .and_then(|start| config.get(start..));
        if let Some(rest) = rest {
            let n = rest.len().min(data.len());
            data[..n].copy_from_slice(&rest[..n]);
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        // No device here has writable configuration.
        if offset < CONFIG
            && offset.is_multiple_of(4)
            && let Ok(bytes) = <[u8; 4]>::try_from(data)
        {
            self.write_register(offset, u32::from_le_bytes(bytes));
        }
    }
}

fn fresh_rings(sizes: &[u16]) -> io::Result<Vec<Queue>> {
    sizes
        .iter()
        .map(|&size| Queue::new(size).map_err(io::Error::other))
        .collect()
}

/// Where a ring's parts lie, for tests of devices that build rings by hand.
#[cfg(test)]
pub(crate) fn ring_at(
    size: u16,
    desc: GuestAddress,
    avail: GuestAddress,
    used: GuestAddress,
) -> Queue {
    let mut ring = Queue::new(size).unwrap();
    ring.set_size(size);
    ring.try_set_desc_table_address(desc).unwrap();
    ring.try_set_avail_ring_address(avail).unwrap();
    ring.try_set_used_ring_address(used).unwrap();
    ring.set_ready(true);
    ring
}

#[cfg(test)]
mod tests;
