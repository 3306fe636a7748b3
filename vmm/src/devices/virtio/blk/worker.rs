//! Pops requests, does them one after the other, gives them back with a status.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use virtio_bindings::virtio_blk::{VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP};
use vmm_sys_util::epoll::EventSet;

use super::super::chain::{Chain, ChainError};
use super::super::interrupt::Interrupt;
use super::super::metrics::Counters;
use super::super::queue::{DeviceQueue, QueueError};
use super::super::worker::{Handler, Poller};
use super::backend::Backend;
use super::request::{self, Geometry, ID_LENGTH, Request, RequestError};
use crate::jail::seccomp;
use crate::memory::GuestRam;

/// What the guest sees as the disk's serial number.
const NAME: &[u8] = b"hull";
const HEADER: usize = 16;

#[derive(Debug)]
pub(super) struct Worker<B> {
    pub(super) memory: Arc<GuestRam>,
    pub(super) queue: DeviceQueue,
    pub(super) interrupt: Arc<dyn Interrupt>,
    pub(super) backend: B,
    pub(super) disk: Geometry,
    pub(super) counters: Arc<Counters>,
}

impl<B: Backend> Handler for Worker<B> {
    const NAME: &'static str = "blk";
    const FILTER: seccomp::Role = seccomp::Role::Blk;

    fn register(&mut self, poller: &Poller) -> io::Result<()> {
        poller.add(self.queue.kick().as_raw_fd(), 0, EventSet::IN)
    }

    fn handle(&mut self, _: u64, _: EventSet, _: &Poller) -> Result<(), QueueError> {
        self.queue.clear_kick();
        loop {
            while let Some(chain) = self.queue.pop(&self.memory)? {
                let written = self.serve(&chain)?;
                self.queue.push(&self.memory, chain.head, written)?;
                if self.queue.wants_interrupt(&self.memory)? {
                    self.interrupt.queue();
                }
            }
            if !self.queue.rearm(&self.memory)? {
                return Ok(());
            }
        }
    }
}

impl<B: Backend> Worker<B> {
    /// Does one request; gives how many bytes the driver got, the status byte among them.
    fn serve(&mut self, chain: &Chain) -> Result<u32, QueueError> {
        let done = match request::parse(chain, &self.memory, self.disk) {
            Ok(request) => self.perform(chain, &request),
            Err(RequestError::Short) => return Err(ChainError::Broken.into()),
            Err(RequestError::Invalid) => Err(VIRTIO_BLK_S_IOERR),
            Err(RequestError::Unsupported(_)) => Err(VIRTIO_BLK_S_UNSUPP),
        };
        let (status, filled) = match done {
            Ok(filled) => (VIRTIO_BLK_S_OK, filled),
            Err(status) => {
                self.counters.error();
                (status, 0)
            }
        };
        // The status is the last writable byte, wherever the data ended.
        let at = chain.writable_length() as usize - 1;
        chain.write(&self.memory, at, &[status as u8]);
        Ok(filled + 1)
    }

    fn perform(&mut self, chain: &Chain, request: &Request) -> Result<u32, u32> {
        let failed = |_| VIRTIO_BLK_S_IOERR;
        match request {
            Request::Read { offset, length } => {
                let room = chain
                    .writable(&self.memory, 0, *length as usize)
                    .map_err(|_| VIRTIO_BLK_S_IOERR)?;
                let n = self.backend.read(&room, *offset).map_err(failed)?;
                if n != *length as usize {
                    return Err(VIRTIO_BLK_S_IOERR); // the file shrank below the disk's size
                }
                self.counters.read(n as u64);
                Ok(*length)
            }
            Request::Write { offset, length } => {
                let data = chain
                    .readable(&self.memory, HEADER, *length as usize)
                    .map_err(|_| VIRTIO_BLK_S_IOERR)?;
                let n = self.backend.write(&data, *offset).map_err(failed)?;
                self.counters.written(n as u64);
                if n == *length as usize {
                    Ok(0)
                } else {
                    Err(VIRTIO_BLK_S_IOERR)
                }
            }
            Request::Flush => {
                self.counters.written(0);
                self.backend.flush().map(|()| 0).map_err(failed)
            }
            Request::Id => {
                let mut id = [0; ID_LENGTH];
                id[..NAME.len()].copy_from_slice(NAME);
                self.counters.read(ID_LENGTH as u64);
                Ok(chain.write(&self.memory, 0, &id) as u32)
            }
            Request::Discard(ranges) | Request::WriteZeroes(ranges) => {
                self.counters.written(0);
                for &(offset, length) in ranges {
                    self.backend.punch(offset, length).map_err(failed)?;
                }
                Ok(0)
            }
        }
    }
}
