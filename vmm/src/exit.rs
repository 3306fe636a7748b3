//! The end of a VM: whoever sees it first says why, the main thread does the rest.

use std::io;
use std::sync::{Mutex, PoisonError};

use hull_protocol::vmm::ExitReason;
use vmm_sys_util::eventfd::EventFd;

/// Why the VM ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The kind.
    pub reason: ExitReason,
    /// In words.
    pub message: String,
}

/// Where vCPUs, devices and the control socket say that it is over.
#[derive(Debug)]
pub struct Ending {
    first: Mutex<Option<End>>,
    event: EventFd,
}

impl Ending {
    /// A VM that goes on.
    ///
    /// # Errors
    /// No eventfd can be had.
    pub fn new() -> io::Result<Self> {
        let event = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        Ok(Self {
            first: Mutex::new(None),
            event,
        })
    }

    /// Ends the VM. Only the first reason counts: what follows is often its consequence.
    pub fn end(&self, reason: ExitReason, message: impl Into<String>) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(End {
                reason,
                message: message.into(),
            });
            // Cannot overflow: written once.
            let _ = self.event.write(1);
        }
    }

    /// Readable when it is over.
    pub fn event(&self) -> &EventFd {
        &self.event
    }

    /// Why, if it is over.
    pub fn reason(&self) -> Option<End> {
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_wins() {
        let ending = Ending::new().unwrap();
        assert_eq!(ending.reason(), None);
        ending.end(ExitReason::TripleFault, "first");
        ending.end(ExitReason::PowerOff, "second");
        assert_eq!(ending.reason().unwrap().message, "first");
        assert_eq!(ending.event().read().unwrap(), 1);
    }
}
