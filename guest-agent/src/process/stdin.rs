//! The agent's end of a process's standard input.
//!
//! A write waits for the process to read, so it can be told to give up: by a later connection
//! that takes over, or by the process's end.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::process::bell::Bell;

/// Where input goes.
pub(crate) enum Sink {
    /// Closing it is the end of input.
    Pipe(OwnedFd),
    /// A terminal stays open: its end of input is a character the user types, as with Docker.
    Terminal(OwnedFd),
}

/// Standard input of one process.
pub(crate) struct Stdin {
    state: Mutex<State>,
    /// Rung when whoever is writing has to stop.
    stop: Bell,
}

struct State {
    sink: Option<Arc<Sink>>,
    writer: u64,
    connection: Option<UnixStream>,
}

/// The right to write, until somebody takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn(u64);

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// All of it is in the process's input.
    All,
    /// The input is closed, or another connection has taken over.
    Over,
}

impl Stdin {
    pub(crate) fn new(sink: Sink) -> std::io::Result<Self> {
        let fd = match &sink {
            Sink::Pipe(fd) | Sink::Terminal(fd) => fd,
        };
        rustix::io::ioctl_fionbio(fd, true)?;
        Ok(Self {
            state: Mutex::new(State {
                sink: Some(Arc::new(sink)),
                writer: 0,
                connection: None,
            }),
            stop: Bell::new()?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete when the lock is released.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over from whoever wrote before.
    pub(crate) fn attach(&self, connection: UnixStream) -> Turn {
        let mut state = self.lock();
        state.writer += 1;
        let turn = Turn(state.writer);
        if let Some(old) = state.connection.replace(connection) {
            // It may be gone already, which is what is wanted.
            let _ = old.shutdown(std::net::Shutdown::Both);
        }
        self.stop.ring();
        turn
    }

    /// Gives the turn back, so that the connection is not kept.
    pub(crate) fn detach(&self, turn: Turn) {
        let mut state = self.lock();
        if state.writer == turn.0 {
            state.connection = None;
        }
    }

    /// Writes all of it, however long the process takes to read.
    pub(crate) fn write(&self, turn: Turn, mut bytes: &[u8]) -> Written {
        while !bytes.is_empty() {
            let sink = {
                let state = self.lock();
                if state.writer != turn.0 {
                    return Written::Over;
                }
                // Under the lock: whoever changes the state rings after this.
                self.stop.clear();
                match &state.sink {
                    Some(sink) => sink.clone(),
                    None => return Written::Over,
                }
            };
            let fd = match &*sink {
                Sink::Pipe(fd) | Sink::Terminal(fd) => fd,
            };
            match rustix::io::write(fd, bytes) {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(Errno::AGAIN) => {
                    let mut fds = [
                        PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT),
                        PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
                    ];
                    // Interrupted or not, the loop looks again.
                    let _ = poll(&mut fds, None);
                }
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.close();
                    return Written::Over;
                }
            }
        }
        Written::All
    }

    /// The end of input, said by the connection of this turn.
    pub(crate) fn finish(&self, turn: Turn) {
        let mut state = self.lock();
        if state.writer == turn.0 && matches!(state.sink.as_deref(), Some(Sink::Pipe(_))) {
            state.sink = None;
        }
    }

    /// No more input whoever sends it: the process is gone.
    pub(crate) fn close(&self) {
        self.lock().sink = None;
        self.stop.ring();
    }
}
