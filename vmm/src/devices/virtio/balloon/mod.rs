//! Memory balloon (virtio 1.2, 5.5): the way by which memory goes back to the host.
//!
//! | queue | what the driver says |
//! |---|---|
//! | inflate | these pages are no longer mine |
//! | deflate | I use these pages again |
//! | reporting, if negotiated | nothing is in these pages now; I may use them at any time |
//!
//! Nobody asks the guest to inflate: the size wanted of the balloon is always 0, so a driver keeps
//! all of its memory. What gives memory back is reporting, by the driver's own free pages.
//!
//! It has no thread. The driver kicks it a few times in seconds at most, the work is short, and the
//! vCPU that kicks does it, in the guest's own time; a thread would cost every VM's start.
//!
//! Trusted: nothing. A range is given back only if it is whole pages inside the guest's RAM, so a
//! driver can hurt its own memory and no other.

mod backend;
mod device;
pub mod persist;
pub mod request;
mod worker;

pub use backend::{HostMemory, Reclaim};
pub use device::Balloon;
