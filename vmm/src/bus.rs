//! Which device answers which address.
//!
//! The map is made before the first vCPU runs and never changes, so looking up takes no lock; each
//! device has its own.

use std::sync::{Arc, Mutex, PoisonError};

/// Something with registers. Offsets are within its range; `data` is what the guest accesses.
pub trait BusDevice: Send {
    /// The guest reads.
    fn read(&mut self, offset: u64, data: &mut [u8]);
    /// The guest writes.
    fn write(&mut self, offset: u64, data: &[u8]);
}

struct Entry {
    start: u64,
    length: u64,
    device: Arc<Mutex<dyn BusDevice>>,
}

/// An address space of devices.
#[derive(Default)]
pub struct Bus {
    entries: Vec<Entry>,
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|e| (e.start, e.length)))
            .finish()
    }
}

impl Bus {
    /// Puts a device at `length` addresses from `start` on. Ranges must not overlap: the first
    /// one that was put answers.
    pub fn attach(&mut self, start: u64, length: u64, device: Arc<Mutex<dyn BusDevice>>) {
        self.entries.push(Entry {
            start,
            length,
            device,
        });
    }

    /// The guest reads. Where nothing answers, the bus floats: all ones.
    pub fn read(&self, address: u64, data: &mut [u8]) {
        match self.find(address) {
            Some((entry, offset)) => lock(&entry.device).read(offset, data),
            None => data.fill(0xff),
        }
    }

    /// The guest writes. Where nothing answers, nothing happens.
    pub fn write(&self, address: u64, data: &[u8]) {
        if let Some((entry, offset)) = self.find(address) {
            lock(&entry.device).write(offset, data);
        }
    }

    fn find(&self, address: u64) -> Option<(&Entry, u64)> {
        self.entries.iter().find_map(|entry| {
            let offset = address.checked_sub(entry.start)?;
            (offset < entry.length).then_some((entry, offset))
        })
    }
}

/// A device whose thread panicked is still a device: the VM ends by the panic's own report.
fn lock<T: ?Sized>(device: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo(u8);

    impl BusDevice for Echo {
        fn read(&mut self, offset: u64, data: &mut [u8]) {
            data.fill(self.0 + offset as u8);
        }
        fn write(&mut self, _: u64, data: &[u8]) {
            self.0 = data[0];
        }
    }

    #[test]
    fn an_access_reaches_the_device_of_its_range_and_no_other() {
        let mut bus = Bus::default();
        bus.attach(0x10, 4, Arc::new(Mutex::new(Echo(1))));
        bus.attach(0x20, 4, Arc::new(Mutex::new(Echo(100))));
        let read = |bus: &Bus, address| {
            let mut data = [0];
            bus.read(address, &mut data);
            data[0]
        };
        assert_eq!(read(&bus, 0x12), 3);
        assert_eq!(read(&bus, 0x23), 103);
        assert_eq!(read(&bus, 0x14), 0xff);
        assert_eq!(read(&bus, 0), 0xff);
        bus.write(0x10, &[50]);
        assert_eq!(read(&bus, 0x10), 50);
        assert_eq!(read(&bus, 0x20), 100);
    }
}
