//! What a driver can put before the entropy device: any descriptor table, rings and memory.
#![no_main]

use std::sync::Arc;

use hull_vmm::devices::virtio::queue::{DeviceQueue, QueueState};
use hull_vmm::devices::virtio::rng::request::{MAX, wanted};
use hull_vmm::memory::GuestRam;
use libfuzzer_sys::fuzz_target;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

const SIZE: usize = 64 << 10;

fuzz_target!(|bytes: &[u8]| {
    let memory = GuestRam::from_ranges(&[(GuestAddress(0), SIZE)]).expect("memory");
    let length = bytes.len().min(SIZE);
    memory
        .write_slice(&bytes[..length], GuestAddress(0))
        .expect("it fits");
    let state: QueueState = serde_json::from_str(
        r#"{"max_size":16,"size":16,"ready":true,"next_avail":0,"next_used":0,"event_idx":true,
            "desc_table":0,"avail_ring":256,"used_ring":512}"#,
    )
    .expect("a state");
    let ring = state.to_ring().expect("a ring");
    let kick = Arc::new(EventFd::new(0).expect("an eventfd"));
    let mut queue = DeviceQueue::new(ring, kick);
    // What is written may make new chains: as many rounds as the ring has places end it.
    for _ in 0..64 {
        let Ok(Some(chain)) = queue.pop(&memory) else {
            return;
        };
        let wanted = wanted(&chain);
        assert!(wanted <= MAX);
        let written = chain.write(&memory, 0, &[0xa5; MAX][..wanted]);
        assert_eq!(written, wanted);
        if queue.push(&memory, chain.head, written as u32).is_err() {
            return;
        }
        let _ = queue.wants_interrupt(&memory);
    }
});
