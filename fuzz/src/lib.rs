//! What the fuzz targets of the devices share.

use std::sync::Arc;

use hull_vmm::devices::virtio::queue::{DeviceQueue, QueueState};
use hull_vmm::memory::GuestRam;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

const SIZE: usize = 64 << 10;

/// A guest's memory that begins with these bytes, and a queue of 16 whose tables lie in them.
pub fn ring(bytes: &[u8], event_idx: bool) -> (GuestRam, DeviceQueue) {
    let memory = GuestRam::from_ranges(&[(GuestAddress(0), SIZE)]).expect("memory");
    let length = bytes.len().min(SIZE);
    memory
        .write_slice(&bytes[..length], GuestAddress(0))
        .expect("it fits");
    let state = serde_json::json!({
        "max_size": 16, "size": 16, "ready": true, "next_avail": 0, "next_used": 0,
        "event_idx": event_idx, "desc_table": 0, "avail_ring": 256, "used_ring": 512,
    });
    let state: QueueState = serde_json::from_value(state).expect("a state");
    let ring = state.to_ring().expect("a ring");
    let kick = Arc::new(EventFd::new(0).expect("an eventfd"));
    (memory, DeviceQueue::new(ring, kick))
}
