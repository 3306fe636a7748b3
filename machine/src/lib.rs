//! Where Hull runs: what this host can do, and the emulated host that stands in for it.
//!
//! [`doctor`] looks at the host and never changes it. [`doctor::probe`] is the part that
//! decides: it runs a small guest, because a `/dev/kvm` that exists is not one that works.
//!
//! This crate knows nothing of containers, images or Docker's API: to it `hulld` is a
//! program that listens on a unix socket.

pub mod doctor;
pub mod parts;
