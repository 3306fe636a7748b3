//! Pops requests, has them answered, gives them back.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use vmm_sys_util::epoll::EventSet;

use super::super::chain::Chain;
use super::super::interrupt::Interrupt;
use super::super::metrics::Counters;
use super::super::queue::{DeviceQueue, QueueError};
use super::super::worker::{Handler, Poller};
use super::abi::{Body, Errno, OUT_HEADER, out_header};
use super::backend::{Layers, Reply};
use super::request::{MAX_INPUT, Request, RequestError};
use crate::jail::seccomp;
use crate::memory::GuestRam;

/// Requests served in one go. A driver that keeps adding more must not keep the worker from being
/// stopped.
const BATCH: usize = 1024;

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) memory: Arc<GuestRam>,
    pub(super) queues: Vec<DeviceQueue>,
    pub(super) interrupt: Arc<dyn Interrupt>,
    pub(super) layers: Layers,
    pub(super) counters: Arc<Counters>,
    /// The reply at hand; here so that its memory is used again.
    pub(super) body: Body,
}

impl Handler for Worker {
    const NAME: &'static str = "fs";
    const FILTER: seccomp::Role = seccomp::Role::Fs;

    fn register(&mut self, poller: &Poller) -> io::Result<()> {
        for (queue, token) in self.queues.iter().zip(0..) {
            poller.add(queue.kick().as_raw_fd(), token, EventSet::IN)?;
        }
        Ok(())
    }

    fn handle(&mut self, token: u64, _: EventSet, _: &Poller) -> Result<(), QueueError> {
        let Self {
            memory,
            queues,
            interrupt,
            layers,
            counters,
            body,
        } = self;
        let queue = usize::try_from(token)
            .ok()
            .and_then(|index| queues.get_mut(index));
        let Some(queue) = queue else { return Ok(()) };
        queue.clear_kick();
        let mut left = BATCH;
        loop {
            while left > 0
                && let Some(chain) = queue.pop(memory)?
            {
                left -= 1;
                let written = serve(memory, layers, counters, body, &chain);
                queue.push(memory, chain.head, written)?;
            }
            if queue.wants_interrupt(memory)? {
                interrupt.queue();
            }
            if left == 0 {
                // The rest after a look at whether to stop.
                let _ = queue.kick().write(1);
                return Ok(());
            }
            if !queue.rearm(memory)? {
                return Ok(());
            }
        }
    }
}

/// Answers one request; gives how many bytes of its buffers were written.
fn serve(
    memory: &GuestRam,
    layers: &Layers,
    counters: &Counters,
    body: &mut Body,
    chain: &Chain,
) -> u32 {
    let mut input = [0; MAX_INPUT];
    let length = chain.read(memory, 0, &mut input);
    let input = input.get(..length).unwrap_or_default();
    // Nothing after the first four GiB of a chain's room, which is all that a chain can have.
    let room = (chain.writable_length() as usize).checked_sub(OUT_HEADER);
    let (unique, reply) = match Request::parse(input, chain.readable_length()) {
        Ok(request) => (
            request.unique,
            layers.answer(&request, room.unwrap_or(0), body),
        ),
        Err(RequestError::Arguments { unique }) => (unique, Reply::Error(Errno::INVAL)),
        Err(RequestError::Header) => {
            counters.error();
            return 0;
        }
    };
    if matches!(reply, Reply::Silent) {
        counters.read(0);
        return 0;
    }
    if room.is_none() {
        counters.error();
        return 0;
    }
    let result = match reply {
        Reply::Silent => Ok(0),
        Reply::Error(errno) => Err(errno),
        Reply::Body => Ok(chain.write(memory, OUT_HEADER, body.bytes())),
        Reply::Contents {
            file,
            offset,
            length,
        } => chain
            .writable(memory, OUT_HEADER, length)
            .map_err(|_| Errno::IO)
            .and_then(|room| {
                room.read_from_at(file.as_fd(), offset)
                    .map_err(|_| Errno::IO)
            })
            // The extent is in the file: less than it says is a damaged layer, not its end.
            .and_then(|read| {
                if read == length {
                    Ok(read)
                } else {
                    Err(Errno::IO)
                }
            }),
    };
    let (length, error) = match result {
        Ok(length) => (length, None),
        Err(errno) => (0, Some(errno)),
    };
    // ENOSYS and missing attributes are ordinary answers; only what went wrong here counts.
    match error {
        Some(Errno::IO | Errno::STALE | Errno::PROTO) => counters.error(),
        _ => counters.read(length as u64),
    }
    let total = (OUT_HEADER + length) as u32;
    chain.write(memory, 0, &out_header(unique, total, error));
    total
}
