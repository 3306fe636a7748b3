//! Reads a log while it is written: from the end backwards for `tail`, then forwards.

use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::Line;
use crate::api::{LogOptions, StdStream, Tail};

const CHUNK: usize = 64 << 10;
/// A line holds 16 KiB, each byte of which takes at most six as JSON.
const LONGEST: usize = 128 << 10;

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
}

/// A place in a log.
#[derive(Debug)]
pub(crate) struct LogReader {
    file: File,
    /// Read so far, whole lines or not.
    at: u64,
    buffer: Vec<u8>,
}

impl LogReader {
    /// Opens a log of `length` bytes of whole lines at its last lines.
    pub(crate) async fn open(path: &Path, length: u64, tail: Tail) -> std::io::Result<Self> {
        let mut file = File::open(path).await?;
        let at = match tail {
            Tail::All => 0,
            Tail::Lines(lines) => last_lines(&mut file, length, lines).await?,
        };
        file.seek(SeekFrom::Start(at)).await?;
        Ok(Self {
            file,
            at,
            buffer: Vec::new(),
        })
    }

    /// The next line that ends before `length`, the bytes of whole lines there are.
    pub(crate) async fn next(&mut self, length: u64) -> std::io::Result<Option<Line>> {
        loop {
            if let Some(feed) = self.buffer.iter().position(|b| *b == b'\n') {
                let line = Line::parse(&self.buffer[..feed]);
                self.buffer.drain(..=feed);
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
            if self.buffer.len() > LONGEST {
                self.buffer.clear();
            }
            let mut chunk = vec![0; usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
            let read = self.file.read(&mut chunk).await?;
            if read == 0 {
                return Ok(None);
            }
            self.at += read as u64;
            self.buffer.extend_from_slice(&chunk[..read]);
        }
    }
}

/// Where the last so many lines begin.
async fn last_lines(file: &mut File, length: u64, lines: u64) -> std::io::Result<u64> {
    // The last byte is a line feed that ends the last line and begins none.
    let mut end = length.saturating_sub(1);
    let mut found = 0;
    if lines == 0 {
        return Ok(length);
    }
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let mut chunk = vec![0; usize::try_from(end - start).unwrap_or_default()];
        file.seek(SeekFrom::Start(start)).await?;
        file.read_exact(&mut chunk).await?;
        for (at, _) in chunk.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            found += 1;
            if found == lines {
                return Ok(start + at as u64 + 1);
            }
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn log(dir: &Path, count: i64) -> (std::path::PathBuf, u64) {
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
                time: Timestamp(n),
                end: 0,
                from: 0,
            }
            .write_to(&mut bytes);
        }
        let path = dir.join("log");
        std::fs::write(&path, &bytes).unwrap();
        (path, bytes.len() as u64)
    }

    async fn read(path: &Path, length: u64, tail: Tail) -> Vec<Line> {
        let mut reader = LogReader::open(path, length, tail).await.unwrap();
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
        let mut reader = LogReader::open(&path, length, Tail::All).await.unwrap();
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
            time: Timestamp(5),
            end: 0,
            from: 0,
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
