//! A read-only mapping of a part of a file.

use std::fs::File;
use std::io;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

/// Mapped bytes of a file that nobody changes while this lives.
///
/// A finished layer is immutable: its owner never writes to it or truncates it again, and the
/// guest has no way to.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is read-only memory that is not tied to a thread.
unsafe impl Send for Mapping {}
// SAFETY: as above; reading it from several threads at once is no race.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `offset` must be a multiple of the page size and `length` not zero.
    pub(crate) fn new(file: &File, offset: u64, length: usize) -> io::Result<Mapping> {
        let address = std::ptr::null_mut();
        // SAFETY: no address is asked for, so this cannot replace memory that is in use.
        let start = unsafe {
            rustix::mm::mmap(
                address,
                length,
                ProtFlags::READ,
                MapFlags::SHARED,
                file,
                offset,
            )
        }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, length })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `start` is a mapping of `length` readable bytes that lives as long as `self`
        // and whose file nobody changes (see the type).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the one that `new` mapped, and no borrow of it outlives `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}
