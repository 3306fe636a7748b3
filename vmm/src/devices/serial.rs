//! The serial console (16550A at COM1), there only when the engine asked for one.
//!
//! What the guest prints goes to a descriptor of the engine's, up to a limit, and the last of it is
//! kept for the exit report. There is no input.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};
use vmm_sys_util::eventfd::EventFd;

use crate::bus::BusDevice;

/// COM1.
pub const PORT: u64 = 0x3f8;
/// How many ports it has.
pub const PORTS: u64 = 8;
/// COM1's interrupt.
pub const IRQ: u32 = 4;

/// The most that a guest may write to the host through its console.
const LIMIT: u64 = 1 << 20;
/// How much of the end is kept.
const TAIL: usize = 4 << 10;

/// The last lines that the guest printed.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    /// The text so far.
    pub fn text(&self) -> String {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(tail.make_contiguous()).into_owned()
    }

    fn push(&self, bytes: &[u8]) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(bytes);
        let over = tail.len().saturating_sub(TAIL);
        tail.drain(..over);
    }
}

/// Where console bytes go.
#[derive(Debug)]
struct Sink {
    file: File,
    left: u64,
    tail: Tail,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tail.push(bytes);
        let take = bytes
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= take as u64;
        // A console that nobody can store is no reason to stop the guest.
        let _ = self.file.write_all(&bytes[..take]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Irq(EventFd);

impl Trigger for Irq {
    type E = io::Error;
    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// The device.
pub struct Console {
    uart: Serial<Irq, NoEvents, Sink>,
}

impl Console {
    /// A console that writes to `file` and raises `irqfd`.
    pub fn new(file: File, irqfd: EventFd, tail: Tail) -> Self {
        Self {
            uart: Serial::new(
                Irq(irqfd),
                Sink {
                    file,
                    left: LIMIT,
                    tail,
                },
            ),
        }
    }
}

impl BusDevice for Console {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let ([byte], Ok(register)) = (data, u8::try_from(offset)) {
            *byte = self.uart.read(register);
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if let Ok(register) = u8::try_from(offset) {
            for &byte in data {
                // Fails only where the interrupt cannot be raised: the VM is being torn down.
                let _ = self.uart.write(register, byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn output_is_written_up_to_the_limit_and_its_end_is_kept() {
        let mut file = tempfile::tempfile().unwrap();
        let tail = Tail::default();
        let mut sink = Sink {
            file: file.try_clone().unwrap(),
            left: 6,
            tail: tail.clone(),
        };
        sink.write_all(b"hello world").unwrap();
        file.rewind().unwrap();
        let mut written = String::new();
        file.read_to_string(&mut written).unwrap();
        assert_eq!(written, "hello ");
        assert_eq!(tail.text(), "hello world");
        tail.push(&[b'x'; TAIL]);
        assert_eq!(tail.text(), "x".repeat(TAIL));
    }
}
