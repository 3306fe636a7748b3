//! The device against a driver.

use vm_memory::{Bytes, GuestAddress};

use super::super::backend::HostEntropy;
use super::super::request::MAX;
use super::*;
use crate::devices::virtio::driver_double::{
    Buffer, DriverQueue, Line, activation, ram, reactivation,
};

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

#[test]
fn a_request_is_filled_up_to_the_limit() {
    let (memory, line) = (ram(), Arc::new(Line::default()));
    let mut queue = DriverQueue::new(&memory, 0, 64);
    let mut rng = Rng::new(Sevens).unwrap();
    rng.activate(activation(&memory, &[&queue], &line));
    queue.submit(&[Buffer::In(0x8000, 16)]);
    assert_eq!(queue.wait_used(&line), 16);
    let mut got = [0; 17];
    memory.read_slice(&mut got, GuestAddress(0x8000)).unwrap();
    assert_eq!(got[..16], [7; 16]);
    assert_eq!(got[16], 0);
    queue.submit(&[Buffer::In(0x8000, 0x10000)]);
    assert_eq!(queue.wait_used(&line), MAX as u32);
    assert_eq!(rng.metrics().requests, 2);
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
    let (memory, line) = (ram(), Arc::new(Line::default()));
    let mut queue = DriverQueue::new(&memory, 0, 64);
    let mut rng = Rng::new(Dry).unwrap();
    rng.activate(activation(&memory, &[&queue], &line));
    queue.submit(&[Buffer::In(0x8000, 16)]);
    assert_eq!(queue.wait_used(&line), 0);
    assert_eq!(rng.metrics().errors, 1);
}

#[test]
fn a_buffer_outside_memory_breaks_the_device_until_a_reset() {
    let (memory, line) = (ram(), Arc::new(Line::default()));
    let mut queue = DriverQueue::new(&memory, 0, 64);
    let mut rng = Rng::new(Sevens).unwrap();
    rng.activate(activation(&memory, &[&queue], &line));
    queue.submit(&[Buffer::In(1 << 20, 16)]);
    line.until(|| line.is_broken());
    rng.reset();

    let line = Arc::new(Line::default());
    let mut queue = DriverQueue::new(&memory, 0x10000, 64);
    rng.activate(activation(&memory, &[&queue], &line));
    queue.submit(&[Buffer::In(0x8000, 1)]);
    assert_eq!(queue.wait_used(&line), 1);
}

#[test]
fn a_saved_device_goes_on_and_so_does_its_copy() {
    let (memory, line) = (ram(), Arc::new(Line::default()));
    let mut queue = DriverQueue::new(&memory, 0, 64);
    let mut first = Rng::new(Sevens).unwrap();
    first.activate(activation(&memory, &[&queue], &line));
    queue.submit(&[Buffer::In(0x8000, 1)]);
    queue.wait_used(&line);
    let state = first.save();
    queue.submit(&[Buffer::In(0x8000, 2)]);
    assert_eq!(queue.wait_used(&line), 2, "the device goes on after a save");
    let state_now = first.save();
    first.reset();
    assert_ne!(state, state_now);

    let mut second = Rng::new(Sevens).unwrap();
    second.activate(reactivation(&memory, state_now.queues(), &[&queue], &line));
    queue.submit(&[Buffer::In(0x8000, 3)]);
    assert_eq!(queue.wait_used(&line), 3);
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<DeviceState>(&json).unwrap(), state);
}
