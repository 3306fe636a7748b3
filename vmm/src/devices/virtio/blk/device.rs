//! Features, configuration, life of the worker.

use std::fs::File;
use std::io;
use std::sync::Arc;

use hull_protocol::vmm::DeviceMetrics;
use virtio_bindings::virtio_blk as abi;

use super::super::metrics::Counters;
use super::super::persist::{DeviceState, QueueStates};
use super::super::worker::Runner;
use super::super::{Activation, DeviceType, VirtioDevice};
use super::backend::{Backend, DiskFile};
use super::persist::State;
use super::request::{Geometry, MAX_SEGMENT_SECTORS, MAX_SEGMENTS, SECTOR};
use super::worker::Worker;

const QUEUES: &[u16] = &[128];
/// Bytes of `struct virtio_blk_config` up to the end of the write-zeroes part.
const CONFIG: usize = 60;

/// A disk.
#[derive(Debug)]
pub struct Blk<B: Backend = DiskFile> {
    backend: Option<B>,
    disk: Geometry,
    config: [u8; CONFIG],
    runner: Runner<Worker<B>>,
    counters: Arc<Counters>,
}

impl Blk<DiskFile> {
    /// A disk stored in a file.
    ///
    /// # Errors
    /// The file's size or a thread cannot be had.
    pub fn new(file: File, read_only: bool) -> io::Result<Self> {
        let backend = DiskFile::new(file)?;
        Self::with_backend(backend, read_only)
    }
}

impl<B: Backend> Blk<B> {
    /// A disk stored in anything.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn with_backend(backend: B, read_only: bool) -> io::Result<Self> {
        let disk = Geometry {
            size: backend.size(),
            read_only,
        };
        Ok(Self {
            backend: Some(backend),
            disk,
            config: config(disk),
            runner: Runner::new()?,
            counters: Arc::default(),
        })
    }
}

/// `struct virtio_blk_config` (virtio 1.2, 5.2.4).
fn config(disk: Geometry) -> [u8; CONFIG] {
    let mut config = [0; CONFIG];
    let mut put = |at: usize, bytes: &[u8]| config[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(disk.size / SECTOR).to_le_bytes());
    put(12, &126u32.to_le_bytes()); // seg_max: the queue less header and status
    put(20, &512u32.to_le_bytes()); // blk_size
    put(36, &MAX_SEGMENT_SECTORS.to_le_bytes()); // max_discard_sectors
    put(40, &(MAX_SEGMENTS as u32).to_le_bytes()); // max_discard_seg
    put(44, &8u32.to_le_bytes()); // discard_sector_alignment: a page
    put(48, &MAX_SEGMENT_SECTORS.to_le_bytes()); // max_write_zeroes_sectors
    put(52, &(MAX_SEGMENTS as u32).to_le_bytes()); // max_write_zeroes_seg
    put(56, &[1]); // write_zeroes_may_unmap
    config
}

impl<B: Backend> VirtioDevice for Blk<B> {
    fn device_type(&self) -> DeviceType {
        DeviceType::Block
    }

    fn name(&self) -> &'static str {
        "blk"
    }

    fn queue_sizes(&self) -> &[u16] {
        QUEUES
    }

    fn features(&self) -> u64 {
        let base = 1 << abi::VIRTIO_BLK_F_SEG_MAX
            | 1 << abi::VIRTIO_BLK_F_BLK_SIZE
            | 1 << abi::VIRTIO_BLK_F_FLUSH;
        let write = if self.disk.read_only {
            1 << abi::VIRTIO_BLK_F_RO
        } else {
            1 << abi::VIRTIO_BLK_F_DISCARD | 1 << abi::VIRTIO_BLK_F_WRITE_ZEROES
        };
        base | write
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn activate(&mut self, activation: Activation) {
        let Activation {
            memory,
            mut queues,
            interrupt,
            ..
        } = activation;
        let (Some(queue), Some(backend)) = (queues.pop(), self.backend.take()) else {
            return;
        };
        let (disk, counters) = (self.disk, Arc::clone(&self.counters));
        let line = Arc::clone(&interrupt);
        self.runner.start(
            Worker {
                memory,
                queue,
                interrupt,
                backend,
                disk,
                counters,
            },
            line,
        );
    }

    fn reset(&mut self) {
        if let Some(worker) = self.runner.stop() {
            self.backend = Some(worker.backend);
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
        DeviceState::Blk(state)
    }

    fn metrics(&self) -> DeviceMetrics {
        self.counters.report("blk")
    }
}

#[cfg(test)]
mod tests;
