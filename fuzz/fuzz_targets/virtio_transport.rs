//! Registers of a virtio device: any accesses, of any width, in any order; then a save and a
//! restore, which must agree.
#![no_main]

use std::sync::Arc;

use hull_protocol::vmm::DeviceMetrics;
use hull_vmm::bus::BusDevice;
use hull_vmm::devices::virtio::persist::DeviceState;
use hull_vmm::devices::virtio::rng::persist::State;
use hull_vmm::devices::virtio::transport::Transport;
use hull_vmm::devices::virtio::{Activation, DeviceType, VirtioDevice};
use hull_vmm::memory::GuestRam;
use libfuzzer_sys::fuzz_target;
use vm_memory::GuestAddress;

/// A device that only remembers whether it works.
#[derive(Debug, Default)]
struct Idle {
    active: Option<Activation>,
}

impl VirtioDevice for Idle {
    fn device_type(&self) -> DeviceType {
        DeviceType::Entropy
    }
    fn name(&self) -> &'static str {
        "idle"
    }
    fn queue_sizes(&self) -> &[u16] {
        &[64, 8, 1]
    }
    fn features(&self) -> u64 {
        1 << 3
    }
    fn config(&self) -> &[u8] {
        b"configuration"
    }
    fn activate(&mut self, activation: Activation) {
        assert!(self.active.is_none(), "activated twice");
        assert_eq!(activation.queues.len(), self.queue_sizes().len());
        self.active = Some(activation);
    }
    fn reset(&mut self) {
        self.active = None;
    }
    fn save(&mut self) -> DeviceState {
        DeviceState::Rng(State::default())
    }
    fn metrics(&self) -> DeviceMetrics {
        DeviceMetrics::default()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let memory = GuestRam::from_ranges(&[(GuestAddress(0), 64 << 10)]).expect("memory");
    let mut transport =
        Transport::new(Box::<Idle>::default(), Arc::new(memory)).expect("a transport");
    for access in bytes.chunks_exact(8) {
        let (head, value) = access.split_at(4);
        let offset = u64::from(u16::from_le_bytes([head[0], head[1]]) & 0x1ff);
        let width = 1 << (head[2] & 3);
        if head[3] & 1 == 0 {
            transport.read(offset, &mut [0; 8][..width]);
        } else {
            transport.write(offset, &[value, &[0; 4]].concat()[..width]);
        }
    }
    let saved = transport.save();
    assert_eq!(saved, transport.save());
});
