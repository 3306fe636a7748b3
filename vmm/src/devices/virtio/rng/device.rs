//! Features, configuration, life of the worker.

use std::io;
use std::sync::Arc;

use hull_protocol::vmm::DeviceMetrics;

use super::super::metrics::Counters;
use super::super::persist::{DeviceState, QueueStates};
use super::super::worker::Runner;
use super::super::{Activation, DeviceType, VirtioDevice};
use super::backend::Entropy;
use super::persist::State;
use super::worker::Worker;

const QUEUES: &[u16] = &[64];

/// The entropy device.
#[derive(Debug)]
pub struct Rng<E: Entropy> {
    entropy: Option<E>,
    runner: Runner<Worker<E>>,
    counters: Arc<Counters>,
}

impl<E: Entropy> Rng<E> {
    /// A device that gives what `entropy` gives.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn new(entropy: E) -> io::Result<Self> {
        let runner = Runner::new()?;
        Ok(Self {
            entropy: Some(entropy),
            runner,
            counters: Arc::default(),
        })
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

    fn activate(&mut self, activation: Activation) {
        let Activation {
            memory,
            mut queues,
            interrupt,
            ..
        } = activation;
        let (Some(queue), Some(entropy)) = (queues.pop(), self.entropy.take()) else {
            return;
        };
        let counters = Arc::clone(&self.counters);
        let line = Arc::clone(&interrupt);
        self.runner.start(
            Worker {
                memory,
                queue,
                interrupt,
                entropy,
                counters,
            },
            line,
        );
    }

    fn reset(&mut self) {
        if let Some(worker) = self.runner.stop() {
            self.entropy = Some(worker.entropy);
        }
    }

    fn save(&mut self) -> DeviceState {
        let mut state = State::default();
        if let Some(worker) = self.runner.stop() {
            state.queues = QueueStates {
                queues: vec![worker.queue.state()],
            };
            let line = Arc::clone(&worker.interrupt);
            self.runner.start(worker, line);
        }
        DeviceState::Rng(state)
    }

    fn metrics(&self) -> DeviceMetrics {
        self.counters.report("rng")
    }
}

#[cfg(test)]
mod tests;
