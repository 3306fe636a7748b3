//! What a disk is stored in.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;

use crate::memory::Iovecs;

/// A disk's store. Positions have been checked against its size.
pub trait Backend: Send + std::fmt::Debug + 'static {
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// Reads into guest memory; what lies past the end of the file reads as nothing.
    ///
    /// # Errors
    /// As the host's read.
    fn read(&mut self, to: &Iovecs<'_>, offset: u64) -> io::Result<usize>;
    /// Writes out of guest memory.
    ///
    /// # Errors
    /// As the host's write.
    fn write(&mut self, from: &Iovecs<'_>, offset: u64) -> io::Result<usize>;
    /// Makes writes durable.
    ///
    /// # Errors
    /// As the host's fdatasync.
    fn flush(&mut self) -> io::Result<()>;
    /// Gives a range's space back; it reads as zeros afterwards.
    ///
    /// # Errors
    /// As the host's fallocate.
    fn punch(&mut self, offset: u64, length: u64) -> io::Result<()>;
}

/// A regular file (sparse) or a block device.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    size: u64,
}

impl DiskFile {
    /// The file at its present size, cut down to whole sectors.
    ///
    /// # Errors
    /// Its size cannot be had.
    pub fn new(file: File) -> io::Result<Self> {
        // Works for block devices too, which have no length in their metadata.
        let size = io::Seek::seek(&mut &file, io::SeekFrom::End(0))?;
        Ok(Self {
            file,
            size: size & !511,
        })
    }
}

impl Backend for DiskFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, to: &Iovecs<'_>, offset: u64) -> io::Result<usize> {
        to.read_from_at(self.file.as_fd(), offset)
    }

    fn write(&mut self, from: &Iovecs<'_>, offset: u64) -> io::Result<usize> {
        from.write_to_at(self.file.as_fd(), offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn punch(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let number = |n| libc::off_t::try_from(n).map_err(io::Error::other);
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: plain numbers on an open file.
        let result = unsafe {
            libc::fallocate(
                self.file.as_raw_fd(),
                mode,
                number(offset)?,
                number(length)?,
            )
        };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EOPNOTSUPP) {
            return Err(error);
        }
        // A filesystem without holes: zeros mean the same.
        zero(&self.file, offset, length)
    }
}

fn zero(file: &File, mut offset: u64, mut length: u64) -> io::Result<()> {
    let zeros = [0; 4096];
    while length > 0 {
        let n = length.min(zeros.len() as u64);
        file.write_all_at(&zeros[..n as usize], offset)?;
        offset += n;
        length -= n;
    }
    Ok(())
}
