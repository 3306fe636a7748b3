//! The device on a live queue: replies, broken drivers, reset, save and restore.

use std::sync::Arc;

use vm_memory::{Bytes, GuestAddress};

use super::super::abi::{ROOT_ID, opcode};
use super::super::sample::{files, init, large, read, request, seek, xattr};
use super::*;
use crate::devices::virtio::driver_double::{
    Buffer, DriverQueue, Line, activation, ram, reactivation,
};
use crate::memory::GuestRam;

const SIZE: u16 = 64;
const INPUT: u64 = 0x2_0000;
const OUTPUT: u64 = 0x4_0000;

/// `large` is the fourth name of the lowest layer's root: etc, large, link, many, sparse.
const LARGE: u64 = 1 << 40 | 3;

/// A driver with both queues and an active device.
struct Setup {
    memory: Arc<GuestRam>,
    line: Arc<Line>,
    hiprio: DriverQueue,
    requests: DriverQueue,
    device: Fs,
}

impl Setup {
    fn new() -> Setup {
        let memory = ram();
        let line = Arc::new(Line::default());
        let hiprio = DriverQueue::new(&memory, 0x4000, SIZE);
        let requests = DriverQueue::new(&memory, 0x8000, SIZE);
        let mut device = Fs::new(files()).unwrap();
        device.activate(activation(&memory, &[&hiprio, &requests], &line));
        Setup {
            memory,
            line,
            hiprio,
            requests,
            device,
        }
    }

    fn write(&self, bytes: &[u8]) -> Buffer {
        self.memory.write_slice(bytes, GuestAddress(INPUT)).unwrap();
        Buffer::Out(INPUT, bytes.len() as u32)
    }

    fn read(&self, address: u64, length: u32) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        self.memory
            .read_slice(&mut bytes, GuestAddress(address))
            .unwrap();
        bytes
    }

    /// Sends a request with one buffer for the reply; gives error and body.
    fn ask(&mut self, opcode: u32, node: u64, arguments: &[u8], room: u32) -> (i32, Vec<u8>) {
        let input = self.write(&request(opcode, 0xabcd, node, arguments));
        self.requests.submit(&[input, Buffer::In(OUTPUT, room)]);
        let used = self.requests.wait_used(&self.line);
        assert!(used >= 16 && used <= room, "{used} bytes used");
        let reply = self.read(OUTPUT, used);
        assert_eq!(reply[0..4], used.to_le_bytes());
        assert_eq!(reply[8..16], 0xabcd_u64.to_le_bytes());
        (
            i32::from_le_bytes(reply[4..8].try_into().unwrap()),
            reply[16..].to_vec(),
        )
    }

    fn wait_broken(&self) {
        self.line.until(|| self.line.is_broken());
    }
}

#[test]
fn the_configuration_names_the_file_system() {
    let device = Fs::new(vec![]).unwrap();
    let mut expected = vec![0; 36];
    expected[..4].copy_from_slice(b"hull");
    expected.extend([1, 0, 0, 0]);
    assert_eq!(device.config(), expected);
    assert_eq!(device.queue_sizes().len(), 2);
}

#[test]
fn files_that_are_no_layers_are_refused() {
    let mut files = files();
    files.push(tempfile::tempfile().unwrap());
    let error = Fs::new(files).unwrap_err();
    let error = error.downcast::<LayerError>().unwrap();
    assert_eq!(error.number, 2);
}

#[test]
fn replies_are_matched_and_bodies_follow() {
    let mut setup = Setup::new();
    let (error, body) = setup.ask(opcode::LOOKUP, ROOT_ID, b"0\0", 200);
    assert_eq!((error, body.len()), (0, 128));
    assert_eq!(body[..8], (1_u64 << 40 | 1).to_le_bytes());
    assert_eq!(
        setup.ask(opcode::MKDIR, ROOT_ID, &[0; 16], 200),
        (-libc::EROFS, vec![])
    );
    assert_eq!(
        setup.ask(opcode::GETATTR, 77, &[0; 16], 200),
        (-libc::ESTALE, vec![])
    );
    assert_eq!(
        setup.ask(opcode::LOOKUP, ROOT_ID, b"", 200),
        (-libc::EINVAL, vec![])
    );
    assert_eq!(setup.device.metrics().requests, 3);
    assert_eq!(setup.device.metrics().errors, 1);
}

/// What every thread of this process named `name` says of its seccomp mode.
fn modes(name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let statuses = tasks.filter_map(|task| {
        // A thread of another test may have ended.
        std::fs::read_to_string(task.ok()?.path().join("status")).ok()
    });
    let of_thread = statuses.filter(|s| s.starts_with(&format!("Name:\t{name}\n")));
    let mode = |status: String| {
        let line = status.lines().find_map(|l| l.strip_prefix("Seccomp:"));
        line.unwrap().trim().to_owned()
    };
    of_thread.map(mode).collect()
}

#[test]
fn every_operation_gets_by_with_the_calls_that_its_thread_may_make() {
    let mut setup = Setup::new();
    assert_eq!(setup.ask(opcode::LOOKUP, ROOT_ID, b"0\0", 144).0, 0);
    let modes = modes("fs");
    assert!(modes.iter().all(|mode| mode == "2"), "{modes:?}");
    assert!(!modes.is_empty());

    const SILENT: [u32; 3] = [opcode::FORGET, opcode::INTERRUPT, opcode::BATCH_FORGET];
    let arguments = [
        vec![],
        vec![0; 8],
        vec![0xff; 64],
        b"0\0".to_vec(),
        b"no such name\0".to_vec(),
        [vec![0xff; 8], b"user.color\0".to_vec()].concat(),
        xattr(0, b"user.color\0"),
        xattr(1, b"user.color\0"),
        xattr(100, b"user.color\0"),
        read(0, 4096),
        read(u64::MAX, u32::MAX),
        init(7, 38, u64::MAX),
        seek(0, libc::SEEK_DATA),
        seek(1 << 19, libc::SEEK_HOLE),
    ];
    // Roots, a directory, files with contents, and what is none.
    let upper = 2 << 40;
    let nodes = [
        ROOT_ID,
        1 << 40 | 1,
        1 << 40 | 2,
        LARGE,
        1 << 40 | 4,
        upper | 2,
        0,
        u64::MAX,
    ];
    let mut answers = std::collections::BTreeSet::new();
    for opcode in (0..64).filter(|opcode| !SILENT.contains(opcode)) {
        for node in nodes {
            for arguments in &arguments {
                for room in [16, 200, 8192] {
                    let (error, _) = setup.ask(opcode, node, arguments, room);
                    answers.insert((opcode, error));
                }
            }
        }
    }
    for opcode in SILENT {
        for arguments in &arguments {
            let input = setup.write(&request(opcode, 0, LARGE, arguments));
            setup.requests.submit(&[input]);
            setup.requests.wait_used(&setup.line);
        }
    }
    // They were served, not merely refused.
    let served = [
        opcode::LOOKUP,
        opcode::GETATTR,
        opcode::READ,
        opcode::STATFS,
        opcode::GETXATTR,
        opcode::LISTXATTR,
        opcode::INIT,
        opcode::READDIR,
        opcode::READDIRPLUS,
        opcode::LSEEK,
    ];
    for opcode in served {
        assert!(answers.contains(&(opcode, 0)), "{opcode}: {answers:?}");
    }
    for errno in [libc::EROFS, libc::ENOSYS, libc::ESTALE, libc::EINVAL] {
        assert!(
            answers.iter().any(|(_, e)| *e == -errno),
            "{errno}: {answers:?}"
        );
    }
}

#[test]
fn contents_are_scattered_over_the_buffers() {
    let mut setup = Setup::new();
    let input = setup.write(&request(opcode::READ, 1, LARGE, &read(4000, 9000)));
    let rooms = [
        (OUTPUT, 10),
        (OUTPUT + 0x1000, 7),
        (OUTPUT + 0x2000, 5000),
        (OUTPUT + 0x4000, 4096),
    ];
    let mut buffers = vec![input];
    buffers.extend(rooms.map(|(address, length)| Buffer::In(address, length)));
    setup.requests.submit(&buffers);
    let used = setup.requests.wait_used(&setup.line);
    let reply = rooms
        .map(|(address, length)| setup.read(address, length))
        .concat();
    assert_eq!(used, 16 + 9000);
    assert_eq!(reply[..4], used.to_le_bytes());
    assert_eq!(reply[16..used as usize], large()[4000..13_000]);
    assert!(reply[used as usize..].iter().all(|&byte| byte == 0));
}

#[test]
fn contents_never_pass_the_room() {
    let mut setup = Setup::new();
    let (error, body) = setup.ask(opcode::READ, LARGE, &read(0, 1 << 20), 116);
    assert_eq!(error, 0);
    assert_eq!(body, large()[..100]);
}

#[test]
fn arguments_may_be_scattered() {
    let mut setup = Setup::new();
    setup.write(&request(opcode::LOOKUP, 0xabcd, ROOT_ID, b"1\0"));
    let pieces = [(0, 3), (3, 0), (3, 37), (40, 1), (41, 1)];
    let mut buffers = pieces
        .map(|(at, length)| Buffer::Out(INPUT + at, length))
        .to_vec();
    buffers.push(Buffer::In(OUTPUT, 144));
    setup.requests.submit(&buffers);
    assert_eq!(setup.requests.wait_used(&setup.line), 144);
    assert_eq!(setup.read(OUTPUT + 16, 8), (2_u64 << 40 | 1).to_le_bytes());
}

#[test]
fn forgets_come_back_empty() {
    let mut setup = Setup::new();
    let input = setup.write(&request(opcode::FORGET, 0, LARGE, &[1; 8]));
    setup.hiprio.submit(&[input]);
    assert_eq!(setup.hiprio.wait_used(&setup.line), 0);
}

#[test]
fn what_is_no_request_comes_back_empty() {
    let mut setup = Setup::new();
    let short = Buffer::Out(INPUT, 39);
    let room = Buffer::In(OUTPUT, 100);
    setup.write(&request(opcode::STATFS, 1, ROOT_ID, b""));
    for buffers in [
        &[short, room][..],
        &[room],
        &[short],
        &[Buffer::Out(INPUT, 40)],
    ] {
        setup.requests.submit(buffers);
        assert_eq!(setup.requests.wait_used(&setup.line), 0, "{buffers:?}");
    }
    let lying = setup.write(&u32::MAX.to_le_bytes());
    assert!(matches!(lying, Buffer::Out(..)));
    setup.requests.submit(&[Buffer::Out(INPUT, 40), room]);
    assert_eq!(setup.requests.wait_used(&setup.line), 0);
    assert_eq!(setup.device.metrics().errors, 5);
    assert_eq!(
        setup.ask(opcode::LOOKUP, ROOT_ID, b"0\0", 144).0,
        0,
        "the device goes on"
    );
}

#[test]
fn replies_without_room_for_their_header_are_not_given() {
    let mut setup = Setup::new();
    let input = setup.write(&request(opcode::STATFS, 1, ROOT_ID, b""));
    setup
        .memory
        .write_slice(&[0xaa; 32], GuestAddress(OUTPUT))
        .unwrap();
    setup.requests.submit(&[input, Buffer::In(OUTPUT, 15)]);
    assert_eq!(setup.requests.wait_used(&setup.line), 0);
    assert_eq!(setup.read(OUTPUT, 32), [0xaa; 32]);
}

#[test]
fn buffers_outside_memory_stop_the_device() {
    let mut setup = Setup::new();
    let input = setup.write(&request(opcode::STATFS, 1, ROOT_ID, b""));
    setup
        .requests
        .submit(&[input, Buffer::In(u64::MAX - 10, 100)]);
    setup.wait_broken();
}

#[test]
fn buffers_in_the_wrong_order_stop_the_device() {
    let mut setup = Setup::new();
    let input = setup.write(&request(opcode::STATFS, 1, ROOT_ID, b""));
    setup.requests.submit(&[Buffer::In(OUTPUT, 100), input]);
    setup.wait_broken();
}

#[test]
fn chains_that_loop_stop_the_device() {
    let mut setup = Setup::new();
    setup.write(&request(opcode::STATFS, 1, ROOT_ID, b""));
    setup.requests.descriptor(0, INPUT, 40, 1, 1);
    setup.requests.descriptor(1, INPUT, 40, 1, 0);
    setup.requests.offer(0);
    setup.requests.kick.write(1).unwrap();
    setup.wait_broken();
}

#[test]
fn chains_from_outside_the_table_stop_the_device() {
    let mut setup = Setup::new();
    setup.requests.offer(SIZE);
    setup.requests.kick.write(1).unwrap();
    setup.wait_broken();
}

#[test]
fn replies_may_overlap_their_request() {
    let mut setup = Setup::new();
    let input = setup.write(&request(opcode::LOOKUP, 5, ROOT_ID, b"0\0"));
    setup.requests.submit(&[input, Buffer::In(INPUT, 144)]);
    assert_eq!(setup.requests.wait_used(&setup.line), 144);
    assert_eq!(setup.read(INPUT + 8, 8), 5_u64.to_le_bytes());
}

#[test]
fn a_reset_device_serves_its_next_driver() {
    let mut setup = Setup::new();
    assert_eq!(setup.ask(opcode::LOOKUP, ROOT_ID, b"0\0", 144).0, 0);
    setup
        .requests
        .submit(&[Buffer::In(OUTPUT, 100), Buffer::Out(INPUT, 40)]);
    setup.wait_broken();
    setup.device.reset();
    setup.device.reset();
    let memory = ram();
    let line = Arc::new(Line::default());
    let hiprio = DriverQueue::new(&memory, 0x4000, SIZE);
    let requests = DriverQueue::new(&memory, 0x8000, SIZE);
    setup
        .device
        .activate(activation(&memory, &[&hiprio, &requests], &line));
    let device = setup.device;
    let mut next = Setup {
        memory,
        line,
        hiprio,
        requests,
        device,
    };
    assert_eq!(next.ask(opcode::LOOKUP, ROOT_ID, b"1\0", 144).0, 0);
}

#[test]
fn an_idle_device_saves_nothing() {
    let mut device = Fs::new(files()).unwrap();
    assert_eq!(device.save(), DeviceState::Fs(State::default()));
}

#[test]
fn a_saved_device_goes_on_here_and_elsewhere() {
    let mut setup = Setup::new();
    assert_eq!(setup.ask(opcode::LOOKUP, ROOT_ID, b"0\0", 144).0, 0);
    let state = setup.device.save();
    assert_eq!(
        setup.ask(opcode::LOOKUP, ROOT_ID, b"1\0", 144).0,
        0,
        "it goes on here"
    );

    let state_now = setup.device.save();
    assert_ne!(state, state_now);
    let json = serde_json::to_string(&state_now).unwrap();
    let restored = serde_json::from_str::<DeviceState>(&json).unwrap();
    assert_eq!(restored, state_now);
    setup.device.reset();
    // Put in while nobody serves the queue.
    let input = setup.write(&request(opcode::READ, 0xabcd, LARGE, &read(0, 10)));
    setup.requests.submit(&[input, Buffer::In(OUTPUT, 100)]);
    let mut device = Fs::new(files()).unwrap();
    let queues = [&setup.hiprio, &setup.requests];
    device.activate(reactivation(
        &setup.memory,
        restored.queues(),
        &queues,
        &setup.line,
    ));
    assert_eq!(setup.requests.wait_used(&setup.line), 26);
    assert_eq!(setup.read(OUTPUT + 16, 10), large()[..10]);
    setup.device = device;
    assert_eq!(setup.ask(opcode::LOOKUP, ROOT_ID, b"0\0", 144).0, 0);
}
