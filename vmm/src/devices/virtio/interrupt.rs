//! How a device tells its driver that something happened.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use virtio_bindings::virtio_mmio::{VIRTIO_MMIO_INT_CONFIG, VIRTIO_MMIO_INT_VRING};
use vmm_sys_util::eventfd::EventFd;

/// What a device sees of its interrupt.
pub trait Interrupt: Send + Sync + std::fmt::Debug {
    /// A queue has used buffers.
    fn queue(&self);

    /// The configuration changed.
    fn config(&self);

    /// The driver did what no driver does: the device stands still until it is reset.
    fn needs_reset(&self);
}

/// One virtio-mmio interrupt: its status register, and the irqfd that raises it.
#[derive(Debug)]
pub struct IrqLine {
    status: AtomicU32,
    broken: AtomicBool,
    irqfd: EventFd,
}

impl IrqLine {
    /// A quiet line.
    ///
    /// # Errors
    /// No eventfd can be had.
    pub fn new() -> io::Result<Self> {
        let irqfd = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        Ok(Self {
            status: AtomicU32::new(0),
            broken: AtomicBool::new(false),
            irqfd,
        })
    }

    /// To be connected to the guest's interrupt controller.
    pub fn irqfd(&self) -> &EventFd {
        &self.irqfd
    }

    /// The InterruptStatus register.
    pub fn status(&self) -> u32 {
        self.status.load(Ordering::SeqCst)
    }

    /// A write to the InterruptACK register.
    pub fn acknowledge(&self, bits: u32) {
        self.status.fetch_and(!bits, Ordering::SeqCst);
    }

    /// Whether the device asked for a reset.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Back to how it was made.
    pub fn reset(&self) {
        self.status.store(0, Ordering::SeqCst);
        self.broken.store(false, Ordering::SeqCst);
    }

    /// Sets the status register, as a restored VM needs it, and raises the line if it is not 0.
    pub fn restore(&self, status: u32, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
        if status != 0 {
            self.raise(status);
        }
    }

    fn raise(&self, bits: u32) {
        self.status.fetch_or(bits, Ordering::SeqCst);
        // The counter of an eventfd that KVM drains cannot overflow; a failed write would mean
        // that the VM is being torn down.
        let _ = self.irqfd.write(1);
    }
}

impl Interrupt for IrqLine {
    fn queue(&self) {
        self.raise(VIRTIO_MMIO_INT_VRING);
    }

    fn config(&self) {
        self.raise(VIRTIO_MMIO_INT_CONFIG);
    }

    fn needs_reset(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.raise(VIRTIO_MMIO_INT_CONFIG);
    }
}
