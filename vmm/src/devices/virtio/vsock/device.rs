//! Features, configuration, life of the worker.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use hull_protocol::vmm::DeviceMetrics;

use super::super::metrics::Counters;
use super::super::persist::{DeviceState, QueueStates};
use super::super::queue::DeviceQueue;
use super::super::worker::Runner;
use super::super::{Activation, DeviceType, VirtioDevice};
use super::muxer::Muxer;
use super::packet::GUEST_CID;
use super::persist::State;
use super::worker::Worker;
use crate::devices::power::Ready;

/// rx, tx, events.
const QUEUES: &[u16] = &[128, 128, 8];

/// The socket device.
#[derive(Debug)]
pub struct Vsock {
    listener: Option<UnixListener>,
    ready: Arc<Ready>,
    next_port: u32,
    tell_reset: bool,
    config: [u8; 8],
    runner: Runner<Worker>,
    counters: Arc<Counters>,
}

impl Vsock {
    /// A device that takes connections from `listener` and passes them on once `ready`.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn new(listener: UnixListener, ready: Arc<Ready>) -> io::Result<Self> {
        Ok(Self {
            listener: Some(listener),
            ready,
            next_port: 0,
            tell_reset: false,
            config: GUEST_CID.to_le_bytes(),
            runner: Runner::new()?,
            counters: Arc::default(),
        })
    }

    /// Takes up a saved state: the guest will be told that its connections are gone.
    pub fn restore(&mut self, state: &State) {
        self.next_port = state.next_port;
        self.tell_reset = true;
        if state.ready {
            self.ready.set();
        }
    }
}

impl VirtioDevice for Vsock {
    fn device_type(&self) -> DeviceType {
        DeviceType::Vsock
    }

    fn name(&self) -> &'static str {
        "vsock"
    }

    fn queue_sizes(&self) -> &[u16] {
        QUEUES
    }

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn activate(&mut self, activation: Activation) {
        let Activation {
            memory,
            queues,
            interrupt,
            ..
        } = activation;
        let (Ok([rx, tx, events]), Some(listener)) =
            (<[_; 3]>::try_from(queues), self.listener.take())
        else {
            return;
        };
        let line = Arc::clone(&interrupt);
        let worker = Worker {
            memory,
            rx,
            tx,
            events,
            interrupt,
            muxer: Muxer::new(listener, self.next_port),
            ready: Arc::clone(&self.ready),
            tell_reset: self.tell_reset,
            counters: Arc::clone(&self.counters),
            buffer: Vec::new(),
        };
        self.runner.start(worker, line);
    }

    fn reset(&mut self) {
        if let Some(worker) = self.runner.stop() {
            self.next_port = worker.muxer.next_port();
            self.tell_reset = worker.tell_reset;
            self.listener = Some(worker.muxer.into_listener());
        }
    }

    fn save(&mut self) -> DeviceState {
        let mut state = State {
            next_port: self.next_port,
            ready: self.ready.get(),
            ..State::default()
        };
        if let Some(worker) = self.runner.stop() {
            let queues = [&worker.rx, &worker.tx, &worker.events];
            state.queues = QueueStates {
                queues: queues.map(DeviceQueue::state).to_vec(),
            };
            state.next_port = worker.muxer.next_port();
            let line = Arc::clone(&worker.interrupt);
            self.runner.start(worker, line);
        }
        DeviceState::Vsock(state)
    }

    fn metrics(&self) -> DeviceMetrics {
        self.counters.report("vsock")
    }
}

#[cfg(test)]
mod tests;
