//! The device against a driver, with a file for a disk.

use std::os::unix::fs::FileExt;

use proptest::prelude::*;
use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_DISCARD,
    VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
    VIRTIO_BLK_T_WRITE_ZEROES,
};
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::devices::virtio::driver_double::{
    Buffer, DriverQueue, Line, activation, ram, reactivation,
};
use crate::memory::GuestRam;

const HEADER: u64 = 0x8000;
const STATUS: u64 = 0x8100;
const DATA: u64 = 0x9000;
const SIZE: u64 = 64 << 10;

struct Rig {
    memory: Arc<GuestRam>,
    line: Arc<Line>,
    queue: DriverQueue,
    file: File,
    blk: Blk,
}

fn rig(read_only: bool) -> Rig {
    let (memory, line) = (ram(), Arc::new(Line::default()));
    let queue = DriverQueue::new(&memory, 0, 128);
    let file = tempfile::tempfile().unwrap();
    file.set_len(SIZE).unwrap();
    let mut blk = Blk::new(file.try_clone().unwrap(), read_only).unwrap();
    blk.activate(activation(&memory, &[&queue], &line));
    Rig {
        memory,
        line,
        queue,
        file,
        blk,
    }
}

impl Rig {
    fn header(&self, kind: u32, sector: u64) {
        let mut header = kind.to_le_bytes().to_vec();
        header.extend([0; 4]);
        header.extend(sector.to_le_bytes());
        self.memory
            .write_slice(&header, GuestAddress(HEADER))
            .unwrap();
        self.memory.write_obj(0xaau8, GuestAddress(STATUS)).unwrap();
    }

    /// Submits header, data and status; gives the status.
    fn request(&mut self, kind: u32, sector: u64, data: &[Buffer]) -> u32 {
        self.header(kind, sector);
        let mut chain = vec![Buffer::Out(HEADER, 16)];
        chain.extend(data);
        chain.push(Buffer::In(STATUS, 1));
        self.queue.submit(&chain);
        self.queue.wait_used(&self.line);
        u32::from(self.memory.read_obj::<u8>(GuestAddress(STATUS)).unwrap())
    }
}

#[test]
fn what_is_written_is_read_back_across_buffers() {
    let mut rig = rig(false);
    rig.memory
        .write_slice(&[5; 1024], GuestAddress(DATA))
        .unwrap();
    let out = [Buffer::Out(DATA, 500), Buffer::Out(DATA + 500, 524)];
    assert_eq!(rig.request(VIRTIO_BLK_T_OUT, 3, &out), VIRTIO_BLK_S_OK);
    let mut stored = [0; 1024];
    rig.file.read_exact_at(&mut stored, 3 * 512).unwrap();
    assert_eq!(stored, [5; 1024]);
    let back = [
        Buffer::In(DATA + 0x1000, 1000),
        Buffer::In(DATA + 0x2000, 24),
    ];
    assert_eq!(rig.request(VIRTIO_BLK_T_IN, 3, &back), VIRTIO_BLK_S_OK);
    let mut got = [0; 1000];
    rig.memory
        .read_slice(&mut got, GuestAddress(DATA + 0x1000))
        .unwrap();
    assert_eq!(got, [5; 1000]);
    let metrics = rig.blk.metrics();
    assert_eq!(
        (metrics.requests, metrics.read_bytes, metrics.write_bytes),
        (2, 1024, 1024)
    );
}

#[test]
fn requests_outside_the_disk_or_of_odd_length_are_errors() {
    let mut rig = rig(false);
    let one = [Buffer::In(DATA, 512)];
    for sector in [SIZE / 512, u64::MAX, u64::MAX / 512, SIZE / 512 + 1] {
        assert_eq!(
            rig.request(VIRTIO_BLK_T_IN, sector, &one),
            VIRTIO_BLK_S_IOERR,
            "{sector}"
        );
    }
    let two = [Buffer::In(DATA, 1024)];
    assert_eq!(
        rig.request(VIRTIO_BLK_T_IN, SIZE / 512 - 1, &two),
        VIRTIO_BLK_S_IOERR
    );
    assert_eq!(
        rig.request(VIRTIO_BLK_T_IN, 0, &[Buffer::In(DATA, 511)]),
        VIRTIO_BLK_S_IOERR
    );
    assert_eq!(
        rig.request(VIRTIO_BLK_T_OUT, 0, &[Buffer::Out(DATA, 1)]),
        VIRTIO_BLK_S_IOERR
    );
    assert_eq!(rig.request(77, 0, &one), VIRTIO_BLK_S_UNSUPP);
    assert_eq!(
        rig.request(VIRTIO_BLK_T_IN, 0, &one),
        VIRTIO_BLK_S_OK,
        "the disk still works"
    );
}

#[test]
fn a_read_only_disk_is_not_changed() {
    let mut rig = rig(true);
    assert_ne!(rig.blk.features() & 1 << abi::VIRTIO_BLK_F_RO, 0);
    assert_eq!(
        rig.request(VIRTIO_BLK_T_OUT, 0, &[Buffer::Out(DATA, 512)]),
        VIRTIO_BLK_S_IOERR
    );
    let segment = [Buffer::Out(DATA, 16)];
    assert_eq!(
        rig.request(VIRTIO_BLK_T_DISCARD, 0, &segment),
        VIRTIO_BLK_S_IOERR
    );
    assert_eq!(
        rig.request(VIRTIO_BLK_T_IN, 0, &[Buffer::In(DATA, 512)]),
        VIRTIO_BLK_S_OK
    );
}

#[test]
fn discard_and_write_zeroes_leave_zeros() {
    let mut rig = rig(false);
    rig.file.write_all_at(&[9; SIZE as usize], 0).unwrap();
    let segment = |sector: u64, count: u32, flags: u32| {
        let mut bytes = sector.to_le_bytes().to_vec();
        bytes.extend(count.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes
    };
    let mut two = segment(8, 8, 0);
    two.extend(segment(32, 8, 1));
    rig.memory.write_slice(&two, GuestAddress(DATA)).unwrap();
    let out = [Buffer::Out(DATA, 32)];
    assert_eq!(
        rig.request(VIRTIO_BLK_T_WRITE_ZEROES, 0, &out),
        VIRTIO_BLK_S_OK
    );
    let mut all = vec![0; SIZE as usize];
    rig.file.read_exact_at(&mut all, 0).unwrap();
    for (sector, chunk) in all.chunks(512).enumerate() {
        let zeroed = (8..16).contains(&sector) || (32..40).contains(&sector);
        assert!(
            chunk.iter().all(|&b| b == if zeroed { 0 } else { 9 }),
            "sector {sector}"
        );
    }
    rig.memory
        .write_slice(&segment(SIZE / 512, 1, 0), GuestAddress(DATA))
        .unwrap();
    let one = [Buffer::Out(DATA, 16)];
    assert_eq!(
        rig.request(VIRTIO_BLK_T_DISCARD, 0, &one),
        VIRTIO_BLK_S_IOERR
    );
    rig.memory
        .write_slice(&segment(0, 1, 2), GuestAddress(DATA))
        .unwrap();
    assert_eq!(
        rig.request(VIRTIO_BLK_T_DISCARD, 0, &one),
        VIRTIO_BLK_S_IOERR,
        "unknown flag"
    );
    assert_eq!(
        rig.request(VIRTIO_BLK_T_DISCARD, 0, &[]),
        VIRTIO_BLK_S_IOERR,
        "no segment"
    );
}

#[test]
fn flush_and_name() {
    let mut rig = rig(false);
    assert_eq!(rig.request(VIRTIO_BLK_T_FLUSH, 0, &[]), VIRTIO_BLK_S_OK);
    assert_eq!(
        rig.request(VIRTIO_BLK_T_GET_ID, 0, &[Buffer::In(DATA, 20)]),
        VIRTIO_BLK_S_OK
    );
    let mut id = [0; 20];
    rig.memory.read_slice(&mut id, GuestAddress(DATA)).unwrap();
    assert_eq!(&id[..5], b"hull\0");
    assert_eq!(
        rig.request(VIRTIO_BLK_T_GET_ID, 0, &[Buffer::In(DATA, 19)]),
        VIRTIO_BLK_S_IOERR
    );
}

#[test]
fn a_file_that_shrank_is_an_io_error() {
    let mut rig = rig(false);
    rig.file.set_len(100).unwrap();
    assert_eq!(
        rig.request(VIRTIO_BLK_T_IN, 0, &[Buffer::In(DATA, 512)]),
        VIRTIO_BLK_S_IOERR
    );
}

/// What no driver does stops the device; the VMM goes on.
#[test]
fn malformed_chains_break_the_device() {
    type Spoil = fn(&mut Rig);
    let cases: [(&str, Spoil); 8] = [
        ("no status byte", |r| {
            r.queue.add(&[Buffer::Out(HEADER, 16)]);
        }),
        ("short header", |r| {
            r.queue
                .add(&[Buffer::Out(HEADER, 15), Buffer::In(STATUS, 1)]);
        }),
        ("header where the device writes", |r| {
            r.queue.add(&[Buffer::In(HEADER, 16)]);
        }),
        ("readable after writable", |r| {
            r.queue.add(&[
                Buffer::Out(HEADER, 16),
                Buffer::In(STATUS, 1),
                Buffer::Out(DATA, 512),
            ]);
        }),
        ("outside memory", |r| {
            r.queue
                .add(&[Buffer::Out(HEADER, 16), Buffer::In(u64::MAX - 10, 512)]);
        }),
        ("a loop", |r| {
            r.queue.descriptor(0, HEADER, 16, 1, 0);
            r.queue.offer(0);
        }),
        ("a link outside the table", |r| {
            r.queue.descriptor(0, HEADER, 16, 1, 500);
            r.queue.offer(0);
        }),
        ("a head outside the table", |r| r.queue.offer(999)),
    ];
    for (name, spoil) in cases {
        let mut rig = rig(false);
        rig.header(VIRTIO_BLK_T_IN, 0);
        spoil(&mut rig);
        rig.queue.kick.write(1).unwrap();
        rig.line.until(|| rig.line.is_broken());
        assert_eq!(rig.queue.used(), None, "{name}");
    }
}

#[test]
fn a_saved_device_goes_on_and_so_does_its_copy() {
    let mut rig = rig(false);
    assert_eq!(rig.request(VIRTIO_BLK_T_FLUSH, 0, &[]), VIRTIO_BLK_S_OK);
    let state = rig.blk.save();
    assert_eq!(rig.request(VIRTIO_BLK_T_FLUSH, 0, &[]), VIRTIO_BLK_S_OK);
    let state_now = rig.blk.save();
    assert_ne!(state, state_now);
    rig.blk = Blk::new(rig.file.try_clone().unwrap(), false).unwrap();
    let queues = reactivation(&rig.memory, state_now.queues(), &[&rig.queue], &rig.line);
    rig.blk.activate(queues);
    assert_eq!(rig.request(VIRTIO_BLK_T_FLUSH, 0, &[]), VIRTIO_BLK_S_OK);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever a chain holds, it is answered or breaks the device; nothing outside the disk and
    /// the chain's own buffers changes.
    #[test]
    fn any_chain_is_answered_or_breaks_the_device(
        kind in 0u32..16, sector in prop_oneof![0u64..200, any::<u64>()],
        buffers in proptest::collection::vec(
            (any::<bool>(), prop_oneof![Just(DATA), 0x8000u64..0x10_0000, any::<u64>()], 0u32..4096),
            0..5,
        ),
        header in 0u32..20,
    ) {
        let mut rig = rig(false);
        rig.header(kind, sector);
        let mut chain = vec![Buffer::Out(HEADER, header)];
        for (write, address, length) in buffers {
            chain.push(if write { Buffer::In(address, length) } else { Buffer::Out(address, length) });
        }
        chain.push(Buffer::In(STATUS, 1));
        rig.queue.submit(&chain);
        let mut answered = false;
        rig.line.until(|| {
            answered |= rig.queue.used().is_some();
            answered || rig.line.is_broken()
        });
        prop_assert_eq!(rig.file.metadata().unwrap().len(), SIZE);
    }
}
