//! All connections of a guest: what each packet from it does, and which packet it gets next.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::unix::net::UnixListener;

use super::backend::{Opening, Peer};
use super::connection::{Connection, Phase};
use super::packet::{GUEST_CID, HOST_CID, Header, Op, SHUTDOWN_SEND};

/// Host processes at once. The engine needs a handful for each container and exec.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// RSTs that wait for room; a guest that provokes more gets none for them.
const MAX_RESETS: usize = 128;
/// Host ports, above what guests use themselves.
const FIRST_PORT: u32 = 1 << 30;

/// The connections, by host port.
#[derive(Debug)]
pub(super) struct Muxer {
    listener: UnixListener,
    connections: BTreeMap<u32, Connection>,
    resets: VecDeque<(u32, u32)>,
    next_port: u32,
    /// The connection that was served last, so that the next one is served next.
    turn: u32,
    ready: bool,
}

/// What goes to the guest next.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A packet without bytes.
    Control(Header),
    /// Bytes of this connection.
    Data(u32),
}

impl Muxer {
    pub(super) fn new(listener: UnixListener, next_port: u32) -> Self {
        Self {
            listener,
            connections: BTreeMap::new(),
            resets: VecDeque::new(),
            next_port: next_port.max(FIRST_PORT),
            turn: 0,
            ready: false,
        }
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    pub(super) fn into_listener(self) -> UnixListener {
        self.listener
    }

    pub(super) fn next_port(&self) -> u32 {
        self.next_port
    }

    /// The agent listens: what waited goes on.
    pub(super) fn set_ready(&mut self) {
        self.ready = true;
        for connection in self.connections.values_mut() {
            if connection.phase == Phase::Waiting {
                connection.phase = Phase::Requested;
                connection.pending.request = true;
            }
        }
    }

    /// Takes in the next host process; `None` when none is waiting or there are too many.
    pub(super) fn accept(&mut self) -> Option<u32> {
        let (stream, _) = self.listener.accept().ok()?;
        if self.connections.len() >= MAX_CONNECTIONS {
            return None;
        }
        let peer = Peer::new(stream).ok()?;
        let mut port = self.next_port;
        while self.connections.contains_key(&port) {
            port = port.checked_add(1).unwrap_or(FIRST_PORT);
        }
        self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        self.connections.insert(port, Connection::new(peer, port));
        Some(port)
    }

    /// Every connection there is.
    pub(super) fn ports(&self) -> impl Iterator<Item = u32> {
        self.connections.keys().copied()
    }

    pub(super) fn get(&mut self, port: u32) -> Option<&mut Connection> {
        self.connections.get_mut(&port)
    }

    /// The host process of a connection has something, or room, or is gone.
    pub(super) fn host_event(&mut self, port: u32, readable: bool) {
        let ready = self.ready;
        let Some(connection) = self.connections.get_mut(&port) else {
            return;
        };
        if connection.phase == Phase::Opening {
            match connection.peer.opening() {
                Opening::Incomplete => {}
                Opening::Port(guest_port) => {
                    connection.guest_port = guest_port;
                    connection.phase = if ready {
                        Phase::Requested
                    } else {
                        Phase::Waiting
                    };
                    connection.pending.request = ready;
                }
                Opening::Bad => {
                    self.connections.remove(&port);
                }
            }
            return;
        }
        connection.readable |= readable;
        if !connection.flush() {
            self.reset(port);
        } else if connection.is_over() {
            self.finish(port);
        }
    }

    /// A packet from the guest; `bytes` is what follows its header.
    pub(super) fn guest_packet(&mut self, header: &Header, bytes: &[u8]) {
        if header.dst_cid != HOST_CID || header.src_cid != GUEST_CID {
            return;
        }
        let port = header.dst_port;
        let known = self.connections.get_mut(&port).filter(|c| {
            c.guest_port == header.src_port && matches!(c.phase, Phase::Requested | Phase::Open)
        });
        let Some(connection) = known else {
            // Nothing in a guest may open a connection; what is unknown is told so.
            if header.op != Op::Reset {
                self.queue_reset(port, header.src_port);
            }
            return;
        };
        connection.note_credit(header);
        let alive = match (header.op, connection.phase) {
            (Op::Response, Phase::Requested) => {
                connection.phase = Phase::Open;
                connection.peer.opened(port).is_ok()
            }
            (Op::Data, Phase::Open) => connection.receive(bytes).is_ok() && connection.flush(),
            (Op::Shutdown, Phase::Open) => {
                connection.guest_shutdown(header.flags);
                connection.flush()
            }
            (Op::CreditUpdate, _) => true,
            (Op::CreditRequest, _) => {
                connection.pending.credit = true;
                true
            }
            (Op::Reset, _) => {
                // What the guest sent before still goes to the host process.
                connection.flush();
                self.connections.remove(&port);
                return;
            }
            _ => false,
        };
        if !alive {
            self.reset(port);
        } else if self.connections.get(&port).is_some_and(Connection::is_over) {
            self.finish(port);
        }
    }

    /// What the guest is to get next, if anything. The caller sends it.
    pub(super) fn next_outgoing(&mut self) -> Option<Outgoing> {
        if let Some((host_port, guest_port)) = self.resets.pop_front() {
            return Some(Outgoing::Control(reset_header(host_port, guest_port)));
        }
        let after = self.connections.range(self.turn.saturating_add(1)..);
        let port = after
            .chain(self.connections.range(..=self.turn))
            .find(|(_, connection)| connection.wants_rx())
            .map(|(port, _)| *port)?;
        self.turn = port;
        let connection = self.connections.get_mut(&port)?;
        let header = if std::mem::take(&mut connection.pending.request) {
            connection.header(Op::Request, 0, 0)
        } else if std::mem::take(&mut connection.pending.credit) {
            connection.header(Op::CreditUpdate, 0, 0)
        } else if std::mem::take(&mut connection.pending.shutdown) {
            connection.header(Op::Shutdown, SHUTDOWN_SEND, 0)
        } else {
            return Some(Outgoing::Data(port));
        };
        connection.note_announced();
        if connection.is_over() {
            // The guest learns of the end by this very packet, and by the RST that follows it.
            self.finish(port);
        }
        Some(Outgoing::Control(header))
    }

    /// Whether the guest is owed a packet.
    pub(super) fn has_outgoing(&self) -> bool {
        !self.resets.is_empty() || self.connections.values().any(Connection::wants_rx)
    }

    /// Ends a connection and tells the guest.
    pub(super) fn reset(&mut self, port: u32) {
        if let Some(connection) = self.connections.remove(&port)
            && matches!(connection.phase, Phase::Requested | Phase::Open)
        {
            self.queue_reset(port, connection.guest_port);
        }
    }

    /// Ends a connection on which both sides have said all.
    fn finish(&mut self, port: u32) {
        self.reset(port);
    }

    fn queue_reset(&mut self, host_port: u32, guest_port: u32) {
        if self.resets.len() < MAX_RESETS {
            self.resets.push_back((host_port, guest_port));
        }
    }

    /// Listens without blocking.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.listener.set_nonblocking(true)
    }
}

fn reset_header(host_port: u32, guest_port: u32) -> Header {
    Header {
        src_cid: HOST_CID,
        dst_cid: GUEST_CID,
        src_port: host_port,
        dst_port: guest_port,
        length: 0,
        op: Op::Reset,
        flags: 0,
        buf_alloc: 0,
        fwd_cnt: 0,
    }
}
