//! A container's or an exec's streams tied to ours.
//!
//! ```text
//! stdin ──► detach keys? ──► daemon ──► frames? ──► stdout, stderr
//!              │                          │
//!              └──► Detached              └──► Closed
//! ```
//!
//! The end of our input closes the daemon's side for writing and no more: output goes on
//! until the daemon ends it.

pub(crate) mod resize;
mod show;
pub(crate) mod signals;

pub(crate) use show::show;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::api::{Chunks, Hijacked};
use crate::failure::Failure;
use crate::session::signals::Caught;
use crate::terminal::detach::{DetachKeys, Scanner};
use crate::terminal::raw::RawMode;
use crate::terminal::stdin_is_terminal;

const INPUT_CHUNK: usize = 32 * 1024;

/// What is tied to what.
pub(crate) struct Streams {
    pub(crate) stdin: bool,
    pub(crate) output: Output,
    /// The container has a terminal: ours goes raw and is watched for the detach keys.
    pub(crate) tty: bool,
    pub(crate) detach: DetachKeys,
}

/// Which of the two outputs are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl Output {
    pub(crate) const BOTH: Output = Output {
        stdout: true,
        stderr: true,
    };
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The daemon closed the stream: the process has ended, or closed its output.
    Closed,
    Detached,
}

/// Streams that are open, with the terminal in the mode they need.
pub(crate) struct Session {
    hijacked: Hijacked,
    streams: Streams,
    raw: Option<RawMode>,
}

impl Session {
    pub(crate) fn open(hijacked: Hijacked, streams: Streams) -> Result<Session, Failure> {
        let raw = match streams.tty && streams.stdin && stdin_is_terminal() {
            true => Some(RawMode::enter().map_err(|error| {
                Failure::new(format!("cannot set the terminal to raw mode: {error}"))
            })?),
            false => None,
        };
        Ok(Session {
            hijacked,
            streams,
            raw,
        })
    }

    /// As [`Session::run`], where signals are this process's own: one that ends it gives a raw
    /// terminal back first.
    pub(crate) async fn run_until_signal(self) -> Result<Ended, Failure> {
        if self.raw.is_none() {
            return self.run().await;
        }
        tokio::select! {
            ended = self.run() => ended,
            status = Caught::fatal().status() => Err(Failure::silent(status)),
        }
    }

    /// Carries bytes until the daemon closes the stream or the user detaches.
    pub(crate) async fn run(self) -> Result<Ended, Failure> {
        let Session {
            hijacked,
            streams,
            raw,
        } = self;
        let scanner = streams.tty.then(|| Scanner::new(&streams.detach));
        let output = show(
            Chunks::hijacked(hijacked.reader),
            hijacked.kind,
            streams.output,
        );
        let input = carry(hijacked.writer, streams.stdin, scanner);
        tokio::pin!(output, input);
        let ended = tokio::select! {
            shown = &mut output => shown.map(|()| Ended::Closed),
            ended = &mut input => match ended {
                Ended::Detached => Ok(Ended::Detached),
                Ended::Closed => output.await.map(|()| Ended::Closed),
            },
        };
        drop(raw);
        ended
    }
}

/// Our input to the daemon's. A write that fails means that nobody reads any more: the output
/// tells how it ended.
async fn carry(
    mut writer: impl AsyncWrite + Unpin,
    attached: bool,
    mut scanner: Option<Scanner>,
) -> Ended {
    if attached {
        let mut stdin = tokio::io::stdin();
        let mut buffer = vec![0; INPUT_CHUNK];
        loop {
            let read = match stdin.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => &buffer[..read],
            };
            let written = match &mut scanner {
                None => writer.write_all(read).await,
                Some(scanner) => {
                    let scanned = scanner.feed(read);
                    let written = writer.write_all(&scanned.pass).await;
                    if scanned.detached {
                        return Ended::Detached;
                    }
                    written
                }
            };
            if written.is_err() {
                return Ended::Closed;
            }
        }
    }
    if let Some(held) = scanner.map(Scanner::finish).filter(|held| !held.is_empty()) {
        drop(writer.write_all(&held).await);
    }
    drop(writer.shutdown().await);
    Ended::Closed
}
