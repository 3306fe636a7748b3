//! Reads tar archives from strangers, as a stream.
//!
//! Understands what GNU tar, bsdtar and Go write: v7, ustar, star, GNU (long names, old sparse
//! files, base-256 numbers) and pax (long names, exact times, extended attributes, GNU sparse
//! 0.0, 0.1 and 1.0). Where readers differ it does what Go's `archive/tar` does, because that is
//! what layers are made for. It never seeks, never holds a file's contents, and bounds what a
//! header can make it hold.
//!
//! This module knows nothing of paths: `..`, whiteouts and links are the unpacker's.

mod header;
mod pax;
mod reader;
#[cfg(test)]
pub(crate) mod sample;
mod sparse;
pub(crate) mod writer;

use std::io;

pub use reader::{Entry, Kind, Reader, Segment};

pub(crate) const BLOCK: usize = 512;
/// Bytes of one extension header: a long name, or an entry's pax records.
const MAX_EXTENSION: u64 = 1 << 20;

/// Why an archive cannot be read, in the words of Docker's own reader where it has some.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    #[error("archive/tar: invalid tar header")]
    Header,
    #[error("archive/tar: header field too long")]
    ExtensionTooLong,
    #[error("archive/tar: invalid sparse file map")]
    Sparse,
    #[error("unhandled tar header type {0}")]
    Type(u8),
    #[error("unexpected EOF")]
    Truncated,
    #[error("{0}")]
    Read(#[source] io::Error),
}

impl From<io::Error> for TarError {
    fn from(error: io::Error) -> TarError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => TarError::Truncated,
            _ => TarError::Read(error),
        }
    }
}
