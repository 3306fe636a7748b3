//! One microVM in one process.
//!
//! ```text
//!  config ── what the engine asked for, resolved to open descriptors
//!  jail ──── namespaces, empty root, no capabilities, seccomp
//!  machine ─ puts a VM together and waits for its end
//!  ├── memory, arch, vcpu      guest memory, boot state, the KVM_RUN loop
//!  ├── bus                     which device answers which address
//!  ├── devices                 serial, power, virtio-mmio and what sits on it
//!  └── control                 pause, resume, stop, info, metrics
//! ```
//!
//! The guest is the enemy: nothing it writes is trusted, and whatever it does costs this process
//! only. This crate knows nothing of containers, images or HTTP.

pub mod arch;
pub mod bus;
pub mod config;
pub mod control;
pub mod devices;
pub mod exit;
pub mod jail;
pub mod machine;
pub mod memory;
pub mod vcpu;
