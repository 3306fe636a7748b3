//! Pops requests, fills them, gives them back. Runs on the vCPU that kicked.

use std::sync::Arc;

use super::super::chain::Chain;
use super::super::drain::drain;
use super::super::interrupt::Interrupt;
use super::super::metrics::Counters;
use super::super::queue::DeviceQueue;
use super::backend::Entropy;
use super::request::{MAX, wanted};
use crate::memory::GuestRam;

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) memory: Arc<GuestRam>,
    pub(super) queue: DeviceQueue,
    pub(super) interrupt: Arc<dyn Interrupt>,
    pub(super) counters: Arc<Counters>,
    broken: bool,
}

impl Worker {
    pub(super) fn new(
        memory: Arc<GuestRam>,
        queue: DeviceQueue,
        interrupt: Arc<dyn Interrupt>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            memory,
            queue,
            interrupt,
            counters,
            broken: false,
        }
    }

    pub(super) fn serve(&mut self, entropy: &mut impl Entropy) {
        if self.broken {
            return;
        }
        let (memory, counters) = (&*self.memory, &*self.counters);
        let mut buffer = [0; MAX];
        let fill = |chain: &Chain| {
            let bytes = &mut buffer[..wanted(chain)];
            let written = match entropy.fill(bytes) {
                Ok(()) => chain.write(memory, 0, bytes),
                Err(_) => {
                    counters.error();
                    0
                }
            };
            counters.read(written as u64);
            written as u32
        };
        if drain(&mut self.queue, memory, &*self.interrupt, fill).is_err() {
            self.broken = true;
            self.interrupt.needs_reset();
        }
    }
}
