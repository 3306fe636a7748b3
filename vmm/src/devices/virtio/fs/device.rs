//! Features, configuration, life of the worker.

use std::fs::File;
use std::io;
use std::sync::Arc;

use hull_layer::{Layer, OpenError};
use hull_protocol::vmm::DeviceMetrics;

use super::super::metrics::Counters;
use super::super::persist::{DeviceState, QueueStates};
use super::super::queue::DeviceQueue;
use super::super::worker::Runner;
use super::super::{Activation, DeviceType, VirtioDevice};
use super::abi::Body;
use super::backend::Layers;
use super::persist::State;
use super::worker::Worker;

/// `hiprio`, and requests. Linux puts no more pages into a request than the queue is long.
const QUEUES: &[u16] = &[64, 512];
/// What the guest mounts.
const TAG: &[u8] = b"hull";
/// Bytes of the tag's field.
const TAG_FIELD: usize = 36;
/// `struct virtio_fs_config` (virtio 1.2, 5.11.4) without the notification queue's part.
const CONFIG: usize = TAG_FIELD + 4;

/// A layer cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot open layer {number}")]
pub struct LayerError {
    /// Its place, counted from the lowest, which is 0.
    pub number: usize,
    source: OpenError,
}

/// An image's layers.
#[derive(Debug)]
pub struct Fs {
    /// `None` while the worker has them.
    layers: Option<Layers>,
    config: [u8; CONFIG],
    runner: Runner<Worker>,
    counters: Arc<Counters>,
}

impl Fs {
    /// Serves the packed layers in these files, lowest first.
    ///
    /// # Errors
    /// A file is no finished layer (a [`LayerError`] inside), or no thread can be had.
    pub fn new(files: Vec<File>) -> io::Result<Self> {
        let open = |(number, file)| {
            Layer::open(file).map_err(|source| io::Error::other(LayerError { number, source }))
        };
        let layers = files
            .into_iter()
            .enumerate()
            .map(open)
            .collect::<io::Result<Vec<_>>>()?;
        Self::with_layers(Layers::new(layers))
    }

    /// Serves open layers.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn with_layers(layers: Layers) -> io::Result<Self> {
        let mut config = [0; CONFIG];
        config[..TAG.len()].copy_from_slice(TAG);
        let requests = QUEUES.len() as u32 - 1;
        config[TAG_FIELD..].copy_from_slice(&requests.to_le_bytes());
        let runner = Runner::new()?;
        Ok(Self {
            layers: Some(layers),
            config,
            runner,
            counters: Arc::default(),
        })
    }
}

impl VirtioDevice for Fs {
    fn device_type(&self) -> DeviceType {
        DeviceType::FileSystem
    }

    fn name(&self) -> &'static str {
        "fs"
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
        let Some(layers) = self.layers.take() else {
            return;
        };
        let counters = Arc::clone(&self.counters);
        let line = Arc::clone(&interrupt);
        let body = Body::default();
        self.runner.start(
            Worker {
                memory,
                queues,
                interrupt,
                layers,
                counters,
                body,
            },
            line,
        );
    }

    fn reset(&mut self) {
        if let Some(worker) = self.runner.stop() {
            self.layers = Some(worker.layers);
        }
    }

    fn save(&mut self) -> DeviceState {
        let mut state = State::default();
        if let Some(worker) = self.runner.stop() {
            let queues = worker.queues.iter().map(DeviceQueue::state).collect();
            state.queues = QueueStates { queues };
            let line = Arc::clone(&worker.interrupt);
            self.runner.start(worker, line);
        }
        DeviceState::Fs(state)
    }

    fn metrics(&self) -> DeviceMetrics {
        self.counters.report("fs")
    }
}

#[cfg(test)]
mod tests;
