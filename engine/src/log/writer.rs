//! Writes records of the guest's output as lines, and knows what it has.
//!
//! A stream's unfinished line is held back until its line feed comes (or 16 KiB of it, or the
//! end). What is held back is not on disk, so it is not acknowledged either; lest it keep the
//! guest's journal full, it is written unfinished when much has come after it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;

use hull_protocol::stream::Output;

use super::line::Seam;
use super::shelf::Shelf;
use super::{Attributes, Line};
use crate::agent::stream::Record;
use crate::api::StdStream;
use crate::time::Timestamp;

/// The longest line, as Docker's.
const LONGEST: usize = 16 << 10;
/// How much may come after the beginning of a line that is held back: a fraction of what the
/// agent's journal holds, counted as it counts.
const HOLD_BACK: u64 = 64 << 10;
const RECORD_COST: u64 = 64;
/// How much of the end of a file holds all that recovery wants to know: what follows `from`.
const RECOVERY: u64 = 4 << 20;
/// How much of the beginning of a file holds its first line.
const LONGEST_LINE: usize = super::reader::LONGEST;

/// The log of one run, being written.
#[derive(Debug)]
pub(crate) struct FileWriter {
    shelf: Arc<Shelf>,
    attributes: Attributes,
    file: File,
    /// The place of this file's first byte in the log.
    start: u64,
    /// Whole lines in this file, in bytes.
    length: u64,
    /// Whether a file has become full since somebody asked.
    rotated: bool,
    /// Everything of the guest's before this has been handled.
    handled: u64,
    /// The same, counted as the agent's journal counts.
    weight: u64,
    stdout: Held,
    stderr: Held,
}

/// A line to be written.
struct Complete {
    line: Line,
    /// The offset after what is complete of the stream that it is not of.
    other: u64,
}

/// One stream's unfinished line.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    start: u64,
    start_weight: u64,
    time: u64,
    /// The offset after the last byte that is on disk.
    stored: u64,
}

impl FileWriter {
    /// Opens a log to go on with a run whose first line is at `base` bytes.
    pub(crate) fn open(shelf: Arc<Shelf>, base: u64, attributes: Attributes) -> io::Result<Self> {
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(shelf.current())?;
        let mut writer = Self {
            start: shelf.start()?,
            shelf,
            attributes,
            file,
            length: 0,
            rotated: false,
            handled: 0,
            weight: 0,
            stdout: Held::default(),
            stderr: Held::default(),
        };
        writer.recover(base)?;
        Ok(writer)
    }

    /// Whole lines that were written, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// The log whose full files want to be compressed, once for each time there is one.
    pub(crate) fn take_full(&mut self) -> Option<Arc<Shelf>> {
        let rotated = std::mem::take(&mut self.rotated);
        (rotated && self.shelf.rotation.compress).then(|| self.shelf.clone())
    }

    /// Where to read on, and what may be acknowledged.
    pub(crate) fn resume_at(&self) -> u64 {
        let held = [&self.stdout, &self.stderr]
            .into_iter()
            .filter(|h| !h.bytes.is_empty());
        held.map(|h| h.start).min().unwrap_or(self.handled)
    }

    /// What is held back of each stream.
    pub(crate) fn held(&self) -> [(StdStream, &[u8]); 2] {
        [
            (StdStream::Stdout, self.stdout.bytes.as_slice()),
            (StdStream::Stderr, self.stderr.bytes.as_slice()),
        ]
    }

    /// Writes what the records complete, and gives what of them is new: an earlier engine may
    /// have stored some.
    ///
    /// A full disk does not stop the container: what cannot be written is dropped from the log.
    pub(crate) fn append(&mut self, records: &[Record]) -> (Vec<Record>, io::Result<()>) {
        let mut lines = Vec::new();
        let mut fresh = Vec::new();
        for record in records {
            fresh.extend(self.take(record, &mut lines));
        }
        (fresh, self.write(&lines))
    }

    fn take(&mut self, record: &Record, lines: &mut Vec<Complete>) -> Option<Record> {
        let stream = match record.output {
            Output::Stdout => StdStream::Stdout,
            Output::Stderr => StdStream::Stderr,
            Output::End => {
                self.flush(StdStream::Stdout, lines);
                self.flush(StdStream::Stderr, lines);
                return None;
            }
        };
        let known = self.held_mut(stream).known();
        let skip = known.saturating_sub(record.offset);
        let skip = usize::try_from(skip)
            .unwrap_or(usize::MAX)
            .min(record.bytes.len());
        let fresh = Record {
            offset: record.offset.saturating_add(skip as u64),
            bytes: record.bytes.slice(skip..),
            ..record.clone()
        };
        // What is known already counts too: the journal holds it behind what is held back here.
        self.weight = self
            .weight
            .saturating_add(record.bytes.len() as u64 + RECORD_COST);
        self.split(stream, &fresh, lines);
        self.handled = self.handled.max(record.end());
        for stream in [StdStream::Stdout, StdStream::Stderr] {
            let (weight, held) = (self.weight, self.held_mut(stream));
            if !held.bytes.is_empty() && weight - held.start_weight > HOLD_BACK {
                self.flush(stream, lines);
            }
        }
        (!fresh.bytes.is_empty()).then_some(fresh)
    }

    fn split(&mut self, stream: StdStream, record: &Record, lines: &mut Vec<Complete>) {
        let mut at = 0;
        while at < record.bytes.len() {
            let weight = self.weight;
            let held = self.held_mut(stream);
            if held.bytes.is_empty() {
                held.start = record.offset.saturating_add(at as u64);
                held.start_weight = weight;
            }
            let rest = &record.bytes[at..];
            let room = LONGEST - held.bytes.len();
            let (take, complete) = match memchr::memchr(b'\n', rest.get(..room).unwrap_or(rest)) {
                Some(feed) => (feed + 1, true),
                None if rest.len() >= room => (on_boundary(rest, room), true),
                None => (rest.len(), false),
            };
            held.bytes.extend_from_slice(&rest[..take]);
            held.time = record.time;
            held.stored_to(record.offset.saturating_add((at + take) as u64));
            at += take;
            self.handled = self.handled.max(record.offset.saturating_add(at as u64));
            if complete {
                self.flush(stream, lines);
            }
        }
    }

    /// Makes a line of what is held.
    fn flush(&mut self, stream: StdStream, lines: &mut Vec<Complete>) {
        let held = self.held_mut(stream);
        if held.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut held.bytes);
        let (time, end) = (Timestamp::from_guest(held.time), held.stored);
        let other = match stream {
            StdStream::Stdout => &self.stderr,
            StdStream::Stderr => &self.stdout,
        };
        lines.push(Complete {
            line: Line {
                log: String::from_utf8_lossy(&bytes).into_owned(),
                stream,
                attrs: self.attributes.clone(),
                time,
                end,
                from: self.resume_at(),
                seam: None,
            },
            other: other.complete(),
        });
    }

    /// One write for each file; what does not fit of it, not at all.
    fn write(&mut self, lines: &[Complete]) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut follows = false;
        for Complete { line, other } in lines {
            let so_far = if follows { 0 } else { self.length };
            let written = so_far.saturating_add(bytes.len() as u64);
            let full = self.shelf.rotation.size.is_some_and(|size| written >= size);
            if full && written > 0 {
                self.put(&bytes, follows)?;
                bytes.clear();
                follows = true;
                let seam = Seam {
                    at: self.length(),
                    other: *other,
                };
                let first = Line {
                    seam: Some(seam),
                    ..line.clone()
                };
                first.write_to(&mut bytes);
            } else {
                line.write_to(&mut bytes);
            }
        }
        self.put(&bytes, follows)
    }

    /// Writes whole lines at the end of this file, or as the first ones of the next.
    fn put(&mut self, bytes: &[u8], follows: bool) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let length = bytes.len() as u64;
        if follows {
            let file = self.shelf.rotate(bytes)?;
            self.start = self.length();
            (self.file, self.length, self.rotated) = (file, length, true);
            return Ok(());
        }
        let written = self.file.write_all_at(bytes, self.length);
        match written {
            Ok(()) => self.length += length,
            // What is torn is overwritten by the next line, or cut off at the next start.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }

    fn held_mut(&mut self, stream: StdStream) -> &mut Held {
        match stream {
            StdStream::Stdout => &mut self.stdout,
            StdStream::Stderr => &mut self.stderr,
        }
    }

    fn recover(&mut self, base: u64) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let from = length.saturating_sub(RECOVERY);
        let mut bytes = vec![0; usize::try_from(length - from).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, from)?;
        let whole = bytes
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        self.length = from + whole as u64;
        self.file.set_len(self.length)?;
        let mut at = self.start.saturating_add(from);
        if self.start >= base {
            self.recover_seam()?;
        }
        for raw in bytes[..whole].split_inclusive(|b| *b == b'\n') {
            let line = Line::parse(raw).filter(|_| at >= base);
            at += raw.len() as u64;
            let Some(line) = line else { continue };
            self.held_mut(line.stream).stored = line.end;
            self.handled = line.from;
        }
        Ok(())
    }
}

impl FileWriter {
    /// What the first line says of the files before, which may be gone.
    fn recover_seam(&mut self) -> io::Result<()> {
        let mut first = vec![
            0;
            usize::try_from(self.length)
                .unwrap_or(LONGEST_LINE)
                .min(LONGEST_LINE)
        ];
        self.file.read_exact_at(&mut first, 0)?;
        let end = first
            .iter()
            .position(|b| *b == b'\n')
            .unwrap_or(first.len());
        let line = Line::parse(first.get(..end).unwrap_or_default());
        if let Some((line, seam)) = line.and_then(|line| line.seam.map(|seam| (line, seam))) {
            let other = match line.stream {
                StdStream::Stdout => StdStream::Stderr,
                StdStream::Stderr => StdStream::Stdout,
            };
            self.held_mut(other).stored = seam.other;
        }
        Ok(())
    }
}

impl Held {
    /// The offset after what is complete: on disk, or about to be.
    fn complete(&self) -> u64 {
        match self.bytes.is_empty() {
            true => self.stored,
            false => self.start,
        }
    }

    /// The offset after the last byte that need not come again.
    fn known(&self) -> u64 {
        self.stored
    }

    fn stored_to(&mut self, offset: u64) {
        self.stored = offset;
    }
}

/// At most `most` bytes, not ending inside a character where that can be helped.
fn on_boundary(bytes: &[u8], most: usize) -> usize {
    let is_continuation = |at: usize| bytes.get(at).is_some_and(|b| b & 0xc0 == 0x80);
    let back = (0..=3).find(|back| most > *back && !is_continuation(most - back));
    back.map_or(most, |back| most - back)
}

#[cfg(test)]
mod tests;
