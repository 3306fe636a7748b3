//! The whole engine against a fake `hull-vmm`: everything but the guest is real.

mod bench;
mod chaos;
mod execs;
mod failures;
mod files;
mod health;
mod lifecycle;
mod logs;
mod policies;
mod recovery;
mod stats;
mod streams;
