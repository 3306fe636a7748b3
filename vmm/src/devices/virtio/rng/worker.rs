//! Pops requests, fills them, gives them back.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use vmm_sys_util::epoll::EventSet;

use super::super::interrupt::Interrupt;
use super::super::metrics::Counters;
use super::super::queue::{DeviceQueue, QueueError};
use super::super::worker::{Handler, Poller};
use super::backend::Entropy;
use super::request::{MAX, wanted};
use crate::jail::seccomp;
use crate::memory::GuestRam;

#[derive(Debug)]
pub(super) struct Worker<E> {
    pub(super) memory: Arc<GuestRam>,
    pub(super) queue: DeviceQueue,
    pub(super) interrupt: Arc<dyn Interrupt>,
    pub(super) entropy: E,
    pub(super) counters: Arc<Counters>,
}

impl<E: Entropy> Handler for Worker<E> {
    const NAME: &'static str = "rng";
    const FILTER: seccomp::Role = seccomp::Role::Rng;

    fn register(&mut self, poller: &Poller) -> io::Result<()> {
        poller.add(self.queue.kick().as_raw_fd(), 0, EventSet::IN)
    }

    fn handle(&mut self, _: u64, _: EventSet, _: &Poller) -> Result<(), QueueError> {
        self.queue.clear_kick();
        let mut buffer = [0; MAX];
        loop {
            while let Some(chain) = self.queue.pop(&self.memory)? {
                let bytes = &mut buffer[..wanted(&chain)];
                let written = match self.entropy.fill(bytes) {
                    Ok(()) => chain.write(&self.memory, 0, bytes),
                    Err(_) => {
                        self.counters.error();
                        0
                    }
                };
                self.counters.read(written as u64);
                self.queue.push(&self.memory, chain.head, written as u32)?;
            }
            if self.queue.wants_interrupt(&self.memory)? {
                self.interrupt.queue();
            }
            if !self.queue.rearm(&self.memory)? {
                return Ok(());
            }
        }
    }
}
