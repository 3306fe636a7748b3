//! The stream of file contents: block-aligned extents, one after the other, zeroes left as holes.
//!
//! Writes are gathered in one buffer that spans files, so that thousands of small files become a
//! few large sequential writes.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::fs::FallocateFlags;

use crate::builder::BuildError;
use crate::format::BLOCK;
use crate::meta::Limits;

const BUFFER: usize = 256 << 10;
const BLOCK_LEN: usize = BLOCK as usize;

/// Where a file's contents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Blocks that hold something else than zeroes.
    pub(crate) blocks: u32,
}

#[derive(Debug)]
pub(crate) struct Contents {
    out: File,
    /// Starts at a block boundary of the file: at `written`.
    buffer: Vec<u8>,
    written: u64,
    /// Where the file that is being written starts.
    start: u64,
    /// Blocks written to `out` since `start`, or to be: see [`Contents::flush`].
    blocks: u32,
    bytes: u64,
    max_bytes: u64,
    max_span: u64,
}

impl Contents {
    pub(crate) fn new(out: File, limits: &Limits) -> Result<Contents, BuildError> {
        out.set_len(0).map_err(write)?;
        Ok(Contents {
            out,
            buffer: Vec::with_capacity(BUFFER),
            written: BLOCK,
            start: BLOCK,
            blocks: 0,
            bytes: 0,
            max_bytes: limits.bytes,
            max_span: limits.span,
        })
    }

    pub(crate) fn begin(&mut self) {
        self.start = self.position();
        self.blocks = 0;
    }

    pub(crate) fn append(&mut self, mut bytes: &[u8]) -> Result<(), BuildError> {
        let length = bytes.len() as u64;
        if length > self.max_bytes - self.bytes {
            return Err(BuildError::TooManyBytes {
                limit: self.max_bytes,
            });
        }
        self.check_span(length)?;
        self.bytes += length;
        while !bytes.is_empty() {
            let room = BUFFER - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    pub(crate) fn skip(&mut self, length: u64) -> Result<(), BuildError> {
        self.check_span(length)?;
        let target = self.position() + length;
        let buffered = target - self.written;
        if buffered < BUFFER as u64 {
            self.buffer.resize(buffered as usize, 0);
            return Ok(());
        }
        self.pad();
        self.flush()?;
        self.written = target - target % BLOCK;
        self.buffer.resize((target % BLOCK) as usize, 0);
        Ok(())
    }

    /// Ends the file that is being written.
    pub(crate) fn end(&mut self) -> Result<Extent, BuildError> {
        let length = self.position() - self.start;
        self.pad();
        // What the buffer still holds of this file is counted now and written with what follows.
        let held = self.start.saturating_sub(self.written) as usize;
        let mut blocks = self.blocks;
        for block in self.buffer[held..].chunks(BLOCK_LEN) {
            blocks = blocks.saturating_add(u32::from(!is_zero(block)));
        }
        if self.buffer.len() == BUFFER {
            self.flush()?;
        }
        Ok(Extent {
            offset: self.start,
            length,
            blocks,
        })
    }

    /// Forgets the file that is being written.
    pub(crate) fn abandon(&mut self) {
        let extent = Extent {
            offset: self.start,
            length: self.position() - self.start,
            blocks: 0,
        };
        self.pad();
        if self.start >= self.written {
            self.buffer.truncate((self.start - self.written) as usize);
        } else {
            self.buffer.clear();
            self.punch(&extent);
        }
    }

    /// Gives back the room of files that were replaced.
    pub(crate) fn discard(&mut self, extents: &[Extent]) -> Result<(), BuildError> {
        for extent in extents.iter().filter(|extent| extent.blocks > 0) {
            if extent.offset + extent.length > self.written {
                self.flush()?;
            }
            self.punch(extent);
        }
        Ok(())
    }

    /// The file and where its index may start.
    pub(crate) fn finish(mut self) -> Result<(File, u64), BuildError> {
        self.flush()?;
        let end = self.written;
        Ok((self.out, end))
    }

    fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn check_span(&self, length: u64) -> Result<(), BuildError> {
        // One block is kept free so that padding cannot pass the limit.
        let span = self
            .position()
            .checked_add(length)
            .filter(|&span| span <= self.max_span);
        span.map(drop).ok_or(BuildError::SpanTooLong {
            limit: self.max_span,
        })
    }

    fn pad(&mut self) {
        let padded = self.buffer.len().next_multiple_of(BLOCK_LEN);
        self.buffer.resize(padded, 0);
    }

    /// Writes the buffer, which ends at a block boundary or is full, without its blocks of zeroes.
    fn flush(&mut self) -> Result<(), BuildError> {
        debug_assert!(self.buffer.len().is_multiple_of(BLOCK_LEN));
        let held = self.start.saturating_sub(self.written) as usize;
        let mut at = 0;
        while at < self.buffer.len() {
            let rest = &self.buffer[at..];
            let zero = is_zero(&rest[..BLOCK_LEN]);
            let run = rest
                .chunks(BLOCK_LEN)
                .take_while(|block| is_zero(block) == zero)
                .count();
            let length = run * BLOCK_LEN;
            if !zero {
                self.out
                    .write_all_at(&rest[..length], self.written + at as u64)
                    .map_err(write)?;
                let own = (at + length).saturating_sub(held.max(at)) / BLOCK_LEN;
                self.blocks = self.blocks.saturating_add(own as u32);
            }
            at += length;
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// A file system that cannot make holes keeps the bytes, which nothing refers to.
    fn punch(&self, extent: &Extent) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let length = extent.length.next_multiple_of(BLOCK);
        if length > 0 {
            let _ = rustix::fs::fallocate(&self.out, flags, extent.offset, length);
        }
    }
}

fn is_zero(block: &[u8]) -> bool {
    // In words, which the compiler turns into vector instructions; most blocks end it at once.
    block
        .chunks(64)
        .all(|chunk| chunk.iter().fold(0, |all, &byte| all | byte) == 0)
}

fn write(source: std::io::Error) -> BuildError {
    BuildError::Write { source }
}
