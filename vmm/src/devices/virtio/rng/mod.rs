//! Entropy device (virtio 1.2, 5.4): one queue of buffers that the host fills.
//!
//! Trusted: nothing. A request is any chain; its writable part is filled, up to a limit for each
//! request so that a guest cannot keep the worker in one call.
//!
//! It has no thread: a guest's kernel asks for a few bytes now and then.

mod backend;
mod device;
pub mod persist;
pub mod request;
mod worker;

pub use backend::{Entropy, HostEntropy};
pub use device::Rng;
