//! The kernel's ELF image, read straight into guest memory.
//!
//! Mapping its pages from the file instead would share them between VMs and save the copy (about
//! 8 virtual ms), but costs the boot 46: the host then backs the kernel with small pages, one
//! fault each, instead of huge ones. Clones of a template share these pages anyway.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use vm_memory::{GuestAddress, GuestMemoryBackend};

use crate::memory::{self, GuestRam, HUGE_PAGE, Iovecs};

const HEADER: usize = 64;
const SEGMENT: usize = 56;
/// More than any kernel has.
const MAX_SEGMENTS: u16 = 32;
const LOAD: u32 = 1;
const X86_64: u16 = 62;
/// A huge page of which the kernel has no more than this is not worth its zeroing and its memory:
/// as much time as faults of 80 small pages.
const SPARSE: u64 = 128 << 10;

/// Why a file cannot be loaded as a kernel.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Not one.
    #[error("not an x86-64 ELF executable")]
    Format,
    /// A segment lies outside guest memory, or where the boot tables are.
    #[error("the kernel needs memory up to {end:#x}, which the guest does not have")]
    NoRoom {
        /// The first address behind it.
        end: u64,
    },
    /// The file cannot be read.
    #[error("cannot read the kernel")]
    Read(#[from] io::Error),
}

/// A kernel in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its first instruction.
    pub entry: GuestAddress,
    /// The first address behind it.
    pub end: u64,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
}

impl Segment {
    /// The first address behind it, if there is one.
    fn end(&self) -> Result<u64, ElfError> {
        self.address
            .checked_add(self.memory_size)
            .ok_or(ElfError::Format)
    }
}

/// Puts the segments where they want to be, none below `lowest`.
///
/// # Errors
/// The file is no kernel, or does not fit.
pub fn load(memory: &GuestRam, file: &File, lowest: u64) -> Result<Kernel, ElfError> {
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0)
        .map_err(|_| ElfError::Format)?;
    let executable = u16_at(&header, 16) == 2;
    if &header[..6] != b"\x7fELF\x02\x01" || !executable || u16_at(&header, 18) != X86_64 {
        return Err(ElfError::Format);
    }
    let (table, count) = (u64_at(&header, 32), u16_at(&header, 56));
    if usize::from(u16_at(&header, 54)) != SEGMENT || count == 0 || count > MAX_SEGMENTS {
        return Err(ElfError::Format);
    }
    let mut segments = Vec::new();
    for index in 0..u64::from(count) {
        let mut entry = [0; SEGMENT];
        let at = table
            .checked_add(index * SEGMENT as u64)
            .ok_or(ElfError::Format)?;
        file.read_exact_at(&mut entry, at)
            .map_err(|_| ElfError::Format)?;
        if u32_at(&entry, 0) != LOAD {
            continue;
        }
        segments.push(Segment {
            offset: u64_at(&entry, 8),
            address: u64_at(&entry, 24),
            file_size: u64_at(&entry, 32),
            memory_size: u64_at(&entry, 40),
        });
    }
    let mut end = 0;
    for segment in &segments {
        end = end.max(check(memory, segment, lowest)?);
    }
    for start in sparse(&segments) {
        memory::back_with_small_pages(memory, GuestAddress(start))?;
    }
    for segment in &segments {
        place(memory, file, segment)?;
    }
    if end == 0 {
        return Err(ElfError::Format);
    }
    Ok(Kernel {
        entry: GuestAddress(u64_at(&header, 24)),
        end,
    })
}

/// Whether a segment can be where it wants to be; gives the first address behind it.
fn check(memory: &GuestRam, segment: &Segment, lowest: u64) -> Result<u64, ElfError> {
    let end = segment.end()?;
    let room = usize::try_from(segment.memory_size).map_err(|_| ElfError::Format)?;
    if segment.file_size > segment.memory_size {
        return Err(ElfError::Format);
    }
    let start = GuestAddress(segment.address);
    if segment.address < lowest || !memory.check_range(start, room) {
        return Err(ElfError::NoRoom { end });
    }
    Ok(end)
}

/// The huge pages of which the segments, all checked, fill next to nothing, but for the last one,
/// which goes on with other things. There are such, since a kernel that can hide its pages from
/// user space keeps its entry code in a huge page of its own.
fn sparse(segments: &[Segment]) -> Vec<u64> {
    let mut filled = std::collections::BTreeMap::new();
    for segment in segments {
        let end = segment.address + segment.memory_size;
        let mut at = segment.address;
        while at < end {
            let page = at - at % HUGE_PAGE;
            let next = end.min(page + HUGE_PAGE);
            *filled.entry(page).or_insert(0) += next - at;
            at = next;
        }
    }
    filled.pop_last();
    filled.retain(|_, bytes| *bytes <= SPARSE);
    filled.into_keys().collect()
}

/// Reads one segment to its place.
fn place(memory: &GuestRam, file: &File, segment: &Segment) -> Result<(), ElfError> {
    let length = u32::try_from(segment.file_size).map_err(|_| ElfError::Format)?;
    let range = [(GuestAddress(segment.address), length)];
    let target = Iovecs::collect(memory, &range, 0, usize::MAX).map_err(|_| ElfError::Format)?;
    if target.read_from_at(file.as_fd(), segment.offset)? != target.len() {
        return Err(ElfError::Format);
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vm_memory::Bytes;

    const LOWEST: u64 = 0x10_0000;

    fn ram() -> GuestRam {
        GuestRam::from_ranges(&[(GuestAddress(0), 4 << 20)]).unwrap()
    }

    /// An image with one segment of `size` bytes at `offset`, for `address`.
    fn image(offset: u64, address: u64, size: u64, memory_size: u64) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + SEGMENT];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(16, &2u16.to_le_bytes());
        put(18, &X86_64.to_le_bytes());
        put(24, &address.to_le_bytes());
        put(32, &(HEADER as u64).to_le_bytes());
        put(54, &(SEGMENT as u16).to_le_bytes());
        put(56, &1u16.to_le_bytes());
        put(HEADER, &LOAD.to_le_bytes());
        put(HEADER + 8, &offset.to_le_bytes());
        put(HEADER + 24, &address.to_le_bytes());
        put(HEADER + 32, &size.to_le_bytes());
        put(HEADER + 40, &memory_size.to_le_bytes());
        bytes
    }

    fn file(image: &[u8], offset: u64, content: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(image, 0).unwrap();
        file.write_all_at(content, offset).unwrap();
        file
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_segment_is_in_memory_however_it_lies(
            shift in 0u64..0x3000, skew in 0u64..0x1000, size in 1u64..40_000,
            bss in 0u64..10_000,
        ) {
            let (offset, address) = (0x1000 + shift, 0x10_0000 + shift + skew);
            let content: Vec<u8> = (0..size).map(|i| (i % 253) as u8 + 1).collect();
            let memory = ram();
            let file = file(&image(offset, address, size, size + bss), offset, &content);
            let kernel = load(&memory, &file, LOWEST).unwrap();
            prop_assert_eq!(kernel, Kernel { entry: GuestAddress(address), end: address + size + bss });
            let mut got = vec![0; content.len()];
            memory.read_slice(&mut got, GuestAddress(address)).unwrap();
            prop_assert_eq!(got, content);
            let mut around = [1];
            memory.read_slice(&mut around, GuestAddress(address + size)).unwrap();
            prop_assert_eq!(around, [0]);
            memory.read_slice(&mut around, GuestAddress(address - 1)).unwrap();
            prop_assert_eq!(around, [0]);
        }
    }

    #[test]
    fn huge_pages_that_hold_next_to_nothing_are_found() {
        let segment = |address, memory_size| Segment {
            offset: 0,
            address,
            file_size: 0,
            memory_size,
        };
        // As a kernel's: text over several pages, entry code alone, data, per-CPU data.
        let kernel = [
            segment(0x100_0000, 0x70_9000),
            segment(0x180_0000, 0x2000),
            segment(0x1a0_0000, 0x15_df70),
            segment(0x1bf_f000, 0x2_0000),
        ];
        assert_eq!(sparse(&kernel), [0x180_0000]);
        assert!(sparse(&[segment(0x100_0000, HUGE_PAGE)]).is_empty());
        assert!(sparse(&[]).is_empty());
    }

    #[test]
    fn what_is_no_kernel_or_does_not_fit_is_refused() {
        let small = |bytes: &[u8]| load(&ram(), &file(bytes, 0x3000, &[0]), LOWEST);
        let good = image(0x1000, 0x10_0000, 0x1000, 0x1000);
        assert!(small(&good).is_ok());
        assert!(matches!(small(b"#!/bin/sh"), Err(ElfError::Format)));
        let mut arm = good.clone();
        arm[18] = 183;
        assert!(matches!(small(&arm), Err(ElfError::Format)));
        let beyond_the_file = image(0x1000, 0x10_0000, 0x9000, 0x9000);
        assert!(matches!(small(&beyond_the_file), Err(ElfError::Format)));
        let wrapping = image(0x1000, u64::MAX - 10, 0x1000, 0x1000);
        assert!(matches!(small(&wrapping), Err(ElfError::Format)));
        for address in [0, 0x8000, 5 << 20] {
            let misplaced = image(0x1000, address, 0x1000, 0x1000);
            assert!(
                matches!(small(&misplaced), Err(ElfError::NoRoom { .. })),
                "{address:#x}"
            );
        }
        let huge = image(0x1000, 0x10_0000, 0x1000, 1 << 40);
        assert!(matches!(small(&huge), Err(ElfError::NoRoom { .. })));
    }
}
