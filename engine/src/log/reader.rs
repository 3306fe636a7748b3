//! Reads a log while it is written: from the end backwards for `tail`, then forwards, from file
//! to file.

use std::collections::VecDeque;
use std::io::SeekFrom;
use std::sync::Arc;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::Line;
use super::shelf::{OpenPart, Shelf};
use crate::api::{LogLine, LogOptions, StdStream, Tail};

const CHUNK: usize = 256 << 10;
/// A line holds 16 KiB, and 256 KiB of attributes, each byte of which takes at most six as JSON.
pub(super) const LONGEST: usize = 2 << 20;

/// Which lines are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Selection(pub(crate) LogOptions);

impl Selection {
    pub(crate) fn wants(&self, line: &Line) -> bool {
        let options = &self.0;
        let stream = match line.stream {
            StdStream::Stdout => options.stdout,
            StdStream::Stderr => options.stderr,
        };
        stream
            && options.since.is_none_or(|since| line.time >= since)
            && options.until.is_none_or(|until| line.time <= until)
    }

    /// A line as it is sent: with its time and its attributes, if they are asked for.
    pub(crate) fn shown(&self, line: Line) -> LogLine {
        let mut text = String::new();
        if self.0.timestamps {
            text = line.time.fixed() + " ";
        }
        if self.0.details {
            text += &line.details();
        }
        let text = match text.is_empty() {
            true => line.log,
            false => text + &line.log,
        };
        LogLine {
            stream: line.stream,
            time: line.time,
            bytes: text.into(),
        }
    }
}

/// A place in a log.
#[derive(Debug)]
pub(crate) struct LogReader {
    shelf: Arc<Shelf>,
    file: Option<File>,
    /// Files that follow.
    parts: VecDeque<OpenPart>,
    /// Read so far, whole lines or not.
    at: u64,
    buffer: Vec<u8>,
    /// How much of the buffer has been given away.
    given: usize,
}

impl LogReader {
    /// Opens a log of `length` bytes of whole lines at its last lines.
    pub(crate) async fn open(shelf: Arc<Shelf>, length: u64, tail: Tail) -> std::io::Result<Self> {
        let mut reader = Self {
            parts: shelf.open_from(0)?.into(),
            shelf,
            file: None,
            at: 0,
            buffer: Vec::new(),
            given: 0,
        };
        match tail {
            Tail::All => {}
            Tail::Lines(0) => {
                reader.parts.clear();
                reader.at = length;
            }
            Tail::Lines(lines) => reader.seek(length, lines).await?,
        }
        Ok(reader)
    }

    /// Goes to the last so many lines.
    async fn seek(&mut self, length: u64, mut lines: u64) -> std::io::Result<()> {
        let mut end = length;
        let mut later = VecDeque::new();
        while let Some(part) = self.parts.pop_back() {
            let start = part.start;
            let mut file = plain(&self.shelf, part).await?;
            let (begin, found) = last_lines(&mut file, end.saturating_sub(start), lines).await?;
            lines = lines.saturating_sub(found);
            end = start;
            later.push_front((start, begin, file));
            if lines == 0 {
                break;
            }
        }
        // What is before is not wanted, and what is after has been opened already.
        self.parts.clear();
        let mut later = later.into_iter();
        if let Some((start, begin, mut file)) = later.next() {
            file.seek(SeekFrom::Start(begin)).await?;
            self.at = start.saturating_add(begin);
            self.file = Some(file);
        }
        for (start, _, file) in later {
            self.parts
                .push_back(OpenPart::of(start, file.into_std().await));
        }
        Ok(())
    }

    /// The next line that ends before `length`, the bytes of whole lines there are.
    pub(crate) async fn next(&mut self, length: u64) -> std::io::Result<Option<Line>> {
        loop {
            let rest = self.buffer.get(self.given..).unwrap_or_default();
            if let Some(feed) = memchr::memchr(b'\n', rest) {
                let line = Line::parse(rest.get(..feed).unwrap_or_default());
                self.given += feed + 1;
                match line {
                    Some(line) => return Ok(Some(line)),
                    // Damaged, or of another program's making: nothing that can be shown.
                    None => continue,
                }
            }
            let left = length.saturating_sub(self.at);
            if left == 0 {
                return Ok(None);
            }
            self.buffer.drain(..self.given);
            self.given = 0;
            if self.buffer.len() > LONGEST {
                self.buffer.clear();
            }
            let read = match &mut self.file {
                Some(file) => {
                    self.buffer.reserve(CHUNK);
                    let wanted = left.min(CHUNK as u64);
                    let read = file.take(wanted).read_buf(&mut self.buffer).await?;
                    self.at += read as u64;
                    read
                }
                None => 0,
            };
            // There is more, and not in this file.
            if read == 0 && !self.turn().await? {
                return Ok(None);
            }
        }
    }

    /// Goes on to the next file.
    async fn turn(&mut self) -> std::io::Result<bool> {
        self.buffer.clear();
        self.given = 0;
        if self.parts.is_empty() {
            self.parts = self.shelf.open_from(self.at)?.into();
            // The one that has just been read, or one of which all is known.
            while self.file.is_some() && self.parts.front().is_some_and(|p| p.start < self.at) {
                self.parts.pop_front();
            }
        }
        let Some(part) = self.parts.pop_front() else {
            return Ok(false);
        };
        let start = part.start;
        let mut file = plain(&self.shelf, part).await?;
        // Who was too slow goes on with what is still there.
        let within = self.at.saturating_sub(start);
        file.seek(SeekFrom::Start(within)).await?;
        self.at = self.at.max(start);
        self.file = Some(file);
        Ok(true)
    }
}

async fn plain(shelf: &Arc<Shelf>, part: OpenPart) -> std::io::Result<File> {
    if !part.is_compressed() {
        return Ok(File::from_std(part.into_plain(shelf.dir())?));
    }
    let shelf = shelf.clone();
    let unpacked = tokio::task::spawn_blocking(move || part.into_plain(shelf.dir())).await;
    Ok(File::from_std(unpacked.map_err(std::io::Error::other)??))
}

/// Where the last so many lines begin, and how many of them there are.
async fn last_lines(file: &mut File, length: u64, lines: u64) -> std::io::Result<(u64, u64)> {
    let length = length.min(file.metadata().await?.len());
    if length == 0 {
        return Ok((0, 0));
    }
    // The last byte is a line feed that ends the last line and begins none.
    let mut end = length - 1;
    let mut found = 0;
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let mut chunk = vec![0; usize::try_from(end - start).unwrap_or_default()];
        file.seek(SeekFrom::Start(start)).await?;
        file.read_exact(&mut chunk).await?;
        for (at, _) in chunk.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            found += 1;
            if found == lines {
                return Ok((start + at as u64 + 1, found));
            }
        }
        end = start;
    }
    Ok((0, found + 1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::log::settings::Rotation;
    use crate::time::Timestamp;

    fn log(dir: &Path, count: i64) -> (Arc<Shelf>, u64) {
        let mut bytes = Vec::new();
        for n in 0..count {
            let stream = if n % 2 == 0 {
                StdStream::Stdout
            } else {
                StdStream::Stderr
            };
            Line {
                log: format!("{n}\n"),
                stream,
                attrs: BTreeMap::new(),
                time: Timestamp(n),
                end: 0,
                from: 0,
                seam: None,
            }
            .write_to(&mut bytes);
        }
        let path = dir.join("log");
        std::fs::write(&path, &bytes).unwrap();
        let rotation = Rotation {
            size: None,
            files: 1,
            compress: false,
        };
        let shelf = Shelf::new(path, rotation);
        (Arc::new(shelf), bytes.len() as u64)
    }

    async fn read(shelf: &Arc<Shelf>, length: u64, tail: Tail) -> Vec<Line> {
        let mut reader = LogReader::open(shelf.clone(), length, tail).await.unwrap();
        let mut lines = Vec::new();
        while let Some(line) = reader.next(length).await.unwrap() {
            lines.push(line);
        }
        lines
    }

    #[tokio::test]
    async fn tail_gives_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let (path, length) = log(dir.path(), 3000);
        for (tail, count) in [
            (Tail::All, 3000),
            (Tail::Lines(0), 0),
            (Tail::Lines(1), 1),
            (Tail::Lines(2500), 2500),
            (Tail::Lines(9999), 3000),
        ] {
            let lines = read(&path, length, tail).await;
            assert_eq!(lines.len(), count, "{tail:?}");
            assert!(lines.last().is_none_or(|l| l.log == "2999\n"));
        }
        assert!(read(&path, 0, Tail::Lines(3)).await.is_empty());
    }

    #[tokio::test]
    async fn lines_that_come_later_are_read_later() {
        let dir = tempfile::tempdir().unwrap();
        let (path, length) = log(dir.path(), 10);
        let first = read(&path, length, Tail::Lines(10)).await;
        let mut reader = LogReader::open(path.clone(), length, Tail::All)
            .await
            .unwrap();
        let mut half = Vec::new();
        while let Some(line) = reader.next(length / 2).await.unwrap() {
            half.push(line);
        }
        assert!(half.len() < 10);
        while let Some(line) = reader.next(length).await.unwrap() {
            half.push(line);
        }
        assert_eq!(half, first);
    }

    #[test]
    fn since_until_and_streams_select() {
        let line = Line {
            log: "x".into(),
            stream: StdStream::Stderr,
            attrs: BTreeMap::new(),
            time: Timestamp(5),
            end: 0,
            from: 0,
            seam: None,
        };
        let wants = |options| Selection(options).wants(&line);
        let both = LogOptions {
            stdout: true,
            stderr: true,
            ..LogOptions::default()
        };
        assert!(wants(both.clone()));
        assert!(!wants(LogOptions {
            stderr: false,
            ..both.clone()
        }));
        assert!(wants(LogOptions {
            since: Some(Timestamp(5)),
            until: Some(Timestamp(5)),
            ..both.clone()
        }));
        assert!(!wants(LogOptions {
            since: Some(Timestamp(6)),
            ..both.clone()
        }));
        assert!(!wants(LogOptions {
            until: Some(Timestamp(4)),
            ..both
        }));
    }
}
