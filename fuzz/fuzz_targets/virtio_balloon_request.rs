//! What a driver can put before the balloon: any descriptor table, rings and memory.
#![no_main]

use hull_fuzz::ring;
use hull_vmm::devices::virtio::balloon::request::{PAGE, PageRange, pages, report};
use hull_vmm::memory::GuestRam;
use libfuzzer_sys::fuzz_target;
use vm_memory::GuestMemoryBackend;

fuzz_target!(|bytes: &[u8]| {
    let (memory, mut queue) = ring(bytes, true);
    while let Ok(Some(chain)) = queue.pop(&memory) {
        check(&pages(&chain, &memory).unwrap_or_default(), &memory);
        check(&report(&chain, &memory).unwrap_or_default(), &memory);
    }
});

fn check(ranges: &[PageRange], memory: &GuestRam) {
    for range in ranges {
        let (start, length) = (range.start(), range.length());
        assert!(length > 0 && length.is_multiple_of(PAGE) && start.0.is_multiple_of(PAGE));
        assert!(memory.check_range(start, usize::try_from(length).expect("it fits")));
    }
}
