//! The guest's way to say that it is ready and that it ends.
//!
//! There is neither ACPI nor a keyboard controller. The agent writes one byte to
//! [`hull_protocol::power::PORT`]; the kernel, when it resets the machine (after a panic, or
//! where the agent's way failed), pulses the reset line at the keyboard controller's old port.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hull_protocol::power;
use hull_protocol::vmm::ExitReason;
use vmm_sys_util::eventfd::EventFd;

use crate::bus::BusDevice;
use crate::exit::Ending;

/// The keyboard controller's command port.
pub const RESET_PORT: u64 = 0x64;
/// "Pulse the reset line."
const RESET: u8 = 0xfe;

/// Whether the agent listens.
#[derive(Debug)]
pub struct Ready {
    flag: AtomicBool,
    event: EventFd,
}

impl Ready {
    /// Not yet.
    ///
    /// # Errors
    /// No eventfd can be had.
    pub fn new() -> io::Result<Self> {
        let event = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        Ok(Self {
            flag: AtomicBool::new(false),
            event,
        })
    }

    /// Readable once it does.
    pub fn event(&self) -> &EventFd {
        &self.event
    }

    /// Whether it does.
    pub fn get(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// It does. Saying so again changes nothing.
    pub fn set(&self) {
        if !self.flag.swap(true, Ordering::AcqRel) {
            // Cannot overflow: written once.
            let _ = self.event.write(1);
        }
    }
}

/// [`power::PORT`].
#[derive(Debug)]
pub struct PowerPort {
    /// Told of [`power::READY`].
    pub ready: Arc<Ready>,
    /// Told of [`power::OFF`].
    pub ending: Arc<Ending>,
}

impl BusDevice for PowerPort {
    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, _: u64, data: &[u8]) {
        match data {
            [power::READY] => self.ready.set(),
            [power::OFF] => self
                .ending
                .end(ExitReason::PowerOff, "the guest powered off"),
            _ => {}
        }
    }
}

/// [`RESET_PORT`].
#[derive(Debug)]
pub struct ResetPort {
    /// Told of a reset.
    pub ending: Arc<Ending>,
}

impl BusDevice for ResetPort {
    fn read(&mut self, _: u64, data: &mut [u8]) {
        // Status 0: the input buffer is empty, so the kernel does not wait before it writes.
        data.fill(0);
    }

    fn write(&mut self, _: u64, data: &[u8]) {
        if data == [RESET] {
            self.ending.end(
                ExitReason::GuestReset,
                "the guest kernel reset the machine, which it does after a panic",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agreed_bytes_mean_something() {
        let ready = Arc::new(Ready::new().unwrap());
        let ending = Arc::new(Ending::new().unwrap());
        let mut port = PowerPort {
            ready: Arc::clone(&ready),
            ending: Arc::clone(&ending),
        };
        port.write(0, &[0]);
        port.write(0, &[power::OFF, 0]);
        assert!(!ready.get());
        assert_eq!(ending.reason(), None);
        port.write(0, &[power::READY]);
        port.write(0, &[power::READY]);
        assert!(ready.get());
        assert_eq!(ready.event().read().unwrap(), 1);
        port.write(0, &[power::OFF]);
        assert_eq!(ending.reason().unwrap().reason, ExitReason::PowerOff);
    }

    #[test]
    fn a_reset_is_not_a_power_off() {
        let ending = Arc::new(Ending::new().unwrap());
        let mut port = ResetPort {
            ending: Arc::clone(&ending),
        };
        let mut status = [0xff];
        port.read(0, &mut status);
        assert_eq!(status, [0]);
        port.write(0, &[0xd1]);
        assert_eq!(ending.reason(), None);
        port.write(0, &[RESET]);
        assert_eq!(ending.reason().unwrap().reason, ExitReason::GuestReset);
    }
}
