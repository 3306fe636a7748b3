//! Guest memory: where it lies, and the only ways to touch it.
//!
//! ```text
//!  0        MMIO_START (3.25 GiB)   4 GiB
//!  ├──────────────┼───────────────────┼──────────────►
//!  │ RAM          │ devices, APICs    │ the rest of RAM
//! ```
//!
//! RAM is anonymous, private and not reserved: the host pays for a page when the guest first
//! touches it. Everything goes through `vm-memory`'s volatile access or through [`Iovecs`], which
//! hands checked ranges to `readv`-like system calls; there is never a Rust reference to memory
//! that a guest can write.

mod iovecs;

use vm_memory::{GuestAddress, GuestMemoryMmap};

pub use iovecs::{IovecError, Iovecs};

/// All RAM of a guest.
pub type GuestRam = GuestMemoryMmap<()>;

/// The first address that is not RAM.
pub const MMIO_START: u64 = 0xd000_0000;
/// Where RAM goes on.
pub const HIGH_START: u64 = 1 << 32;

/// Why guest memory could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot map {mib} MiB of guest memory")]
pub struct MapError {
    mib: u32,
    source: vm_memory::mmap::FromRangesError,
}

/// The ranges of RAM of a guest with that much memory.
pub fn ranges(mib: u32) -> Vec<(GuestAddress, usize)> {
    let size = u64::from(mib) << 20;
    let low = size.min(MMIO_START);
    let mut ranges = vec![(GuestAddress(0), low as usize)];
    if size > low {
        ranges.push((GuestAddress(HIGH_START), (size - low) as usize));
    }
    ranges
}

/// Maps the RAM of a guest.
///
/// # Errors
/// The host refuses the address space.
pub fn map(mib: u32) -> Result<GuestRam, MapError> {
    GuestRam::from_ranges(&ranges(mib)).map_err(|e| MapError { mib, source: e })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_beyond_the_hole_goes_on_at_four_gib() {
        assert_eq!(ranges(128), [(GuestAddress(0), 128 << 20)]);
        let all = ranges(4096);
        assert_eq!(all[0], (GuestAddress(0), 0xd000_0000));
        assert_eq!(all[1], (GuestAddress(1 << 32), (4096 << 20) - 0xd000_0000));
    }
}
