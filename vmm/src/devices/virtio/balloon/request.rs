//! Pure: a chain -> the pages it is about (virtio 1.2, 5.5.6).

use vm_memory::{GuestAddress, GuestMemoryBackend};

use super::super::chain::Chain;
use crate::memory::GuestRam;

/// What the driver counts in, whatever the pages of guest and host are.
pub const PAGE: u64 = 1 << PAGE_SHIFT;
const PAGE_SHIFT: u32 = 12;
/// Page numbers of one inflate or deflate request. Linux sends 256.
pub const MAX_PAGES: usize = 1024;
/// Ranges of one report. Linux sends 32.
pub const MAX_RANGES: usize = 256;
const NUMBER: usize = size_of::<u32>();

/// Whole pages, at least one, that were found to be guest RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRange {
    start: GuestAddress,
    length: u64,
}

impl PageRange {
    fn new(memory: &GuestRam, start: GuestAddress, length: u64) -> Result<Self, RequestError> {
        if length == 0 || !length.is_multiple_of(PAGE) || !start.0.is_multiple_of(PAGE) {
            return Err(RequestError::Alignment);
        }
        let inside = usize::try_from(length).is_ok_and(|n| memory.check_range(start, n));
        if inside {
            Ok(Self { start, length })
        } else {
            Err(RequestError::Outside)
        }
    }

    /// Where it begins.
    pub fn start(self) -> GuestAddress {
        self.start
    }

    /// In bytes.
    pub fn length(self) -> u64 {
        self.length
    }
}

/// Why a request is answered without having been done. None of its pages is touched then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not whole pages, or none.
    #[error("not a range of whole pages")]
    Alignment,
    /// Not guest RAM.
    #[error("pages outside memory")]
    Outside,
    /// Buffers of a direction, or a length, that this queue does not have.
    #[error("malformed list of pages")]
    Shape,
    /// More than one request may name.
    #[error("too many pages in one request")]
    TooMany,
}

/// The pages that an inflate or a deflate request names by their numbers, in order, what is
/// adjacent in one range, each page once.
///
/// # Errors
/// See [`RequestError`].
pub fn pages(chain: &Chain, memory: &GuestRam) -> Result<Vec<PageRange>, RequestError> {
    let length = chain.readable_length() as usize;
    if length == 0 || !length.is_multiple_of(NUMBER) || chain.writable_length() != 0 {
        return Err(RequestError::Shape);
    }
    if length / NUMBER > MAX_PAGES {
        return Err(RequestError::TooMany);
    }
    let mut bytes = [0; MAX_PAGES * NUMBER];
    let bytes = bytes.get_mut(..length).ok_or(RequestError::TooMany)?;
    if chain.read(memory, 0, bytes) != length {
        return Err(RequestError::Shape);
    }
    let (numbers, _) = bytes.as_chunks();
    let mut numbers: Vec<u32> = numbers.iter().copied().map(u32::from_le_bytes).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .chunk_by(|a, b| a.checked_add(1) == Some(*b))
        .map(|run| {
            let first = run.first().copied().ok_or(RequestError::Shape)?;
            let start = GuestAddress(u64::from(first) << PAGE_SHIFT);
            PageRange::new(memory, start, (run.len() as u64) << PAGE_SHIFT)
        })
        .collect()
}

/// The ranges that a report names: they are its buffers, in which nothing is written.
///
/// # Errors
/// See [`RequestError`].
pub fn report(chain: &Chain, memory: &GuestRam) -> Result<Vec<PageRange>, RequestError> {
    let buffers = chain.writable_ranges();
    if buffers.is_empty() || chain.readable_length() != 0 {
        return Err(RequestError::Shape);
    }
    if buffers.len() > MAX_RANGES {
        return Err(RequestError::TooMany);
    }
    buffers
        .iter()
        .map(|&(start, length)| PageRange::new(memory, start, length.into()))
        .collect()
}

#[cfg(test)]
mod tests;
