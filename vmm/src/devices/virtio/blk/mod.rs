//! Block device (virtio 1.2, 5.2): one queue, flush, discard, write zeroes.
//!
//! The backend is a descriptor the engine opened; its size is the disk's. Trusted: nothing of the
//! driver. A request outside the disk, or of a wrong shape, ends in an error status or stops the
//! device; the guest never sees host memory and never writes outside the file.

mod backend;
mod device;
pub mod persist;
pub mod request;
mod worker;

pub use backend::{Backend, DiskFile};
pub use device::Blk;
