//! A journal between the thread that reads a process's output and the one that sends it on.
//!
//! ```text
//!  pipe ──keeper──► push ─┐            ┌─ next ──► connection ──► host
//!        waits for room ◄─┴─ journal ──┴─ ack  ◄── connection ◄── host
//! ```
//!
//! There is at most one reader; a later one takes over and the earlier one is told.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use hull_protocol::stream::Output;

use crate::journal::{Entry, Journal, OutOfRange};
use crate::process::bell::Bell;

/// The journal of one process and who waits at it.
pub(crate) struct Outlet {
    state: Mutex<State>,
    changed: Condvar,
    room: Bell,
}

#[derive(Default)]
struct State {
    journal: Journal,
    /// Output is thrown away from now on.
    discarding: bool,
    /// Counts readers; only the latest is served.
    reader: u64,
    connection: Option<UnixStream>,
}

/// The right to read, until somebody takes over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn(u64);

impl Outlet {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            room: Bell::new()?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete when the lock is released.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has_room(&self) -> bool {
        let state = self.lock();
        state.discarding || state.journal.has_room()
    }

    /// From now on nobody wants the output: the process is not held up by it.
    pub(crate) fn discard(&self) {
        self.lock().discarding = true;
        self.room.ring();
    }

    /// Readable when there is room again.
    pub(crate) fn room(&self) -> BorrowedFd<'_> {
        self.room.as_fd()
    }

    pub(crate) fn clear_room(&self) {
        self.room.clear();
    }

    pub(crate) fn push(&self, output: Output, time: u64, bytes: &[u8]) {
        let mut state = self.lock();
        if !state.discarding {
            state.journal.push(output, time, bytes);
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn finish(&self, time: u64) {
        self.lock().journal.finish(time);
        self.changed.notify_all();
    }

    /// Begins reading at `from`, which also acknowledges what is before it. An earlier reader's
    /// connection is shut down, so that it is not stuck in a write nobody reads.
    pub(crate) fn attach(&self, from: u64, connection: UnixStream) -> Result<Turn, OutOfRange> {
        let mut state = self.lock();
        state.journal.check(from)?;
        let full = !state.journal.has_room();
        state.journal.ack(from)?;
        state.reader += 1;
        let turn = Turn(state.reader);
        if let Some(old) = state.connection.replace(connection) {
            shut(&old);
        }
        drop(state);
        self.changed.notify_all();
        if full {
            self.room.ring();
        }
        Ok(turn)
    }

    /// Ends a turn, if it is still one.
    pub(crate) fn detach(&self, turn: Turn) {
        let mut state = self.lock();
        if state.reader == turn.0 {
            state.reader += 1;
            if let Some(old) = state.connection.take() {
                shut(&old);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for what comes at `offset`; `None` when the turn is over.
    pub(crate) fn next(&self, turn: Turn, offset: u64) -> Option<Entry> {
        let mut state = self.lock();
        loop {
            if state.reader != turn.0 {
                return None;
            }
            if let Some(entry) = state.journal.read(offset) {
                return Some(entry);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the turn is over.
    pub(crate) fn rest(&self, turn: Turn) {
        let mut state = self.lock();
        while state.reader == turn.0 {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The reader of this turn has stored everything before `offset`.
    pub(crate) fn ack(&self, turn: Turn, offset: u64) -> Result<(), OutOfRange> {
        let mut state = self.lock();
        if state.reader == turn.0 {
            let full = !state.journal.has_room();
            state.journal.ack(offset)?;
            drop(state);
            if full {
                self.room.ring();
            }
        }
        Ok(())
    }
}

fn shut(connection: &UnixStream) {
    // It may be gone already, which is what is wanted.
    let _ = connection.shutdown(std::net::Shutdown::Both);
}
