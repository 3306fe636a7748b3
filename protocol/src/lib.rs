//! What the parts of Hull that do not share a process say to each other.
//!
//! Four conversations, each in a module of its own:
//!
//! ```text
//!  engine ──VmConfig (fd), control socket──► hull-vmm        [vmm]
//!  engine ──vsock 1024: requests, replies──► hull-agent      [agent]
//!  engine ◄─vsock 1025: stdio of a process─► hull-agent      [stream]
//!  engine ◄─vsock 1026: archives of files──► hull-agent      [files]
//! ```
//!
//! Requests and replies are JSON in length-prefixed frames ([`frame`]); bulk bytes never are:
//! they flow on connections of their own, in the binary records of [`stream`] and the chunks of
//! [`files`].
//!
//! This crate is data and framing only. It opens no socket and knows no runtime. Everything here
//! that a guest can send is decoded as hostile: bounded before it is allocated, and an error, never
//! a panic, when it is malformed.

pub mod agent;
pub mod files;
pub mod frame;
pub mod stream;
pub mod vmm;

/// The version of the host/guest conversation. Both ends are built together, so they must agree.
pub const VERSION: u32 = 4;

/// A port on the guest's side of the VM's vsock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct VsockPort(pub u32);

impl VsockPort {
    /// Requests and replies ([`agent`]).
    pub const CONTROL: VsockPort = VsockPort(1024);
    /// Stdio of processes ([`stream`]).
    pub const STREAM: VsockPort = VsockPort(1025);
    /// Archives of a container's files ([`files`]).
    pub const FILES: VsockPort = VsockPort(1026);
}

/// The one I/O port through which the guest's init speaks to its machine.
///
/// The guest has no ACPI and no keyboard controller, so this is how it powers off. It carries
/// single bytes from the guest to the VMM and nothing the other way.
pub mod power {
    /// The x86 I/O port.
    pub const PORT: u16 = 0x600;
    /// The agent listens: connections held back until now may go through.
    pub const READY: u8 = 0x01;
    /// Everything is synced: end the VM.
    pub const OFF: u8 = 0x02;
}

/// The tag of the virtio-fs device that exports the image's layers, folders `0`, `1`, … in order,
/// the lowest layer first.
pub const LAYERS_TAG: &str = "hull";
