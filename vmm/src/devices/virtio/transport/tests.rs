//! Negotiation, queue registers, reset, and a round trip of the whole state.

use vm_memory::Bytes;

use super::*;
use crate::devices::virtio::balloon::{Balloon, HostMemory};
use crate::devices::virtio::blk::Blk;
use crate::devices::virtio::driver_double::{Buffer, DriverQueue, ram};
use crate::devices::virtio::rng::{HostEntropy, Rng};

/// The balloon's feature.
const REPORTING: u32 = 1 << 5;

fn transport(memory: &Arc<GuestRam>) -> Transport {
    Transport::new(Box::new(Rng::new(HostEntropy)), Arc::clone(memory)).unwrap()
}

/// One whose device has a thread.
fn threaded(memory: &Arc<GuestRam>) -> Transport {
    let disk = tempfile::tempfile().unwrap();
    disk.set_len(1 << 20).unwrap();
    let device = Blk::new(disk, false).unwrap();
    Transport::new(Box::new(device), Arc::clone(memory)).unwrap()
}

/// What it answers to [`ask`]: its name and a status.
const ANSWER: u32 = 21;

/// Adds a request for its name.
fn ask(memory: &GuestRam, queue: &mut DriverQueue) {
    let header = [virtio_bindings::virtio_blk::VIRTIO_BLK_T_GET_ID, 0, 0, 0];
    memory.write_obj(header, GuestAddress(0x8000)).unwrap();
    queue.add(&[
        Buffer::Out(0x8000, 16),
        Buffer::In(0x8100, ANSWER - 1),
        Buffer::In(0x8200, 1),
    ]);
}

fn read(t: &mut Transport, register: u32) -> u32 {
    let mut data = [0; 4];
    t.read(register.into(), &mut data);
    u32::from_le_bytes(data)
}

fn write(t: &mut Transport, register: u32, value: u32) {
    t.write(register.into(), &value.to_le_bytes());
}

fn negotiate(t: &mut Transport, features: u32) {
    write(t, regs::VIRTIO_MMIO_STATUS, ACKNOWLEDGE);
    write(t, regs::VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER);
    for (select, value) in [(0, features), (1, 1)] {
        write(t, regs::VIRTIO_MMIO_DRIVER_FEATURES_SEL, select);
        write(t, regs::VIRTIO_MMIO_DRIVER_FEATURES, value);
    }
    write(
        t,
        regs::VIRTIO_MMIO_STATUS,
        ACKNOWLEDGE | DRIVER | FEATURES_OK,
    );
}

fn configure(t: &mut Transport, index: u32, queue: &DriverQueue) {
    let (desc, avail, used) = queue.parts();
    write(t, regs::VIRTIO_MMIO_QUEUE_SEL, index);
    write(t, regs::VIRTIO_MMIO_QUEUE_NUM, 64);
    write(t, regs::VIRTIO_MMIO_QUEUE_DESC_LOW, desc.0 as u32);
    write(t, regs::VIRTIO_MMIO_QUEUE_AVAIL_LOW, avail.0 as u32);
    write(t, regs::VIRTIO_MMIO_QUEUE_USED_LOW, used.0 as u32);
    write(t, regs::VIRTIO_MMIO_QUEUE_READY, 1);
}

fn start(t: &mut Transport, queue: &DriverQueue) {
    negotiate(t, 0);
    configure(t, 0, queue);
    work(t);
}

fn work(t: &mut Transport) {
    let all = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
    write(t, regs::VIRTIO_MMIO_STATUS, all);
}

/// Waits for the device's interrupt as KVM would.
fn wait_interrupt(t: &Transport) {
    let mut poll = libc::pollfd {
        fd: std::os::fd::AsRawFd::as_raw_fd(t.irq().irqfd()),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one live pollfd.
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 20_000) }, 1);
    t.irq().irqfd().read().unwrap();
}

#[test]
fn a_device_can_be_discovered() {
    let mut t = transport(&ram());
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_MAGIC_VALUE), MAGIC);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_VERSION), 2);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_DEVICE_ID), 4);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_QUEUE_NUM_MAX), 64);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_SHM_LEN_LOW), u32::MAX);
    write(&mut t, regs::VIRTIO_MMIO_QUEUE_SEL, 1);
    assert_eq!(
        read(&mut t, regs::VIRTIO_MMIO_QUEUE_NUM_MAX),
        0,
        "no such queue"
    );
    write(&mut t, regs::VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_eq!(
        read(&mut t, regs::VIRTIO_MMIO_DEVICE_FEATURES),
        1,
        "VERSION_1"
    );
    write(&mut t, regs::VIRTIO_MMIO_DEVICE_FEATURES_SEL, 7);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

#[test]
fn odd_accesses_change_nothing() {
    let mut t = transport(&ram());
    for (offset, length) in [(0, 1), (0, 8), (2, 4), (0x70, 2)] {
        let mut data = vec![0xff; length];
        t.read(offset, &mut data);
        assert!(data.iter().all(|&b| b == 0));
        t.write(offset, &vec![0xff; length]);
    }
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_STATUS), 0);
    let mut beyond = [1; 4];
    t.read(0x100, &mut beyond);
    assert_eq!(beyond, [0; 4], "no configuration space");
}

#[test]
fn status_goes_up_one_step_at_a_time() {
    let mut t = transport(&ram());
    write(&mut t, regs::VIRTIO_MMIO_STATUS, DRIVER);
    assert_eq!(
        read(&mut t, regs::VIRTIO_MMIO_STATUS),
        0,
        "not before ACKNOWLEDGE"
    );
    write(&mut t, regs::VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER);
    write(&mut t, regs::VIRTIO_MMIO_STATUS, DRIVER | FEATURES_OK);
    assert_eq!(
        read(&mut t, regs::VIRTIO_MMIO_STATUS),
        ACKNOWLEDGE | DRIVER,
        "a bit was dropped"
    );
}

#[test]
fn features_that_were_not_offered_are_refused() {
    for (low, high) in [(1 << 3, 1), (0, 0), (0, 3)] {
        let mut t = transport(&ram());
        write(&mut t, regs::VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER);
        for (select, value) in [(0, low), (1, high)] {
            write(&mut t, regs::VIRTIO_MMIO_DRIVER_FEATURES_SEL, select);
            write(&mut t, regs::VIRTIO_MMIO_DRIVER_FEATURES, value);
        }
        write(
            &mut t,
            regs::VIRTIO_MMIO_STATUS,
            ACKNOWLEDGE | DRIVER | FEATURES_OK,
        );
        assert_eq!(read(&mut t, regs::VIRTIO_MMIO_STATUS) & FEATURES_OK, 0);
    }
}

#[test]
fn queues_cannot_be_moved_once_the_device_works() {
    let memory = ram();
    let mut t = transport(&memory);
    let queue = DriverQueue::new(&memory, 0, 64);
    configure(&mut t, 0, &queue);
    assert_eq!(
        read(&mut t, regs::VIRTIO_MMIO_QUEUE_READY),
        0,
        "not before FEATURES_OK"
    );
    start(&mut t, &queue);
    write(&mut t, regs::VIRTIO_MMIO_QUEUE_READY, 0);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_QUEUE_READY), 1);
}

#[test]
fn a_queue_outside_memory_needs_a_reset_and_gets_one() {
    let memory = ram();
    let mut t = transport(&memory);
    start(&mut t, &DriverQueue::new(&memory, 2 << 20, 64));
    assert_ne!(read(&mut t, regs::VIRTIO_MMIO_STATUS) & NEEDS_RESET, 0);
    wait_interrupt(&t);
    let generation = read(&mut t, regs::VIRTIO_MMIO_CONFIG_GENERATION);
    write(&mut t, regs::VIRTIO_MMIO_STATUS, 0);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_STATUS), 0);
    assert_ne!(
        read(&mut t, regs::VIRTIO_MMIO_CONFIG_GENERATION),
        generation
    );
    let mut queue = DriverQueue::new(&memory, 0, 64);
    start(&mut t, &queue);
    queue.add(&[Buffer::In(0x8000, 4)]);
    write(&mut t, regs::VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    wait_interrupt(&t);
    assert_eq!(queue.used(), Some(4));
}

#[test]
fn interrupts_are_seen_and_acknowledged() {
    let memory = ram();
    let mut t = threaded(&memory);
    let mut queue = DriverQueue::new(&memory, 0, 64);
    start(&mut t, &queue);
    ask(&memory, &mut queue);
    write(&mut t, regs::VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    write(&mut t, regs::VIRTIO_MMIO_QUEUE_NOTIFY, 99);
    wait_interrupt(&t);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_INTERRUPT_STATUS), 1);
    write(&mut t, regs::VIRTIO_MMIO_INTERRUPT_ACK, 1);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

#[test]
fn a_restored_transport_goes_on_with_a_live_queue() {
    let memory = ram();
    let mut first = threaded(&memory);
    let mut queue = DriverQueue::new(&memory, 0, 64);
    start(&mut first, &queue);
    ask(&memory, &mut queue);
    write(&mut first, regs::VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    wait_interrupt(&first);
    assert_eq!(queue.used(), Some(ANSWER));
    let saved = first.save();
    first.shut_down();
    // A request whose kick the first one no longer hears.
    ask(&memory, &mut queue);

    let json = serde_json::to_string(&saved).unwrap();
    let state: TransportState = serde_json::from_str(&json).unwrap();
    let mut second = threaded(&memory);
    second.restore(&state).unwrap();
    assert_eq!(
        read(&mut second, regs::VIRTIO_MMIO_STATUS) & DRIVER_OK,
        DRIVER_OK
    );
    assert_eq!(
        read(&mut second, regs::VIRTIO_MMIO_INTERRUPT_STATUS),
        1,
        "not acknowledged yet"
    );
    let mut got = None;
    while got.is_none() {
        wait_interrupt(&second);
        got = queue.used();
    }
    assert_eq!(got, Some(ANSWER));
}

fn balloon(memory: &Arc<GuestRam>) -> Transport {
    Transport::new(Box::new(Balloon::new(HostMemory)), Arc::clone(memory)).unwrap()
}

#[test]
fn a_device_without_a_thread_is_served_by_who_kicks_it() {
    let memory = ram();
    let mut t = balloon(&memory);
    assert_eq!(t.kicks().len(), 0, "nothing for KVM to signal");
    let mut queue = DriverQueue::new(&memory, 0x8000, 64);
    write(&mut t, regs::VIRTIO_MMIO_QUEUE_NOTIFY, 2);
    negotiate(&mut t, REPORTING);
    for (index, base) in [(0, 0), (1, 0x4000)] {
        configure(&mut t, index, &DriverQueue::new(&memory, base, 64));
    }
    configure(&mut t, 2, &queue);
    work(&mut t);
    memory.write_obj(7u8, GuestAddress(0x1_0000)).unwrap();
    queue.add(&[Buffer::In(0x1_0000, 0x1000)]);
    write(&mut t, regs::VIRTIO_MMIO_QUEUE_NOTIFY, 2);
    assert_eq!(queue.used(), Some(0));
    assert_eq!(memory.read_obj::<u8>(GuestAddress(0x1_0000)).unwrap(), 0);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_INTERRUPT_STATUS), 1);

    // One that was added and not kicked when the device was saved is served by its copy.
    queue.add(&[Buffer::In(0x1_1000, 0x1000)]);
    let state = t.save();
    t.shut_down();
    let mut copy = balloon(&memory);
    copy.restore(&state).unwrap();
    assert_eq!(queue.used(), Some(0));
}

#[test]
fn queues_of_a_feature_that_was_not_taken_are_not_waited_for() {
    let memory = ram();
    let mut t = balloon(&memory);
    let queues = [0, 0x4000].map(|base| DriverQueue::new(&memory, base, 64));
    negotiate(&mut t, 0);
    for (index, queue) in [0, 1].into_iter().zip(&queues) {
        configure(&mut t, index, queue);
    }
    work(&mut t);
    assert_eq!(read(&mut t, regs::VIRTIO_MMIO_STATUS) & NEEDS_RESET, 0);
    let state = t.save();
    let mut copy = balloon(&memory);
    copy.restore(&state).unwrap();
    assert_eq!(copy.save(), state);

    let mut greedy = balloon(&memory);
    negotiate(&mut greedy, REPORTING);
    work(&mut greedy);
    assert_ne!(read(&mut greedy, regs::VIRTIO_MMIO_STATUS) & NEEDS_RESET, 0);
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let memory = ram();
    let mut state = transport(&memory).save();
    state.rings.clear();
    let result = transport(&memory).restore(&state);
    assert!(matches!(
        result,
        Err(RestoreError::QueueCount {
            found: 0,
            expected: 1
        })
    ));
}
