//! Counters of one device, shared between its worker and the control socket.

use std::sync::atomic::{AtomicU64, Ordering};

use hull_protocol::vmm::DeviceMetrics;

/// What a device has done.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    read: AtomicU64,
    written: AtomicU64,
    errors: AtomicU64,
    reclaimed: AtomicU64,
}

impl Counters {
    /// A request that gave the guest so many bytes.
    pub fn read(&self, bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A request that took so many bytes from the guest.
    pub fn written(&self, bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A request that gave so many bytes of the guest's memory back to the host.
    pub fn reclaimed(&self, bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.reclaimed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A request that failed.
    pub fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it.
    pub fn report(&self, name: &str) -> DeviceMetrics {
        DeviceMetrics {
            name: name.to_owned(),
            requests: self.requests.load(Ordering::Relaxed),
            read_bytes: self.read.load(Ordering::Relaxed),
            write_bytes: self.written.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            reclaimed_bytes: self.reclaimed.load(Ordering::Relaxed),
        }
    }
}
