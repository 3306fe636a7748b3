//! File system device (virtio 1.2, 5.11): a container's image layers, read-only, over FUSE.
//!
//! ```text
//!  node 1 ─┬─ "0"   root of the lowest layer     node = (layer + 1) << 40 | inode
//!          ├─ "1"   root of the layer above it
//!          └─ …     the guest mounts an overlay of these folders
//! ```
//!
//! Queues: `hiprio` (FORGET, which there is nothing to do for) and one of requests. One thread
//! serves both.
//!
//! Layers never change and node ids are computed, so the device keeps **nothing** between requests:
//! no open files, no lookup counts, not even the outcome of INIT. A restored VM goes on with any
//! device that has the same layers. What never changes is told once: entries, missing ones too, and
//! attributes hold for ever, files and directories are never opened, and operations that have
//! nothing to do here (FLUSH, FSYNC, ACCESS …) are answered "not implemented", upon which Linux
//! stops to ask. Writing is refused.
//!
//! Trusted: the layers' files, to the extent that nobody changes them; their index is checked
//! wherever it is used. Not trusted: every byte of a request. A request is copied once, its head
//! only, into a buffer of fixed size; contents go from the layer's file into guest memory without a
//! copy here; a reply is never longer than the driver's room. What is no FUSE request gets an error
//! or, where there is no header to answer, an empty buffer back; broken rings stop the device.
//!
//! DAX (a shared memory region, SETUPMAPPING) has its place in `device` and `backend` and is not
//! offered: SETUPMAPPING is not implemented, and no map alignment is negotiated.

pub mod abi;
pub mod backend;
mod device;
mod listing;
mod node;
pub mod persist;
pub mod request;
#[cfg(test)]
mod sample;
mod worker;

pub use device::{Fs, LayerError};
