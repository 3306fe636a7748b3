//! The device against a driver.

use std::io;

use vm_memory::{Bytes, GuestAddress};

use super::super::backend::HostEntropy;
use super::super::request::MAX;
use super::*;
use crate::devices::virtio::driver_double::{
    Buffer, DriverQueue, Line, activation, ram, reactivation,
};
use crate::memory::GuestRam;

#[derive(Debug)]
struct Sevens;

impl Entropy for Sevens {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(7);
        Ok(())
    }
}

#[derive(Debug)]
struct Dry;

impl Entropy for Dry {
    fn fill(&mut self, _: &mut [u8]) -> io::Result<()> {
        Err(io::Error::other("dry"))
    }
}

struct Rig<E: Entropy> {
    memory: Arc<GuestRam>,
    line: Arc<Line>,
    queue: DriverQueue,
    rng: Rng<E>,
}

fn rig<E: Entropy>(entropy: E) -> Rig<E> {
    let (memory, line) = (ram(), Arc::new(Line::default()));
    let queue = DriverQueue::new(&memory, 0, 64);
    let mut rng = Rng::new(entropy);
    rng.activate(activation(&memory, &[&queue], &line));
    Rig {
        memory,
        line,
        queue,
        rng,
    }
}

impl<E: Entropy> Rig<E> {
    /// Adds a request, kicks as a vCPU does, and takes the answer.
    fn request(&mut self, buffer: Buffer) -> Option<u32> {
        self.queue.add(&[buffer]);
        self.rng.serve(0);
        self.queue.used()
    }
}

#[test]
fn a_request_is_filled_up_to_the_limit() {
    let mut rig = rig(Sevens);
    assert_eq!(rig.request(Buffer::In(0x8000, 16)), Some(16));
    let mut got = [0; 17];
    let memory = Arc::clone(&rig.memory);
    memory.read_slice(&mut got, GuestAddress(0x8000)).unwrap();
    assert_eq!(got[..16], [7; 16]);
    assert_eq!(got[16], 0);
    assert_eq!(rig.request(Buffer::In(0x8000, 0x10000)), Some(MAX as u32));
    assert_eq!(rig.rng.metrics().requests, 2);
}

#[test]
fn two_draws_of_the_host_differ() {
    let (mut a, mut b) = ([0; 32], [0; 32]);
    HostEntropy.fill(&mut a).unwrap();
    HostEntropy.fill(&mut b).unwrap();
    assert_ne!(a, b);
}

#[test]
fn a_dry_source_gives_nothing_and_is_counted() {
    let mut rig = rig(Dry);
    assert_eq!(rig.request(Buffer::In(0x8000, 16)), Some(0));
    assert_eq!(rig.rng.metrics().errors, 1);
}

#[test]
fn a_buffer_outside_memory_breaks_the_device_until_a_reset() {
    let mut rig = rig(Sevens);
    assert_eq!(rig.request(Buffer::In(1 << 20, 16)), None);
    assert!(rig.line.is_broken());
    assert_eq!(rig.request(Buffer::In(0x8000, 1)), None, "it is broken");
    rig.rng.reset();

    let line = Arc::new(Line::default());
    rig.queue = DriverQueue::new(&rig.memory, 0x10000, 64);
    rig.rng
        .activate(activation(&rig.memory, &[&rig.queue], &line));
    assert_eq!(rig.request(Buffer::In(0x8000, 1)), Some(1));
}

#[test]
fn a_saved_device_goes_on_and_so_does_its_copy() {
    let mut rig = rig(Sevens);
    assert_eq!(rig.request(Buffer::In(0x8000, 1)), Some(1));
    let state = rig.rng.save();
    let after = rig.request(Buffer::In(0x8000, 2));
    assert_eq!(after, Some(2), "the device goes on after a save");
    let state_now = rig.rng.save();
    rig.rng.reset();
    assert_ne!(state, state_now);

    let queues = state_now.queues();
    let copy = reactivation(&rig.memory, queues, &[&rig.queue], &rig.line);
    rig.rng = Rng::new(Sevens);
    rig.rng.activate(copy);
    assert_eq!(rig.request(Buffer::In(0x8000, 3)), Some(3));
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<DeviceState>(&json).unwrap(), state);
}
