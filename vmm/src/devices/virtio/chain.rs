//! A descriptor chain, walked once and checked whole.
//!
//! `virtio-queue`'s iterator ends in the same way at a proper end and at a broken link. Here the
//! difference matters: a driver that builds broken chains is not a driver, and its device stops.

use virtio_queue::DescriptorChain;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use crate::memory::{GuestRam, IovecError, Iovecs};

/// Why a chain is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The chain links outside its table, loops, or nests indirect tables.
    #[error("broken descriptor chain")]
    Broken,
    /// A readable buffer after a writable one (virtio 1.2, 2.7.17).
    #[error("readable descriptor after a writable one")]
    Order,
    /// A buffer that is not in memory.
    #[error(transparent)]
    Range(#[from] IovecError),
    /// More than 4 GiB in one direction.
    #[error("descriptor chain of more than 4 GiB")]
    TooLong,
}

/// The buffers of one request: all inside guest memory, readable ones first.
#[derive(Debug, Default)]
pub struct Chain {
    /// Which descriptor to report as used.
    pub head: u16,
    readable: Vec<(GuestAddress, u32)>,
    writable: Vec<(GuestAddress, u32)>,
    readable_length: u32,
    writable_length: u32,
}

impl Chain {
    /// Walks a chain.
    ///
    /// # Errors
    /// The chain is malformed; the device must not go on.
    pub fn collect(
        chain: DescriptorChain<&GuestRam>,
        memory: &GuestRam,
    ) -> Result<Self, ChainError> {
        let mut out = Self {
            head: chain.head_index(),
            ..Self::default()
        };
        let mut ended = false;
        for descriptor in chain {
            let (address, length) = (descriptor.addr(), descriptor.len());
            if !memory.check_range(address, length as usize) {
                return Err(IovecError {
                    address: address.0,
                    length,
                }
                .into());
            }
            let (list, total) = if descriptor.is_write_only() {
                (&mut out.writable, &mut out.writable_length)
            } else if out.writable.is_empty() {
                (&mut out.readable, &mut out.readable_length)
            } else {
                return Err(ChainError::Order);
            };
            *total = total.checked_add(length).ok_or(ChainError::TooLong)?;
            list.push((address, length));
            ended = !descriptor.has_next();
        }
        if ended {
            Ok(out)
        } else {
            Err(ChainError::Broken)
        }
    }

    /// How many bytes the driver wrote for the device.
    pub fn readable_length(&self) -> u32 {
        self.readable_length
    }

    /// How many bytes the driver has room for.
    pub fn writable_length(&self) -> u32 {
        self.writable_length
    }

    /// The driver's room itself: checked ranges of memory, of any alignment.
    pub fn writable_ranges(&self) -> &[(GuestAddress, u32)] {
        &self.writable
    }

    /// Copies what the driver wrote from `offset` on; gives how much there was.
    pub fn read(&self, memory: &GuestRam, offset: usize, buffer: &mut [u8]) -> usize {
        let mut skip = offset;
        let mut done = 0;
        for &(address, length) in &self.readable {
            let length = length as usize;
            if skip >= length {
                skip -= length;
                continue;
            }
            let take = (length - skip).min(buffer.len() - done);
            let start = GuestAddress(address.0 + skip as u64);
            if take == 0
                || memory
                    .read_slice(&mut buffer[done..done + take], start)
                    .is_err()
            {
                break;
            }
            done += take;
            skip = 0;
        }
        done
    }

    /// Copies to the driver from `offset` on; gives how much there was room for.
    pub fn write(&self, memory: &GuestRam, offset: usize, bytes: &[u8]) -> usize {
        let mut skip = offset;
        let mut done = 0;
        for &(address, length) in &self.writable {
            let length = length as usize;
            if skip >= length {
                skip -= length;
                continue;
            }
            let take = (length - skip).min(bytes.len() - done);
            let start = GuestAddress(address.0 + skip as u64);
            if take == 0
                || memory
                    .write_slice(&bytes[done..done + take], start)
                    .is_err()
            {
                break;
            }
            done += take;
            skip = 0;
        }
        done
    }

    /// What the driver wrote, without its first `skip` bytes and all after `limit`.
    ///
    /// # Errors
    /// Never for a collected chain: the ranges have been checked.
    pub fn readable<'m>(
        &self,
        memory: &'m GuestRam,
        skip: usize,
        limit: usize,
    ) -> Result<Iovecs<'m>, IovecError> {
        Iovecs::collect(memory, &self.readable, skip, limit)
    }

    /// The driver's room, without its first `skip` bytes and all after `limit`.
    ///
    /// # Errors
    /// Never for a collected chain: the ranges have been checked.
    pub fn writable<'m>(
        &self,
        memory: &'m GuestRam,
        skip: usize,
        limit: usize,
    ) -> Result<Iovecs<'m>, IovecError> {
        Iovecs::collect(memory, &self.writable, skip, limit)
    }
}
