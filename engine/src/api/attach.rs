//! Streams: attach, exec and logs.

use std::str::FromStr;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::EngineError;
use crate::time::Timestamp;

/// Which of a process's outputs bytes came from. With a terminal, everything is `Stdout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StdStream {
    /// File descriptor 1, or the terminal.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// Some output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFrame {
    /// Where it was written.
    pub stream: StdStream,
    /// What was written.
    pub bytes: Bytes,
}

/// What was written before the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// Only what comes.
    #[default]
    No,
    /// All the log first (`logs=1`), without a gap or a repeat at the seam.
    Yes,
}

/// What to attach.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Follow what comes (`stream=1`). Without it only the replay is sent.
    pub stream: bool,
    /// Send to its stdin.
    pub stdin: bool,
    /// Receive its stdout.
    pub stdout: bool,
    /// Receive its stderr.
    pub stderr: bool,
    /// What came before.
    pub replay: Replay,
    /// The keys that end the attachment and leave the container running; with a terminal only.
    pub detach_keys: DetachKeys,
}

/// An attached client's ends. Dropping `output` detaches; dropping `stdin` ends the client's
/// input, and, unless that is a terminal, the container's too where `StdinOnce` says so (always for
/// an exec).
#[derive(Debug)]
pub struct Attachment {
    /// Whether `output` is a terminal's raw bytes: then it is not framed on the wire.
    pub tty: bool,
    /// `None` where stdin was not asked for or the container has none.
    pub stdin: Option<mpsc::Sender<Bytes>>,
    /// Ends when the process has, or the detach keys were typed.
    pub output: mpsc::Receiver<OutputFrame>,
}

/// Bytes that mean "detach", such as ctrl-p ctrl-q.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(pub(crate) Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

impl FromStr for DetachKeys {
    type Err = EngineError;

    /// `ctrl-p,ctrl-q`, `a`, `ctrl-@`; empty is the default.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s.is_empty() {
            return Ok(Self::default());
        }
        let key = |part: &str| match part.as_bytes() {
            [one] => Some(*one),
            _ => match part.strip_prefix("ctrl-").map(str::as_bytes) {
                Some([c @ b'a'..=b'z']) => Some(c - b'a' + 1),
                Some([c @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]) => Some(c & 0x1f),
                _ => None,
            },
        };
        s.split(',')
            .map(key)
            .collect::<Option<Vec<u8>>>()
            .map(Self)
            .ok_or_else(|| EngineError::Invalid(format!("Invalid detach keys ({s}) provided")))
    }
}

/// How much of the end of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tail {
    /// Everything.
    #[default]
    All,
    /// So many lines.
    Lines(u64),
}

/// Which lines of a log.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Lines of stdout.
    pub stdout: bool,
    /// Lines of stderr.
    pub stderr: bool,
    /// Go on until the container ends.
    pub follow: bool,
    /// None before this.
    pub since: Option<Timestamp>,
    /// None after this.
    pub until: Option<Timestamp>,
    /// The last so many, counted over both streams as Docker does.
    pub tail: Tail,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Each line begins with the attributes that its log driver was told to add.
    pub details: bool,
}

/// One line of a log, or a part of one longer than 16 KiB, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written.
    pub stream: StdStream,
    /// When the guest wrote it, by the guest's clock.
    pub time: Timestamp,
    /// The time if asked for, and the line with its line feed if it had one.
    pub bytes: Bytes,
}

/// The lines asked for.
#[derive(Debug)]
pub struct LogStream {
    /// Whether the container has a terminal: then the lines are not framed on the wire.
    pub tty: bool,
    /// Ends after the last line, or when a followed container ends.
    pub lines: LogLines,
}

/// Lines, which come in batches: as many as are there when the first of them is.
#[derive(Debug)]
pub struct LogLines {
    batches: mpsc::Receiver<Result<Vec<LogLine>, EngineError>>,
    /// Of a batch whose first line has been received by itself.
    left: std::vec::IntoIter<LogLine>,
}

impl LogLines {
    pub(crate) fn new(batches: mpsc::Receiver<Result<Vec<LogLine>, EngineError>>) -> Self {
        Self {
            batches,
            left: Vec::new().into_iter(),
        }
    }

    /// The next line.
    pub async fn recv(&mut self) -> Option<Result<LogLine, EngineError>> {
        loop {
            if let Some(line) = self.left.next() {
                return Some(Ok(line));
            }
            match self.batches.recv().await? {
                Ok(batch) => self.left = batch.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The lines that are there, at least one.
    pub fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Vec<LogLine>, EngineError>>> {
        if self.left.len() > 0 {
            let left = std::mem::take(&mut self.left);
            return Poll::Ready(Some(Ok(left.collect())));
        }
        self.batches.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_parsed_as_docker_does() {
        for (text, bytes) in [
            ("", &[0x10, 0x11][..]),
            ("ctrl-p,ctrl-q", &[0x10, 0x11]),
            ("a", b"a"),
            ("ctrl-@,x", &[0, b'x']),
            ("ctrl-\\", &[0x1c]),
        ] {
            assert_eq!(text.parse::<DetachKeys>().unwrap().0, bytes, "{text}");
        }
        assert!("ctrl-1".parse::<DetachKeys>().is_err());
        assert!("ab".parse::<DetachKeys>().is_err());
    }
}
