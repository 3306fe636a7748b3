//! Where Hull runs: what this host can do, and the emulated host that stands in for it.
//!
//! [`doctor`] looks at the host and never changes it. [`doctor::probe`] is the part that
//! decides: it runs a small guest, because a `/dev/kvm` that exists is not one that works.
//!
//! Where it does not, a machine is emulated that has a real KVM. [`start`], [`exec`],
//! [`ensure`] and the others are what a command does with one; [`role`] is what the
//! machine's own processes do.
//!
//! ```text
//!   command ──control.sock──► supervisor ──virtio serial──► guest: PID 1, tunnel's end
//!   client  ──api.sock──────►    │  mux ════════════════════ mux ──► hulld, exec, ports
//!                                └── QEMU, virtiofsd (the host's / is the guest's)
//! ```
//!
//! This crate knows nothing of containers, images or Docker's API: to it `hulld` is a
//! program that listens on a unix socket.

mod bootfiles;
pub mod doctor;
pub mod exec;
mod guest;
mod host;
mod mux;
pub mod parts;
pub mod role;
mod settings;
mod supervisor;
mod target;

pub use exec::client::{ExecError, terminal_size};
pub use host::{
    MachineError, Progress, ensure, exec, publish, remove_machine, start, status, stop, unpublish,
};
pub use settings::{Clock, Name, NameError, Options, OptionsError, probe_file};
pub use supervisor::control::Status;
