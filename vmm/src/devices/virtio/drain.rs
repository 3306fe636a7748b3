//! Serves a queue on the vCPU that kicked it, for a device without a thread.

use super::chain::Chain;
use super::interrupt::Interrupt;
use super::queue::{DeviceQueue, QueueError};
use crate::memory::GuestRam;

/// Requests for one kick. A driver has far fewer in flight; one whose other vCPUs go on adding
/// them would keep this one here for ever, where it can neither be paused nor stopped.
const MAX_REQUESTS: usize = 256;

/// Why the device cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DrainError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("requests are added faster than they can be served")]
    Flood,
}

/// Serves all requests that are there. `serve` says how many bytes it wrote for one.
pub(super) fn drain(
    queue: &mut DeviceQueue,
    memory: &GuestRam,
    interrupt: &dyn Interrupt,
    mut serve: impl FnMut(&Chain) -> u32,
) -> Result<(), DrainError> {
    let mut served = 0;
    loop {
        let before = served;
        while let Some(chain) = queue.pop(memory)? {
            served += 1;
            if served > MAX_REQUESTS {
                return Err(DrainError::Flood);
            }
            let written = serve(&chain);
            queue.push(memory, chain.head, written)?;
        }
        if served > before && queue.wants_interrupt(memory)? {
            interrupt.queue();
        }
        if !queue.rearm(memory)? {
            return Ok(());
        }
    }
}
