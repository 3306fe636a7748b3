//! What a driver can put before the disk: any descriptor table, rings and memory.
#![no_main]

use hull_fuzz::ring;
use hull_vmm::devices::virtio::blk::request::{Geometry, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (memory, mut queue) = ring(bytes, false);
    let disk = Geometry {
        size: 1 << 20,
        read_only: false,
    };
    while let Ok(Some(chain)) = queue.pop(&memory) {
        // Refused or not, what is accepted lies inside the disk: the parser's own promise.
        let _ = parse(&chain, &memory, disk);
    }
});
