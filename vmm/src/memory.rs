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

use std::io;

use vm_memory::{
    GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap,
    MemoryRegionAddress,
};

pub use iovecs::{IovecError, Iovecs};

/// All RAM of a guest.
pub type GuestRam = GuestMemoryMmap<()>;

/// The first address that is not RAM.
pub const MMIO_START: u64 = 0xd000_0000;
/// Where RAM goes on.
pub const HIGH_START: u64 = 1 << 32;

/// What the host takes at once for memory that is touched, if it can.
pub const HUGE_PAGE: u64 = 2 << 20;

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

/// Lets the host take only what is touched of the huge page at `start`, or of as much of it as
/// there is.
///
/// # Errors
/// The host does not know the request. One without huge pages at all is as good.
pub fn back_with_small_pages(memory: &GuestRam, start: GuestAddress) -> io::Result<()> {
    let Some((region, offset)) = memory.to_region_addr(start) else {
        return Ok(());
    };
    let length = HUGE_PAGE.min(region.len() - offset.0) as usize;
    let Ok(address) = region.get_host_address(offset) else {
        return Ok(());
    };
    // SAFETY: the range lies in the region's mapping, and the advice changes none of its content.
    match unsafe { libc::madvise(address.cast(), length, libc::MADV_NOHUGEPAGE) } {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            error => Err(error),
        },
    }
}

/// Less than it is not worth looking at all of a huge page for.
const WORTH_SPLITTING: u64 = HUGE_PAGE / 16;

/// Gives memory back to the host: its content is lost, and it costs nothing until it is touched.
///
/// # Errors
/// The range is not in one region of memory, or the host refuses.
pub fn give_back(memory: &GuestRam, start: GuestAddress, length: u64) -> io::Result<()> {
    let outside = || io::Error::from(io::ErrorKind::InvalidInput);
    let (region, offset) = memory.to_region_addr(start).ok_or_else(outside)?;
    if length > region.len() - offset.0 {
        return Err(outside());
    }
    let length = usize::try_from(length).map_err(|_| outside())?;
    let address = region.get_host_address(offset).map_err(|_| outside())?;
    // SAFETY: the range lies in the region's mapping, which is private and anonymous, and nothing
    // holds a Rust reference into it. To the guest and to system calls at work on the range, its
    // content changes as by any write of the guest.
    if unsafe { libc::madvise(address.cast(), length, libc::MADV_DONTNEED) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if length as u64 >= WORTH_SPLITTING {
        split(region, offset.0);
        split(region, offset.0 + length as u64);
    }
    Ok(())
}

/// Splits the host's huge page around a place, if it is inside of one. A part that is given back
/// otherwise stays with the rest until the host runs short of memory, and is accounted so.
fn split(region: &GuestRegionMmap<()>, place: u64) {
    let start = place - place % HUGE_PAGE;
    if place == start {
        return;
    }
    let length = HUGE_PAGE.min(region.len() - start) as usize;
    let Ok(address) = region.get_host_address(MemoryRegionAddress(start)) else {
        return;
    };
    // Advice that the host can follow only by splitting what is not all there. Where it does not
    // know it, or something holds the page, the memory goes back later: that is no error.
    // SAFETY: the range lies in the region's mapping, and the advice changes none of its content.
    unsafe { libc::madvise(address.cast(), length, libc::MADV_COLD) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_reaches_memory_and_leaves_other_addresses_alone() {
        let memory = map(32).unwrap();
        for start in [0, HUGE_PAGE, 31 << 20, 32 << 20, u64::MAX - 0xfff] {
            back_with_small_pages(&memory, GuestAddress(start)).unwrap();
        }
    }

    #[test]
    fn what_is_given_back_is_empty_and_what_is_outside_is_refused() {
        use vm_memory::Bytes;

        let memory = map(1).unwrap();
        memory.write_slice(&[7; 0x3000], GuestAddress(0)).unwrap();
        give_back(&memory, GuestAddress(0x1000), 0x1000).unwrap();
        let mut bytes = [0; 0x3000];
        memory.read_slice(&mut bytes, GuestAddress(0)).unwrap();
        assert!(bytes[..0x1000].iter().all(|&b| b == 7));
        assert!(bytes[0x1000..0x2000].iter().all(|&b| b == 0));
        assert!(bytes[0x2000..].iter().all(|&b| b == 7));
        for (start, length) in [(1 << 20, 0x1000), (0xf_f000, 0x2000), (0, u64::MAX)] {
            assert!(give_back(&memory, GuestAddress(start), length).is_err());
        }
    }

    #[test]
    fn memory_beyond_the_hole_goes_on_at_four_gib() {
        assert_eq!(ranges(128), [(GuestAddress(0), 128 << 20)]);
        let all = ranges(4096);
        assert_eq!(all[0], (GuestAddress(0), 0xd000_0000));
        assert_eq!(all[1], (GuestAddress(1 << 32), (4096 << 20) - 0xd000_0000));
    }
}
