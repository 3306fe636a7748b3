//! Features, configuration, and the worker while a driver is there.

use std::sync::Arc;

use hull_protocol::vmm::DeviceMetrics;

use super::super::metrics::Counters;
use super::super::persist::{DeviceState, QueueStates};
use super::super::queue::DeviceQueue;
use super::super::{Activation, DeviceType, Kicks, VirtioDevice};
use super::backend::Reclaim;
use super::persist::State;
use super::worker::Worker;

/// Inflate, deflate, reporting. Linux wants room for 32 ranges in the last, or does not report.
const QUEUES: &[u16] = &[64, 64, 64];
/// Queues without reporting.
const WITHOUT_REPORTING: usize = 2;
/// `VIRTIO_BALLOON_F_REPORTING` (virtio 1.2, 5.5.3).
const F_REPORTING: u64 = 1 << 5;
/// `num_pages` and `actual` (virtio 1.2, 5.5.4), both 0: what is wanted of the balloon is nothing.
/// The driver may tell in `actual` how large it is; nobody asks.
const CONFIG: &[u8] = &[0; 8];

/// The memory balloon.
#[derive(Debug)]
pub struct Balloon<R: Reclaim> {
    host: R,
    worker: Option<Worker>,
    counters: Arc<Counters>,
}

impl<R: Reclaim> Balloon<R> {
    /// A device that gives memory back to `host`.
    pub fn new(host: R) -> Self {
        Self {
            host,
            worker: None,
            counters: Arc::default(),
        }
    }
}

impl<R: Reclaim> VirtioDevice for Balloon<R> {
    fn device_type(&self) -> DeviceType {
        DeviceType::Balloon
    }

    fn name(&self) -> &'static str {
        "balloon"
    }

    fn queue_sizes(&self) -> &[u16] {
        QUEUES
    }

    fn queue_count(&self, features: u64) -> usize {
        if features & F_REPORTING == 0 {
            WITHOUT_REPORTING
        } else {
            QUEUES.len()
        }
    }

    fn features(&self) -> u64 {
        F_REPORTING
    }

    fn config(&self) -> &[u8] {
        CONFIG
    }

    fn kicks(&self) -> Kicks {
        Kicks::OnVcpu
    }

    fn serve(&mut self, queue: usize) {
        if let Some(worker) = &mut self.worker {
            worker.serve(queue, &mut self.host);
        }
    }

    fn activate(&mut self, activation: Activation) {
        let Activation {
            memory,
            queues,
            interrupt,
            ..
        } = activation;
        let counters = Arc::clone(&self.counters);
        self.worker = Some(Worker::new(memory, queues, interrupt, counters));
    }

    fn reset(&mut self) {
        self.worker = None;
    }

    fn save(&mut self) -> DeviceState {
        let queues = self.worker.iter().flat_map(|worker| &worker.queues);
        DeviceState::Balloon(State {
            queues: QueueStates {
                queues: queues.map(DeviceQueue::state).collect(),
            },
        })
    }

    fn metrics(&self) -> DeviceMetrics {
        self.counters.report("balloon")
    }
}

#[cfg(test)]
mod tests;
