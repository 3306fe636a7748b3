//! One stream of a tunnel: reading, writing with credit, half-close.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Link;
use super::frame::{Kind, MAX_PAYLOAD};

/// One end of a stream; dropping it before both directions have ended resets it.
pub(crate) struct Stream {
    id: u32,
    shared: Arc<Shared>,
    link: Arc<Link>,
}

/// What the tunnel's reader and the stream's users both see.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    window: u32,
}

struct State {
    received: VecDeque<u8>,
    /// Bytes taken by the reader that the other end has not been told of.
    untold: u32,
    received_eof: bool,
    sent_eof: bool,
    /// Bytes that may still be sent.
    credit: u32,
    broken: bool,
}

impl Stream {
    pub(super) fn new(id: u32, shared: Arc<Shared>, link: Arc<Link>) -> Self {
        Self { id, shared, link }
    }

    /// Waits for bytes; 0 is the end.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, tell) = {
            let mut state = self.shared.wait_until(|s| {
                s.broken || s.received_eof || !s.received.is_empty() || buffer.is_empty()
            });
            if state.received.is_empty() {
                return if state.broken && !state.received_eof {
                    Err(reset())
                } else {
                    Ok(0)
                };
            }
            let count = state.received.read(buffer)?;
            // At most a window has been received, so the count fits.
            state.untold += count as u32;
            // Told in steps, so that small reads do not cost a frame each.
            let due = state.untold >= self.shared.window / 4 && !state.received_eof;
            (
                count,
                if due {
                    std::mem::take(&mut state.untold)
                } else {
                    0
                },
            )
        };
        if tell > 0 {
            self.link.send(Kind::Credit, self.id, &tell.to_le_bytes())?;
        }
        Ok(count)
    }

    /// Sends all of `bytes`, as fast as the other end takes them.
    pub(crate) fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = {
                let mut state = self
                    .shared
                    .wait_until(|s| s.broken || s.sent_eof || s.credit > 0);
                if state.broken || state.sent_eof {
                    return Err(reset());
                }
                let count = bytes.len().min(state.credit as usize).min(MAX_PAYLOAD);
                state.credit -= count as u32;
                count
            };
            let (now, later) = bytes.split_at(count);
            self.link.send(Kind::Data, self.id, now)?;
            bytes = later;
        }
        Ok(())
    }

    /// Ends this side; the other may still send.
    pub(crate) fn finish(&self) -> io::Result<()> {
        {
            let mut state = self.shared.state();
            if std::mem::replace(&mut state.sent_eof, true) || state.broken {
                return Ok(());
            }
        }
        self.link.send(Kind::Eof, self.id, &[])
    }

    /// Ends both sides at once, and wakes whoever waits.
    pub(crate) fn reset(&self) {
        if self.shared.break_off() {
            // A tunnel that cannot be written to has reset all its streams already.
            let _ = self.link.send(Kind::Reset, self.id, &[]);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let complete = {
            let state = self.shared.state();
            state.sent_eof && state.received_eof
        };
        if !complete {
            self.reset();
        }
        self.link.streams().remove(&self.id);
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Stream::read(self, buffer)
    }
}

fn reset() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionReset,
        "the tunnelled stream was reset",
    )
}

impl Shared {
    pub(super) fn new(window: u32) -> Self {
        let state = State {
            received: VecDeque::new(),
            untold: 0,
            received_eof: false,
            sent_eof: false,
            credit: window,
            broken: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            window,
        }
    }

    /// Refuses what is beyond the window.
    pub(super) fn receive(&self, bytes: Vec<u8>) -> Result<(), ()> {
        let mut state = self.state();
        if state.broken {
            return Ok(());
        }
        let held = state.received.len() + state.untold as usize;
        if state.received_eof || held + bytes.len() > self.window as usize {
            return Err(());
        }
        state.received.extend(bytes);
        self.changed.notify_all();
        Ok(())
    }

    pub(super) fn receive_eof(&self) {
        self.state().received_eof = true;
        self.changed.notify_all();
    }

    pub(super) fn credit(&self, bytes: u32) {
        let mut state = self.state();
        state.credit = state.credit.saturating_add(bytes).min(self.window);
        self.changed.notify_all();
    }

    /// Whether it was whole before.
    pub(super) fn break_off(&self) -> bool {
        let was_broken = std::mem::replace(&mut self.state().broken, true);
        self.changed.notify_all();
        !was_broken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.changed
            .wait_while(self.state(), |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner)
    }
}
