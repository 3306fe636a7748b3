//! The whole engine against a fake `hull-vmm`: everything but the guest is real.

mod bench;
mod execs;
mod failures;
mod files;
mod lifecycle;
mod recovery;
mod streams;
