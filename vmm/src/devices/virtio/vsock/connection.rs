//! One connection: credit, and who will still send.
//!
//! ```text
//!  Opening ─ line read ─► Waiting ─ ready ─► Requested ─ RESPONSE ─► Open ─ both sides done ─► over
//!     └──────────────── anything wrong, RST, host gone ────────────────┴─────────────────────► over
//! ```

use std::collections::VecDeque;
use std::num::Wrapping;

use super::backend::Peer;
use super::packet::{GUEST_CID, HOST_CID, Header, Op, SHUTDOWN_RECEIVE, SHUTDOWN_SEND};

/// Room for bytes from the guest that the host process has not taken yet.
pub(super) const BUFFER: u32 = 256 << 10;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its opening line is being read.
    Opening,
    /// The agent does not listen yet.
    Waiting,
    /// The guest has been, or is to be, asked.
    Requested,
    /// Bytes flow.
    Open,
}

/// A connection, by its host port.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) phase: Phase,
    pub(super) host_port: u32,
    pub(super) guest_port: u32,
    /// The next packet to send that is not data.
    pub(super) pending: Pending,
    /// The host process may have bytes for us.
    pub(super) readable: bool,
    /// The host process has ended its side.
    pub(super) host_done: bool,
    /// The guest has ended its side; what is buffered still goes out.
    guest_done: bool,
    /// The guest will take nothing more.
    pub(super) guest_deaf: bool,
    /// Bytes from the guest on their way to the host process.
    buffer: VecDeque<u8>,
    /// Bytes passed on to the host process, ever.
    forwarded: Wrapping<u32>,
    /// The value of `forwarded` that the guest has seen.
    announced: Wrapping<u32>,
    /// Bytes received from the guest, ever.
    received: Wrapping<u32>,
    /// Bytes sent to the guest, ever.
    sent: Wrapping<u32>,
    peer_room: u32,
    peer_forwarded: Wrapping<u32>,
}

/// Packets waiting to be sent; each kind at most once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    pub(super) request: bool,
    pub(super) credit: bool,
    pub(super) shutdown: bool,
}

/// The guest broke the rules of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation;

impl Connection {
    pub(super) fn new(peer: Peer, host_port: u32) -> Self {
        Self {
            peer,
            phase: Phase::Opening,
            host_port,
            guest_port: 0,
            pending: Pending::default(),
            readable: true,
            host_done: false,
            guest_done: false,
            guest_deaf: false,
            buffer: VecDeque::new(),
            forwarded: Wrapping(0),
            announced: Wrapping(0),
            received: Wrapping(0),
            sent: Wrapping(0),
            peer_room: 0,
            peer_forwarded: Wrapping(0),
        }
    }

    /// A packet of this connection.
    pub(super) fn header(&self, op: Op, flags: u32, length: u32) -> Header {
        Header {
            src_cid: HOST_CID,
            dst_cid: GUEST_CID,
            src_port: self.host_port,
            dst_port: self.guest_port,
            length,
            op,
            flags,
            buf_alloc: BUFFER,
            fwd_cnt: self.forwarded.0,
        }
    }

    /// Notes what any packet from the guest says about its room.
    pub(super) fn note_credit(&mut self, header: &Header) {
        self.peer_room = header.buf_alloc;
        self.peer_forwarded = Wrapping(header.fwd_cnt);
    }

    /// How many bytes the guest has room for. A guest that announces nonsense gets nothing.
    pub(super) fn credit(&self) -> u32 {
        let in_flight = (self.sent - self.peer_forwarded).0;
        self.peer_room.saturating_sub(in_flight)
    }

    /// Notes bytes sent to the guest.
    pub(super) fn note_sent(&mut self, bytes: u32) {
        self.sent += bytes;
        self.announced = self.forwarded;
    }

    /// Takes bytes from the guest, to be passed on by [`Connection::flush`].
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let length = u32::try_from(bytes.len()).map_err(|_| Violation)?;
        let held = (self.received - self.forwarded).0;
        if self.guest_done || length > BUFFER.saturating_sub(held) {
            return Err(Violation);
        }
        self.received += length;
        self.buffer.extend(bytes);
        Ok(())
    }

    /// Passes buffered bytes on to the host process; `false` when that is gone.
    pub(super) fn flush(&mut self) -> bool {
        while !self.buffer.is_empty() {
            let (front, _) = self.buffer.as_slices();
            match self.peer.send(front) {
                Ok(n) => {
                    self.buffer.drain(..n);
                    // Fits: never more than BUFFER bytes are held.
                    self.forwarded += n as u32;
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        if self.buffer.is_empty() {
            // An idle connection keeps no memory.
            self.buffer = VecDeque::new();
            if self.guest_done {
                self.peer.end_writing();
            }
        }
        // Before the guest runs out of room: at half of it, so that it seldom has to wait.
        if (self.forwarded - self.announced).0 >= BUFFER / 2 {
            self.pending.credit = true;
        }
        true
    }

    /// Notes that the guest has seen `forwarded`.
    pub(super) fn note_announced(&mut self) {
        self.announced = self.forwarded;
        self.pending.credit = false;
    }

    /// The guest ends one side or both.
    pub(super) fn guest_shutdown(&mut self, flags: u32) {
        self.guest_done |= flags & SHUTDOWN_SEND != 0;
        self.guest_deaf |= flags & SHUTDOWN_RECEIVE != 0;
    }

    /// The host process ended its side.
    pub(super) fn host_shutdown(&mut self) {
        if !self.host_done {
            self.host_done = true;
            self.pending.shutdown = true;
        }
    }

    /// Whether nothing more will flow either way.
    pub(super) fn is_over(&self) -> bool {
        let to_host = self.guest_done && self.buffer.is_empty();
        let to_guest = self.guest_deaf || (self.host_done && !self.pending.shutdown);
        to_host && to_guest
    }

    /// Whether the RX queue has something to carry for it.
    pub(super) fn wants_rx(&self) -> bool {
        let pending = self.pending;
        let data = self.phase == Phase::Open
            && self.readable
            && !self.host_done
            && !self.guest_deaf
            && self.credit() > 0;
        pending.request || pending.credit || pending.shutdown || data
    }
}
