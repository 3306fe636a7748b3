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

mod line;
mod reader;
mod writer;

pub(crate) use line::Line;
pub(crate) use reader::{LogReader, Selection};
pub(crate) use writer::LogWriter;
