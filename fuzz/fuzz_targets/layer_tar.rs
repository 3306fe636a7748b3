//! What a stranger's image can hold as a layer: any bytes, unpacked into a packed layer that then
//! must be sound. The first byte chooses whether headers get a right checksum, without which
//! almost nothing gets past the first block.
#![no_main]

use std::fs::File;

use hull_images::unpack;
use hull_layer::{Layer, Limits};
use libfuzzer_sys::fuzz_target;

const BLOCK: usize = 512;

fn limits() -> Limits {
    Limits {
        entries: 2_000,
        bytes: 4 << 20,
        // A hole costs nothing, but `verify` walks what is stored.
        span: 1 << 40,
        metadata: 4 << 20,
        ..Limits::default()
    }
}

fn with_checksums(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    for block in archive.chunks_exact_mut(BLOCK) {
        // Blocks that do not claim to be headers are contents.
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    archive
}

fn scratch() -> File {
    tempfile::tempfile().expect("a temporary file can be made")
}

fuzz_target!(|input: &[u8]| {
    let Some((first, archive)) = input.split_first() else {
        return;
    };
    let archive = match first & 1 {
        0 => archive.to_vec(),
        _ => with_checksums(archive),
    };
    let out = scratch();
    let kept = out.try_clone().expect("a descriptor can be copied");
    if unpack(&archive[..], out, limits()).is_ok() {
        let layer = Layer::open(kept).expect("a finished layer opens");
        layer.verify().expect("a finished layer is sound");
    }
});
