//! Loading the kernel and the zero page.

use std::fs::File;
use std::os::fd::AsFd;

use linux_loader::loader::bootparam::boot_params;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use super::elf::{self, ElfError};
use super::{COMMAND_LINE, COMMAND_LINE_MAX, HIGH_MEMORY, MP_TABLE, ZERO_PAGE};
use crate::memory::{GuestRam, Iovecs, MMIO_START};

const PAGE: u64 = 0x1000;
/// e820: usable.
const E820_RAM: u32 = 1;

/// Why the guest cannot boot.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] ElfError),
    /// The initramfs cannot be read.
    #[error("cannot read the initramfs")]
    Initramfs(#[source] std::io::Error),
    /// It does not fit behind the kernel.
    #[error(
        "{memory_mib} MiB of memory is too little for the kernel and an initramfs of {size} bytes"
    )]
    NoRoom {
        /// Of the guest.
        memory_mib: u64,
        /// Of the initramfs.
        size: u64,
    },
    /// The command line has a limit.
    #[error("the kernel command line has {0} bytes, {max} are the limit", max = COMMAND_LINE_MAX - 1)]
    CommandLine(usize),
    /// Guest memory is smaller than the smallest layout.
    #[error("guest memory is too small to boot")]
    Memory(#[source] vm_memory::GuestMemoryError),
}

/// Puts kernel, initramfs, command line and zero page into memory; gives the entry point.
///
/// # Errors
/// A file is not what it should be, or memory is too small.
pub fn load(
    memory: &GuestRam,
    kernel: &File,
    initramfs: &File,
    command_line: &str,
) -> Result<GuestAddress, BootError> {
    let loaded = elf::load(memory, kernel, HIGH_MEMORY)?;
    let (initramfs_start, initramfs_size) = load_initramfs(memory, initramfs, loaded.end)?;

    if command_line.len() >= COMMAND_LINE_MAX {
        return Err(BootError::CommandLine(command_line.len()));
    }
    let mut line = command_line.as_bytes().to_vec();
    line.push(0);
    memory
        .write_slice(&line, GuestAddress(COMMAND_LINE))
        .map_err(BootError::Memory)?;

    let mut params = boot_params::default();
    params.hdr.type_of_loader = 0xff;
    params.hdr.boot_flag = 0xaa55;
    params.hdr.header = 0x5372_6448; // "HdrS"
    params.hdr.kernel_alignment = 0x100_0000;
    params.hdr.cmd_line_ptr = COMMAND_LINE as u32;
    params.hdr.cmdline_size = line.len() as u32;
    params.hdr.ramdisk_image = initramfs_start as u32;
    params.hdr.ramdisk_size = initramfs_size as u32;
    let mut map = E820::default();
    map.add(&mut params, 0, MP_TABLE);
    for region in memory.iter() {
        let start = region.start_addr().0.max(HIGH_MEMORY);
        let end = region.start_addr().0 + region.len();
        if end > start {
            map.add(&mut params, start, end - start);
        }
    }
    memory
        .write_obj(params, GuestAddress(ZERO_PAGE))
        .map_err(BootError::Memory)?;
    Ok(loaded.entry)
}

#[derive(Default)]
struct E820 {
    entries: usize,
}

impl E820 {
    fn add(&mut self, params: &mut boot_params, addr: u64, size: u64) {
        let entry = &mut params.e820_table[self.entries];
        entry.addr = addr;
        entry.size = size;
        entry.r#type = E820_RAM;
        self.entries += 1;
        params.e820_entries = self.entries as u8;
    }
}

/// Puts the initramfs right behind the kernel: what is left of the kernel's last huge page has
/// been paid for.
fn load_initramfs(
    memory: &GuestRam,
    file: &File,
    kernel_end: u64,
) -> Result<(u64, u64), BootError> {
    let size = file.metadata().map_err(BootError::Initramfs)?.len();
    let top = memory.last_addr().0.saturating_add(1).min(MMIO_START);
    let no_room = BootError::NoRoom {
        memory_mib: top >> 20,
        size,
    };
    let start = kernel_end.next_multiple_of(PAGE);
    if top.checked_sub(start).is_none_or(|room| size > room) {
        return Err(no_room);
    }
    let Ok(length) = u32::try_from(size) else {
        return Err(no_room);
    };
    let range = [(GuestAddress(start), length)];
    let Ok(target) = Iovecs::collect(memory, &range, 0, usize::MAX) else {
        return Err(no_room);
    };
    target
        .read_from_at(file.as_fd(), 0)
        .map_err(BootError::Initramfs)?;
    Ok((start, size))
}
