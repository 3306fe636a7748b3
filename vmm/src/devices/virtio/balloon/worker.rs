//! Pops requests, gives pages back, completes. Runs on the vCPU that kicked.

use std::sync::Arc;

use super::super::drain::{DrainError, drain};
use super::super::interrupt::Interrupt;
use super::super::metrics::Counters;
use super::super::queue::DeviceQueue;
use super::backend::Reclaim;
use super::request::{self, PageRange};
use crate::memory::GuestRam;

/// Which queues these are, after the one for inflating. The last is there only if reporting was
/// negotiated.
const DEFLATE: usize = 1;
const REPORTING: usize = 2;

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) memory: Arc<GuestRam>,
    pub(super) queues: Vec<DeviceQueue>,
    pub(super) interrupt: Arc<dyn Interrupt>,
    pub(super) counters: Arc<Counters>,
    broken: bool,
}

impl Worker {
    pub(super) fn new(
        memory: Arc<GuestRam>,
        queues: Vec<DeviceQueue>,
        interrupt: Arc<dyn Interrupt>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            memory,
            queues,
            interrupt,
            counters,
            broken: false,
        }
    }

    /// Serves what is in a queue; nothing in one that is not there.
    pub(super) fn serve(&mut self, queue: usize, host: &mut impl Reclaim) {
        if !self.broken && self.drain(queue, host).is_err() {
            self.broken = true;
            self.interrupt.needs_reset();
        }
    }

    fn drain(&mut self, index: usize, host: &mut impl Reclaim) -> Result<(), DrainError> {
        let Some(queue) = self.queues.get_mut(index) else {
            return Ok(());
        };
        let (memory, counters) = (&*self.memory, &*self.counters);
        drain(queue, memory, &*self.interrupt, |chain| {
            let ranges = match index {
                REPORTING => request::report(chain, memory),
                _ => request::pages(chain, memory),
            };
            match ranges {
                // A page that is taken back needs nothing: it is there once it is touched.
                Ok(_) if index == DEFLATE => counters.reclaimed(0),
                Ok(ranges) => give_back(&ranges, memory, host, counters),
                Err(_) => counters.error(),
            }
            0
        })
    }
}

fn give_back(
    ranges: &[PageRange],
    memory: &GuestRam,
    host: &mut impl Reclaim,
    counters: &Counters,
) {
    let mut bytes = 0;
    for &range in ranges {
        match host.take(memory, range) {
            Ok(()) => bytes += range.length(),
            Err(_) => counters.error(),
        }
    }
    counters.reclaimed(bytes);
}
