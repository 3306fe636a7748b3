//! Checked ranges of guest memory for scatter/gather system calls.
//!
//! The kernel copies straight between a file or socket and the guest. That races with the guest's
//! own accesses exactly as a device's DMA does, which is why no Rust reference is ever made.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

use vm_memory::{GuestAddress, GuestMemoryBackend};

use super::GuestRam;

/// The most segments one system call takes (`UIO_MAXIOV`).
const MAX_SEGMENTS: usize = 1024;

/// A range is not in guest memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes at {address:#x} are not guest memory")]
pub struct IovecError {
    /// Where the range starts.
    pub address: u64,
    /// How long it claims to be.
    pub length: u32,
}

/// A list of ranges, all inside guest memory, that lives no longer than the memory does.
#[derive(Debug)]
pub struct Iovecs<'m> {
    list: Vec<libc::iovec>,
    total: usize,
    memory: PhantomData<&'m GuestRam>,
}

impl<'m> Iovecs<'m> {
    /// Checks and collects ranges, leaving out the first `skip` bytes and all after `limit`.
    ///
    /// # Errors
    /// A range is not wholly inside guest memory.
    pub fn collect(
        memory: &'m GuestRam,
        ranges: &[(GuestAddress, u32)],
        mut skip: usize,
        limit: usize,
    ) -> Result<Self, IovecError> {
        let mut list = Vec::with_capacity(ranges.len());
        let mut total = 0;
        for &(address, length) in ranges {
            let bad = IovecError {
                address: address.0,
                length,
            };
            for slice in memory.get_slices(address, length as usize) {
                let slice = slice.map_err(|_| bad)?;
                let drop = skip.min(slice.len());
                skip -= drop;
                let take = (slice.len() - drop).min(limit - total);
                if take == 0 {
                    continue;
                }
                let part = slice.subslice(drop, take).map_err(|_| bad)?;
                list.push(libc::iovec {
                    iov_base: part.ptr_guard_mut().as_ptr().cast(),
                    iov_len: take,
                });
                total += take;
            }
        }
        Ok(Self {
            list,
            total,
            memory: PhantomData,
        })
    }

    /// How many bytes the ranges hold.
    pub fn len(&self) -> usize {
        self.total
    }

    /// Whether they hold none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// `preadv` into guest memory until the ranges are full or the file ends.
    ///
    /// # Errors
    /// As `preadv`.
    pub fn read_from_at(&self, file: BorrowedFd<'_>, offset: u64) -> io::Result<usize> {
        self.transfer(offset, |list, count, offset| {
            // SAFETY: every iovec covers mapped guest memory that outlives `self`; the kernel
            // writes it as a device would.
            unsafe { libc::preadv(file.as_raw_fd(), list, count, offset) }
        })
    }

    /// `pwritev` out of guest memory until all is written.
    ///
    /// # Errors
    /// As `pwritev`.
    pub fn write_to_at(&self, file: BorrowedFd<'_>, offset: u64) -> io::Result<usize> {
        self.transfer(offset, |list, count, offset| {
            // SAFETY: as above; the kernel only reads.
            unsafe { libc::pwritev(file.as_raw_fd(), list, count, offset) }
        })
    }

    /// One `readv` from a stream.
    ///
    /// # Errors
    /// As `readv`.
    pub fn read_from(&self, stream: BorrowedFd<'_>) -> io::Result<usize> {
        let count = self.list.len().min(MAX_SEGMENTS) as libc::c_int;
        // SAFETY: every iovec covers mapped guest memory that outlives `self`.
        let n = unsafe { libc::readv(stream.as_raw_fd(), self.list.as_ptr(), count) };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }

    /// One `sendmsg` to a socket, without SIGPIPE.
    ///
    /// # Errors
    /// As `sendmsg`.
    pub fn send_to(&self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        // SAFETY: an all-zero msghdr is valid: no name, no control data.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = self.list.as_ptr().cast_mut();
        message.msg_iovlen = self.list.len().min(MAX_SEGMENTS);
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: the message points at iovecs that cover mapped guest memory.
        let n = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }

    fn transfer(
        &self,
        offset: u64,
        call: impl Fn(*const libc::iovec, libc::c_int, libc::off_t) -> isize,
    ) -> io::Result<usize> {
        let mut list = self.list.as_slice();
        // Where a call stopped inside a segment, that segment's rest goes first, alone.
        let mut rest: Option<libc::iovec> = None;
        let mut done = 0;
        while rest.is_some() || !list.is_empty() {
            let position = offset
                .checked_add(done as u64)
                .and_then(|o| libc::off_t::try_from(o).ok())
                .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
            let part = match &rest {
                Some(one) => std::slice::from_ref(one),
                None => &list[..list.len().min(MAX_SEGMENTS)],
            };
            let n = call(part.as_ptr(), part.len() as libc::c_int, position);
            let mut n = match usize::try_from(n) {
                Ok(0) => return Ok(done),
                Ok(n) => n,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() == io::ErrorKind::Interrupted {
                        continue;
                    }
                    return Err(error);
                }
            };
            done += n;
            if let Some(one) = rest.take() {
                rest = after(one, n);
                continue;
            }
            while n > 0 {
                let Some((first, others)) = list.split_first() else {
                    break;
                };
                list = others;
                if n < first.iov_len {
                    rest = after(*first, n);
                    break;
                }
                n -= first.iov_len;
            }
        }
        Ok(done)
    }
}

/// What is left of a segment after its first `n` bytes.
fn after(segment: libc::iovec, n: usize) -> Option<libc::iovec> {
    let left = segment.iov_len.checked_sub(n).filter(|&left| left > 0)?;
    Some(libc::iovec {
        iov_base: segment.iov_base.wrapping_byte_add(n),
        iov_len: left,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::fd::AsFd;
    use vm_memory::Bytes;

    fn ram() -> GuestRam {
        GuestRam::from_ranges(&[(GuestAddress(0), 0x4000), (GuestAddress(0x4000), 0x4000)]).unwrap()
    }

    #[test]
    fn a_range_across_two_regions_is_one_transfer() {
        let ram = ram();
        let file = tempfile::tempfile().unwrap();
        ram.write_slice(&[7; 0x2000], GuestAddress(0x3000)).unwrap();
        let iov = Iovecs::collect(&ram, &[(GuestAddress(0x3000), 0x2000)], 0, usize::MAX).unwrap();
        assert_eq!(iov.write_to_at(file.as_fd(), 10).unwrap(), 0x2000);
        let back = Iovecs::collect(&ram, &[(GuestAddress(0), 0x2000)], 0, usize::MAX).unwrap();
        assert_eq!(back.read_from_at(file.as_fd(), 10).unwrap(), 0x2000);
        let mut got = [0; 0x2000];
        ram.read_slice(&mut got, GuestAddress(0)).unwrap();
        assert!(got.iter().all(|&b| b == 7));
    }

    #[test]
    fn a_range_outside_memory_is_refused() {
        let ram = ram();
        for (address, length) in [(0x7fff, 2), (u64::MAX, 1), (0x8000, 1), (0, u32::MAX)] {
            let got = Iovecs::collect(&ram, &[(GuestAddress(address), length)], 0, usize::MAX);
            assert_eq!(got.unwrap_err(), IovecError { address, length });
        }
    }

    #[test]
    fn reading_past_the_end_of_a_file_is_short() {
        let ram = ram();
        let file = tempfile::tempfile().unwrap();
        file.set_len(5).unwrap();
        let iov = Iovecs::collect(&ram, &[(GuestAddress(0), 16)], 0, usize::MAX).unwrap();
        assert_eq!(iov.read_from_at(file.as_fd(), 0).unwrap(), 5);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn skip_and_limit_pick_the_same_bytes_as_a_flat_copy(
            ranges in proptest::collection::vec((0u64..0x7000, 0u32..0x800), 0..6),
            skip in 0usize..0x1000, limit in 0usize..0x1000,
        ) {
            let ram = ram();
            for i in 0..0x8000u64 {
                ram.write_obj((i % 251) as u8, GuestAddress(i)).unwrap();
            }
            let mut flat = Vec::new();
            for &(address, length) in &ranges {
                let mut part = vec![0; length as usize];
                ram.read_slice(&mut part, GuestAddress(address)).unwrap();
                flat.extend(part);
            }
            let want: Vec<u8> = flat.into_iter().skip(skip).take(limit).collect();
            let list: Vec<_> = ranges.iter().map(|&(a, l)| (GuestAddress(a), l)).collect();
            let iov = Iovecs::collect(&ram, &list, skip, limit).unwrap();
            prop_assert_eq!(iov.len(), want.len());
            let file = tempfile::tempfile().unwrap();
            prop_assert_eq!(iov.write_to_at(file.as_fd(), 0).unwrap(), want.len());
            let mut got = Vec::new();
            std::io::Read::read_to_end(&mut &file, &mut got).unwrap();
            prop_assert_eq!(got, want);
        }
    }
}
