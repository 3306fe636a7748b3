//! The device between host processes and a driver that plays the guest.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::super::connection::BUFFER;
use super::super::packet::{HOST_CID, Header, Op, SHUTDOWN_RECEIVE, SHUTDOWN_SEND};
use super::*;
use crate::devices::virtio::driver_double::{
    Buffer, DriverQueue, Line, activation, ram, reactivation,
};
use crate::memory::GuestRam;

const RX_AREA: u64 = 0x4_0000;
const TX_AREA: u64 = 0x8_0000;
const RX_SIZE: u32 = 4096;
const PORT: u32 = 1024;

struct Guest {
    memory: Arc<GuestRam>,
    line: Arc<Line>,
    rx: DriverQueue,
    tx: DriverQueue,
    events: DriverQueue,
    vsock: Vsock,
    ready: Arc<Ready>,
    path: PathBuf,
    rx_added: u64,
    rx_seen: u64,
    _folder: tempfile::TempDir,
}

fn guest() -> Guest {
    let (memory, line) = (ram(), Arc::new(Line::default()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vsock");
    let ready = Arc::new(Ready::new().unwrap());
    let listener = UnixListener::bind(&path).unwrap();
    let vsock = Vsock::new(listener, Arc::clone(&ready)).unwrap();
    let rx = DriverQueue::new(&memory, 0, 128);
    let tx = DriverQueue::new(&memory, 0x8000, 128);
    let events = DriverQueue::new(&memory, 0x1_0000, 8);
    let mut guest = Guest {
        memory,
        line,
        rx,
        tx,
        events,
        vsock,
        ready,
        path,
        rx_added: 0,
        rx_seen: 0,
        _folder: folder,
    };
    let queues = [&guest.rx, &guest.tx, &guest.events];
    guest
        .vsock
        .activate(activation(&guest.memory, &queues, &guest.line));
    for _ in 0..16 {
        guest.give_buffer();
    }
    guest
}

impl Guest {
    fn give_buffer(&mut self) {
        let at = RX_AREA + self.rx_added % 16 * u64::from(RX_SIZE);
        self.rx_added += 1;
        self.rx.submit(&[Buffer::In(at, RX_SIZE)]);
    }

    /// The next packet for the guest; its buffer is given back.
    fn receive(&mut self) -> (Header, Vec<u8>) {
        let written = self.rx.wait_used(&self.line) as usize;
        let at = RX_AREA + self.rx_seen % 16 * u64::from(RX_SIZE);
        self.rx_seen += 1;
        let mut bytes = vec![0; written];
        self.memory
            .read_slice(&mut bytes, GuestAddress(at))
            .unwrap();
        let data = bytes.split_off(Header::SIZE);
        let header = Header::decode(&bytes.try_into().unwrap()).unwrap();
        assert_eq!(header.length as usize, data.len());
        assert_eq!((header.src_cid, header.dst_cid), (HOST_CID, GUEST_CID));
        self.give_buffer();
        (header, data)
    }

    fn send(&mut self, header: Header, data: &[u8]) {
        let mut bytes = header.encode().to_vec();
        bytes.extend(data);
        self.memory
            .write_slice(&bytes, GuestAddress(TX_AREA))
            .unwrap();
        self.tx.submit(&[Buffer::Out(TX_AREA, bytes.len() as u32)]);
        self.tx.wait_used(&self.line);
    }

    fn packet(host_port: u32, op: Op, flags: u32, length: usize) -> Header {
        Header {
            src_cid: GUEST_CID,
            dst_cid: HOST_CID,
            src_port: PORT,
            dst_port: host_port,
            length: length as u32,
            op,
            flags,
            buf_alloc: 1 << 16,
            fwd_cnt: 0,
        }
    }

    fn reply(&mut self, host_port: u32, op: Op, data: &[u8]) {
        self.send(Self::packet(host_port, op, 0, data.len()), data);
    }

    fn dial(&self) -> UnixStream {
        let mut host = UnixStream::connect(&self.path).unwrap();
        host.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        host.write_all(format!("CONNECT {PORT}\n").as_bytes())
            .unwrap();
        host
    }

    /// An open connection: the host's end and its port.
    fn open(&mut self) -> (UnixStream, u32) {
        self.ready.set();
        let mut host = self.dial();
        let (request, _) = self.receive();
        assert_eq!((request.op, request.dst_port), (Op::Request, PORT));
        let port = request.src_port;
        self.reply(port, Op::Response, &[]);
        let expected = format!("OK {port}\n");
        let mut line = vec![0; expected.len()];
        host.read_exact(&mut line).unwrap();
        assert_eq!(line, expected.as_bytes());
        (host, port)
    }
}

#[test]
fn bytes_flow_both_ways_and_each_side_can_end() {
    let mut guest = guest();
    let (mut host, port) = guest.open();
    host.write_all(b"to the guest").unwrap();
    let (header, data) = guest.receive();
    assert_eq!(
        (header.op, data.as_slice()),
        (Op::Data, &b"to the guest"[..])
    );
    guest.reply(port, Op::Data, b"to the host");
    let mut got = [0; 11];
    host.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"to the host");

    host.shutdown(std::net::Shutdown::Write).unwrap();
    let (header, _) = guest.receive();
    assert_eq!((header.op, header.flags), (Op::Shutdown, SHUTDOWN_SEND));
    guest.reply(port, Op::Data, b"last words");
    guest.send(
        Guest::packet(port, Op::Shutdown, SHUTDOWN_SEND | SHUTDOWN_RECEIVE, 0),
        &[],
    );
    let mut rest = Vec::new();
    host.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"last words", "what was sent before the end arrives");
    assert_eq!(guest.receive().0.op, Op::Reset, "the connection is over");
}

#[test]
fn connections_wait_until_the_agent_listens() {
    let mut guest = guest();
    let _early = guest.dial();
    let _second = guest.dial();
    assert_eq!(guest.rx.used(), None);
    guest.ready.set();
    assert_eq!(guest.receive().0.op, Op::Request);
    assert_eq!(guest.receive().0.op, Op::Request);
}

#[test]
fn a_guest_cannot_open_a_connection() {
    let mut guest = guest();
    guest.reply(5, Op::Request, &[]);
    let (header, _) = guest.receive();
    assert_eq!(
        (header.op, header.src_port, header.dst_port),
        (Op::Reset, 5, PORT)
    );
}

#[test]
fn packets_to_or_from_somebody_else_are_dropped() {
    let mut guest = guest();
    let (_host, port) = guest.open();
    let stranger = Header {
        src_cid: 9,
        ..Guest::packet(port, Op::Reset, 0, 0)
    };
    guest.send(stranger, &[]);
    let elsewhere = Header {
        dst_cid: 1,
        ..Guest::packet(port, Op::Reset, 0, 0)
    };
    guest.send(elsewhere, &[]);
    guest.reply(port, Op::CreditRequest, &[]);
    assert_eq!(
        guest.receive().0.op,
        Op::CreditUpdate,
        "the connection is still there"
    );
}

#[test]
fn a_refused_connection_closes_the_host_side() {
    let mut guest = guest();
    guest.ready.set();
    let mut host = guest.dial();
    let (request, _) = guest.receive();
    guest.reply(request.src_port, Op::Reset, &[]);
    assert_eq!(host.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_host_that_goes_away_resets_the_guest() {
    let mut guest = guest();
    let (host, port) = guest.open();
    drop(host);
    let (header, _) = guest.receive();
    assert_eq!((header.op, header.flags), (Op::Shutdown, SHUTDOWN_SEND));
    guest.reply(port, Op::Data, b"nobody there");
    assert_eq!(guest.receive().0.op, Op::Reset);
}

#[test]
fn a_guest_gets_no_more_than_it_has_room_for() {
    let mut guest = guest();
    let (mut host, port) = guest.open();
    let tiny = Header {
        buf_alloc: 10,
        ..Guest::packet(port, Op::CreditUpdate, 0, 0)
    };
    guest.send(tiny, &[]);
    host.write_all(&[1; 25]).unwrap();
    assert_eq!(guest.receive().1.len(), 10);
    let more = Header {
        buf_alloc: 10,
        fwd_cnt: 10,
        ..tiny
    };
    guest.send(more, &[]);
    assert_eq!(guest.receive().1.len(), 10);
    let rest = Header {
        buf_alloc: 100,
        fwd_cnt: 20,
        ..tiny
    };
    guest.send(rest, &[]);
    assert_eq!(guest.receive().1.len(), 5);
}

#[test]
fn a_guest_that_ignores_the_hosts_room_loses_the_connection() {
    let mut guest = guest();
    let (_host, port) = guest.open();
    // The host process reads nothing: its socket fills, then our buffer does.
    let chunk = vec![0; 32 << 10];
    let mut sent = 0;
    while sent < 64 * BUFFER {
        guest.reply(port, Op::Data, &chunk);
        sent += chunk.len() as u32;
        if guest.rx.used().is_some() {
            return; // an update of the room, or the RST: either way it is bounded
        }
    }
    panic!("{sent} bytes were taken without a word");
}

#[test]
fn a_packet_longer_than_its_chain_breaks_the_device() {
    let mut guest = guest();
    let (_host, port) = guest.open();
    let bytes = Guest::packet(port, Op::Data, 0, 100).encode();
    guest
        .memory
        .write_slice(&bytes, GuestAddress(TX_AREA))
        .unwrap();
    guest.tx.submit(&[Buffer::Out(TX_AREA, bytes.len() as u32)]);
    let line = Arc::clone(&guest.line);
    line.until(|| line.is_broken());
}

#[test]
fn a_saved_device_keeps_its_connections_and_its_copy_tells_the_guest_to_reset() {
    let mut guest = guest();
    let (mut host, _) = guest.open();
    let state = guest.vsock.save();
    host.write_all(b"still here").unwrap();
    assert_eq!(guest.receive().1, b"still here");

    let DeviceState::Vsock(own) = guest.vsock.save() else {
        panic!("another device's state")
    };
    assert_ne!(state, DeviceState::Vsock(own.clone()));
    let listener = UnixListener::bind(guest.path.with_extension("copy")).unwrap();
    let mut copy = Vsock::new(listener, Arc::new(Ready::new().unwrap())).unwrap();
    copy.restore(&own);
    let queues = [&guest.rx, &guest.tx, &guest.events];
    guest.vsock.reset();
    copy.activate(reactivation(
        &guest.memory,
        &own.queues.queues,
        &queues,
        &guest.line,
    ));
    guest.events.submit(&[Buffer::In(0x1_8000, 8)]);
    assert_eq!(guest.events.wait_used(&guest.line), 4);
    guest.vsock = copy;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever a guest sends, the device answers or breaks, and the host's side never hangs.
    #[test]
    fn any_packets_leave_the_device_alive(
        packets in proptest::collection::vec((1u16..8, 0u32..4, 0u32..200, any::<bool>()), 1..12)
    ) {
        let mut guest = guest();
        let (_host, port) = guest.open();
        for (op, flags, length, known) in packets {
            let mut header = Guest::packet(if known { port } else { 7 }, Op::Data, flags, 0);
            header.length = length;
            let mut bytes = header.encode();
            bytes[30..32].copy_from_slice(&op.to_le_bytes());
            guest.memory.write_slice(&bytes, GuestAddress(TX_AREA)).unwrap();
            guest.tx.submit(&[Buffer::Out(TX_AREA, 44 + length)]);
            let (line, tx) = (Arc::clone(&guest.line), &mut guest.tx);
            line.until(|| tx.used().is_some() || line.is_broken());
        }
        guest.vsock.reset();
    }
}
