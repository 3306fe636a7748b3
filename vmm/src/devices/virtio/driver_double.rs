//! The driver's side of a queue and of an interrupt, for tests of devices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use virtio_queue::QueueT;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use super::interrupt::Interrupt;
use super::queue::{DeviceQueue, QueueState};
use super::transport::ring_at;
use super::{Activation, COMMON_FEATURES};
use crate::memory::GuestRam;

/// Long enough for a loaded machine; nothing waits that long when it works.
const DEADLINE: Duration = Duration::from_secs(20);

const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// One megabyte of guest memory.
pub(crate) fn ram() -> Arc<GuestRam> {
    Arc::new(GuestRam::from_ranges(&[(GuestAddress(0), 1 << 20)]).unwrap())
}

/// A buffer of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buffer {
    /// For the device to read.
    Out(u64, u32),
    /// For the device to write.
    In(u64, u32),
}

/// One queue, seen from the driver.
#[derive(Debug)]
pub(crate) struct DriverQueue {
    memory: Arc<GuestRam>,
    base: u64,
    size: u16,
    next_descriptor: u16,
    added: u16,
    seen: u16,
    pub(crate) kick: Arc<EventFd>,
}

impl DriverQueue {
    /// A queue whose rings lie in the 16 KiB from `base` on.
    pub(crate) fn new(memory: &Arc<GuestRam>, base: u64, size: u16) -> Self {
        let kick = Arc::new(EventFd::new(libc::EFD_NONBLOCK).unwrap());
        let memory = Arc::clone(memory);
        Self {
            memory,
            base,
            size,
            next_descriptor: 0,
            added: 0,
            seen: 0,
            kick,
        }
    }

    pub(crate) fn parts(&self) -> (GuestAddress, GuestAddress, GuestAddress) {
        let at = |offset| GuestAddress(self.base + offset);
        (at(0), at(0x2000), at(0x3000))
    }

    /// The device's side.
    pub(crate) fn device(&self) -> DeviceQueue {
        let (desc, avail, used) = self.parts();
        DeviceQueue::new(
            ring_at(self.size, desc, avail, used),
            Arc::clone(&self.kick),
        )
    }

    /// Writes one descriptor as it is, sound or not.
    pub(crate) fn descriptor(&self, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        let at = GuestAddress(self.base + u64::from(index) * 16);
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        self.memory.write_slice(&bytes, at).unwrap();
    }

    /// Offers the chain that starts at a descriptor.
    pub(crate) fn offer(&mut self, head: u16) {
        let (_, avail, _) = self.parts();
        let slot = avail.0 + 4 + u64::from(self.added % self.size) * 2;
        self.memory.write_obj(head, GuestAddress(slot)).unwrap();
        self.added = self.added.wrapping_add(1);
        self.memory
            .write_obj(self.added, GuestAddress(avail.0 + 2))
            .unwrap();
    }

    /// Adds a request without a kick.
    pub(crate) fn add(&mut self, buffers: &[Buffer]) {
        let head = self.next_descriptor;
        for (n, buffer) in buffers.iter().enumerate() {
            let index = (self.next_descriptor + n as u16) % self.size;
            let more = if n + 1 < buffers.len() { NEXT } else { 0 };
            let (address, length, write) = match *buffer {
                Buffer::Out(address, length) => (address, length, 0),
                Buffer::In(address, length) => (address, length, WRITE),
            };
            self.descriptor(
                index,
                address,
                length,
                more | write,
                (index + 1) % self.size,
            );
        }
        self.next_descriptor = (head + buffers.len() as u16) % self.size;
        self.offer(head);
    }

    /// Adds a request and kicks.
    pub(crate) fn submit(&mut self, buffers: &[Buffer]) {
        self.add(buffers);
        self.kick.write(1).unwrap();
    }

    /// The next used element: how many bytes the device wrote.
    pub(crate) fn used(&mut self) -> Option<u32> {
        let (_, _, used) = self.parts();
        let index: u16 = self.memory.read_obj(GuestAddress(used.0 + 2)).unwrap();
        if index == self.seen {
            return None;
        }
        let slot = used.0 + 4 + u64::from(self.seen % self.size) * 8;
        self.seen = self.seen.wrapping_add(1);
        Some(self.memory.read_obj(GuestAddress(slot + 4)).unwrap())
    }

    /// Waits for the next used element.
    pub(crate) fn wait_used(&mut self, line: &Line) -> u32 {
        let mut length = None;
        line.until(|| {
            length = self.used();
            length.is_some()
        });
        length.unwrap()
    }
}

/// An interrupt that tests can wait for.
#[derive(Debug, Default)]
pub(crate) struct Line {
    count: Mutex<u64>,
    changed: Condvar,
    broken: AtomicBool,
}

impl Line {
    /// Waits until a condition holds, looking at it after every interrupt (and, as a device may
    /// do without one where the driver asked for none, now and then).
    pub(crate) fn until(&self, mut condition: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        let mut count = self.count.lock().unwrap();
        while !condition() {
            assert!(start.elapsed() < DEADLINE, "the device did not answer");
            count = self
                .changed
                .wait_timeout(count, Duration::from_millis(5))
                .unwrap()
                .0;
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    fn raise(&self) {
        *self.count.lock().unwrap() += 1;
        self.changed.notify_all();
    }
}

impl Interrupt for Line {
    fn queue(&self) {
        self.raise();
    }
    fn config(&self) {
        self.raise();
    }
    fn needs_reset(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.raise();
    }
}

/// What a device is activated with.
pub(crate) fn activation(
    memory: &Arc<GuestRam>,
    queues: &[&DriverQueue],
    line: &Arc<Line>,
) -> Activation {
    Activation {
        memory: Arc::clone(memory),
        queues: queues.iter().map(|q| q.device()).collect(),
        interrupt: line.clone(),
        features: COMMON_FEATURES,
    }
}

/// The same, with queues that go on where a saved state left them.
pub(crate) fn reactivation(
    memory: &Arc<GuestRam>,
    states: &[QueueState],
    queues: &[&DriverQueue],
    line: &Arc<Line>,
) -> Activation {
    let mut activation = activation(memory, queues, line);
    activation.queues = states
        .iter()
        .zip(queues)
        .map(|(state, queue)| {
            let ring = state.to_ring().unwrap();
            assert!(ring.ready());
            DeviceQueue::new(ring, Arc::clone(&queue.kick))
        })
        .collect();
    activation
}
