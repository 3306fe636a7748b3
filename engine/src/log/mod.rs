//! A container's log: Docker's json-file format, one JSON object a line.
//!
//! ```text
//! {"log":"hello\n","stream":"stdout","time":"2026-…Z","end":6,"from":6}
//! ```
//!
//! `end` and `from` are ours (other readers ignore them) and make the log its own journal: `end`
//! is the offset, in the guest's output, after this line; `from` is where to read on once the file
//! ends with this line. A line is one write, so after a crash the file ends with a whole line or
//! with a torn one that is cut off: no byte is lost, none comes twice.
//!
//! A log may be several files ([`shelf`]), or none at all ([`discarded`]).

pub(crate) mod attributes;
mod discarded;
mod line;
mod reader;
mod settings;
mod shelf;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use attributes::Attributes;
use discarded::Discarded;
pub(crate) use line::Line;
pub(crate) use reader::{LogReader, Selection};
pub use settings::LogConfigError;
pub(crate) use settings::{Driver, Rotation};
pub(crate) use shelf::Shelf;
use writer::FileWriter;

use crate::agent::stream::Record;
use crate::api::StdStream;

/// Where a container's output is kept.
#[derive(Clone, Debug)]
pub(crate) enum Log {
    Files(Arc<Shelf>),
    /// Only how far it has come is kept, in this file.
    Discarded(PathBuf),
}

/// Which output a log is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// That of a new process.
    New,
    /// That of one whose first line is, or would be, at so many bytes.
    From(u64),
}

/// The log of one run, being written.
#[derive(Debug)]
pub(crate) enum LogWriter {
    Files(FileWriter),
    Discarded(Discarded),
}

impl Log {
    pub(crate) fn write(&self, run: Run, attributes: Attributes) -> io::Result<LogWriter> {
        Ok(match self {
            Self::Files(shelf) => {
                let base = match run {
                    Run::New => shelf.end()?,
                    Run::From(base) => base,
                };
                LogWriter::Files(FileWriter::open(shelf.clone(), base, attributes)?)
            }
            Self::Discarded(path) => LogWriter::Discarded(Discarded::open(path, run)?),
        })
    }

    /// The place after the last byte.
    pub(crate) fn end(&self) -> io::Result<u64> {
        match self {
            Self::Files(shelf) => shelf.end(),
            Self::Discarded(_) => Ok(0),
        }
    }
}

impl LogWriter {
    /// Whole lines that were written, in bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Files(writer) => writer.length(),
            Self::Discarded(_) => 0,
        }
    }

    /// Where to read on, and what may be acknowledged.
    pub(crate) fn resume_at(&self) -> u64 {
        match self {
            Self::Files(writer) => writer.resume_at(),
            Self::Discarded(position) => position.handled(),
        }
    }

    /// What is held back of each stream.
    pub(crate) fn held(&self) -> [(StdStream, &[u8]); 2] {
        match self {
            Self::Files(writer) => writer.held(),
            Self::Discarded(_) => [StdStream::Stdout, StdStream::Stderr].map(|s| (s, &[][..])),
        }
    }

    /// Takes records, and gives what of them is new: an earlier engine may have had some.
    pub(crate) fn append(&mut self, records: &[Record]) -> (Vec<Record>, io::Result<()>) {
        match self {
            Self::Files(writer) => writer.append(records),
            Self::Discarded(position) => position.append(records),
        }
    }

    /// The log whose full files want to be compressed, once for each time there is one.
    pub(crate) fn take_full(&mut self) -> Option<Arc<Shelf>> {
        match self {
            Self::Files(writer) => writer.take_full(),
            Self::Discarded(_) => None,
        }
    }
}
