//! Features, configuration, life of the worker.

use std::sync::Arc;

use hull_protocol::vmm::DeviceMetrics;

use super::super::metrics::Counters;
use super::super::persist::{DeviceState, QueueStates};
use super::super::{Activation, DeviceType, Kicks, VirtioDevice};
use super::backend::Entropy;
use super::persist::State;
use super::worker::Worker;

const QUEUES: &[u16] = &[64];

/// The entropy device.
#[derive(Debug)]
pub struct Rng<E: Entropy> {
    entropy: E,
    worker: Option<Worker>,
    counters: Arc<Counters>,
}

impl<E: Entropy> Rng<E> {
    /// A device that gives what `entropy` gives.
    pub fn new(entropy: E) -> Self {
        Self {
            entropy,
            worker: None,
            counters: Arc::default(),
        }
    }
}

impl<E: Entropy> VirtioDevice for Rng<E> {
    fn device_type(&self) -> DeviceType {
        DeviceType::Entropy
    }

    fn name(&self) -> &'static str {
        "rng"
    }

    fn queue_sizes(&self) -> &[u16] {
        QUEUES
    }

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> &[u8] {
        &[]
    }

    fn kicks(&self) -> Kicks {
        Kicks::OnVcpu
    }

    fn serve(&mut self, _: usize) {
        if let Some(worker) = &mut self.worker {
            worker.serve(&mut self.entropy);
        }
    }

    fn activate(&mut self, activation: Activation) {
        let Activation {
            memory,
            mut queues,
            interrupt,
            ..
        } = activation;
        let counters = Arc::clone(&self.counters);
        self.worker = queues
            .pop()
            .map(|queue| Worker::new(memory, queue, interrupt, counters));
    }

    fn reset(&mut self) {
        self.worker = None;
    }

    fn save(&mut self) -> DeviceState {
        let queue = self.worker.iter().map(|worker| worker.queue.state());
        DeviceState::Rng(State {
            queues: QueueStates {
                queues: queue.collect(),
            },
        })
    }

    fn metrics(&self) -> DeviceMetrics {
        self.counters.report("rng")
    }
}

#[cfg(test)]
mod tests;
