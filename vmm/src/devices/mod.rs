//! What the guest sees besides memory and CPUs.

pub mod power;
pub mod serial;
pub mod virtio;
