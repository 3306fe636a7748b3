//! What a driver can put before the entropy device: any descriptor table, rings and memory.
#![no_main]

use hull_fuzz::ring;
use hull_vmm::devices::virtio::rng::request::{MAX, wanted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (memory, mut queue) = ring(bytes, true);
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
