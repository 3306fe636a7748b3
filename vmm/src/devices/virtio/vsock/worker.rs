//! Moves packets between the queues and the connections.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use vmm_sys_util::epoll::EventSet;

use super::super::chain::ChainError;
use super::super::interrupt::Interrupt;
use super::super::metrics::Counters;
use super::super::queue::{DeviceQueue, QueueError};
use super::super::worker::{Handler, Poller};
use super::muxer::{Muxer, Outgoing};
use super::packet::{Header, Op};
use crate::devices::power::Ready;
use crate::jail::seccomp;
use crate::memory::GuestRam;

const RX: u64 = 0;
const TX: u64 = 1;
const EVENTS: u64 = 2;
const LISTENER: u64 = 3;
const READY: u64 = 4;
/// Host ports are above all of these.
const FIRST_CONNECTION: u64 = 1 << 16;

/// The most bytes taken from one packet of the guest: what a driver sends at most (64 KiB).
const MAX_PACKET: usize = 64 << 10;
/// The event that tells a driver to reset its connections.
const TRANSPORT_RESET: u32 = 0;

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) memory: Arc<GuestRam>,
    pub(super) rx: DeviceQueue,
    pub(super) tx: DeviceQueue,
    pub(super) events: DeviceQueue,
    pub(super) interrupt: Arc<dyn Interrupt>,
    pub(super) muxer: Muxer,
    pub(super) ready: Arc<Ready>,
    /// The guest remembers connections that are gone.
    pub(super) tell_reset: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) buffer: Vec<u8>,
}

impl Handler for Worker {
    const NAME: &'static str = "vsock";
    const FILTER: seccomp::Role = seccomp::Role::Vsock;

    fn register(&mut self, poller: &Poller) -> io::Result<()> {
        self.muxer.prepare()?;
        if self.ready.get() {
            self.muxer.set_ready();
        }
        poller.add(self.rx.kick().as_raw_fd(), RX, EventSet::IN)?;
        poller.add(self.tx.kick().as_raw_fd(), TX, EventSet::IN)?;
        poller.add(self.events.kick().as_raw_fd(), EVENTS, EventSet::IN)?;
        poller.add(self.muxer.listener().as_raw_fd(), LISTENER, EventSet::IN)?;
        poller.add(self.ready.event().as_raw_fd(), READY, EventSet::IN)?;
        // After a save the worker starts again with the connections it had.
        let ports: Vec<u32> = self.muxer.ports().collect();
        ports
            .into_iter()
            .try_for_each(|port| self.watch(port, poller))
    }

    fn handle(&mut self, token: u64, events: EventSet, poller: &Poller) -> Result<(), QueueError> {
        match token {
            RX => self.rx.clear_kick(),
            TX => {
                self.tx.clear_kick();
                self.transmit()?;
            }
            EVENTS => {
                self.events.clear_kick();
                self.send_event()?;
            }
            LISTENER => self.accept(poller),
            READY => {
                // Taken back; the flag itself stays.
                let _ = self.ready.event().read();
                self.muxer.set_ready();
            }
            connection => {
                let Ok(port) = u32::try_from(connection - FIRST_CONNECTION) else {
                    return Ok(());
                };
                let gone = EventSet::HANG_UP | EventSet::ERROR | EventSet::READ_HANG_UP;
                self.muxer
                    .host_event(port, events.intersects(EventSet::IN | gone));
            }
        }
        self.receive()
    }
}

impl Worker {
    fn accept(&mut self, poller: &Poller) {
        let Some(port) = self.muxer.accept() else {
            return;
        };
        if self.watch(port, poller).is_err() {
            self.muxer.reset(port);
        }
    }

    fn watch(&mut self, port: u32, poller: &Poller) -> io::Result<()> {
        let Some(connection) = self.muxer.get(port) else {
            return Ok(());
        };
        let events =
            EventSet::IN | EventSet::OUT | EventSet::READ_HANG_UP | EventSet::EDGE_TRIGGERED;
        poller.add(
            connection.peer.raw_fd(),
            FIRST_CONNECTION + u64::from(port),
            events,
        )
    }

    /// Handles what the guest has sent.
    fn transmit(&mut self) -> Result<(), QueueError> {
        loop {
            while let Some(chain) = self.tx.pop(&self.memory)? {
                let mut header = [0; Header::SIZE];
                if chain.read(&self.memory, 0, &mut header) != Header::SIZE {
                    return Err(ChainError::Broken.into());
                }
                match Header::decode(&header) {
                    Ok(header) => {
                        let length = if header.op == Op::Data {
                            header.length as usize
                        } else {
                            0
                        };
                        if length > MAX_PACKET {
                            return Err(ChainError::TooLong.into());
                        }
                        self.buffer.resize(length, 0);
                        if chain.read(&self.memory, Header::SIZE, &mut self.buffer) != length {
                            return Err(ChainError::Broken.into());
                        }
                        self.counters.written(length as u64);
                        self.muxer.guest_packet(&header, &self.buffer);
                    }
                    // Nothing to answer to; a driver that asks for datagrams was not offered any.
                    Err(_) => self.counters.error(),
                }
                self.tx.push(&self.memory, chain.head, 0)?;
            }
            if self.tx.wants_interrupt(&self.memory)? {
                self.interrupt.queue();
            }
            if !self.tx.rearm(&self.memory)? {
                self.buffer = Vec::new();
                return Ok(());
            }
        }
    }

    /// Sends the guest what waits for it, as far as it has buffers.
    fn receive(&mut self) -> Result<(), QueueError> {
        let mut used = false;
        while self.muxer.has_outgoing() {
            let Some(chain) = self.rx.pop(&self.memory)? else {
                if self.rx.rearm(&self.memory)? {
                    continue;
                }
                break;
            };
            if (chain.writable_length() as usize) < Header::SIZE {
                return Err(ChainError::Broken.into());
            }
            let room = chain.writable_length() as usize - Header::SIZE;
            let header = match self.muxer.next_outgoing() {
                Some(Outgoing::Control(header)) => header,
                Some(Outgoing::Data(port)) => {
                    let Some(connection) = self.muxer.get(port) else {
                        self.rx.unpop();
                        continue;
                    };
                    let limit = room.min(connection.credit() as usize).min(MAX_PACKET);
                    let target = chain
                        .writable(&self.memory, Header::SIZE, limit)
                        .map_err(ChainError::from)?;
                    if target.is_empty() {
                        return Err(ChainError::Broken.into());
                    }
                    match target.read_from(connection.peer.fd()) {
                        Ok(0) => {
                            connection.host_shutdown();
                            self.rx.unpop();
                            continue;
                        }
                        Ok(n) => {
                            // At most MAX_PACKET.
                            connection.note_sent(n as u32);
                            connection.header(Op::Data, 0, n as u32)
                        }
                        Err(e) => {
                            self.rx.unpop();
                            match e.kind() {
                                io::ErrorKind::WouldBlock => connection.readable = false,
                                io::ErrorKind::Interrupted => {}
                                _ => self.muxer.reset(port),
                            }
                            continue;
                        }
                    }
                }
                None => {
                    self.rx.unpop();
                    break;
                }
            };
            chain.write(&self.memory, 0, &header.encode());
            self.counters.read(u64::from(header.length));
            let written = Header::SIZE as u32 + header.length;
            self.rx.push(&self.memory, chain.head, written)?;
            used = true;
        }
        if used && self.rx.wants_interrupt(&self.memory)? {
            self.interrupt.queue();
        }
        Ok(())
    }

    fn send_event(&mut self) -> Result<(), QueueError> {
        if !self.tell_reset {
            return Ok(());
        }
        if let Some(chain) = self.events.pop(&self.memory)? {
            let event = TRANSPORT_RESET.to_le_bytes();
            let written = chain.write(&self.memory, 0, &event);
            self.events.push(&self.memory, chain.head, written as u32)?;
            self.tell_reset = false;
            self.interrupt.queue();
        }
        Ok(())
    }
}
