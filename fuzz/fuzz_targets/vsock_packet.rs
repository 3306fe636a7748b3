//! Headers of packets: what decodes encodes to the same bytes.
#![no_main]

use hull_vmm::devices::virtio::vsock::packet::Header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: [u8; Header::SIZE]| {
    if let Ok(header) = Header::decode(&bytes) {
        assert_eq!(header.encode(), bytes);
    }
});
