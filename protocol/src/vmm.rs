//! Between the engine and one `hull-vmm` process.
//!
//! The engine opens everything, then starts `hull-vmm --config-fd N` with those descriptors
//! inherited. `N` reads the JSON of a [`VmConfig`], which names the other descriptors by number;
//! the VMM opens no path of its own. Then:
//!
//! ```text
//!  engine                                hull-vmm (parent)          hull-vmm (jailed child)
//!    │ ── spawn, VmConfig ───────────────────►│ ── clone into namespaces ──►│
//!    │ ◄── Started { pid } on `started` ──────│                             │ runs the guest
//!    │ pidfd_open(pid), close `started` ─────►│ exits                       │
//!    │ ◄──────────────── Control requests and replies ─────────────────────►│
//!    │ ◄──────────────── ExitReport written to `report`, exits ─────────────│
//! ```
//!
//! The parent does not reap the child before the engine closed `started`, so the pid cannot have
//! been reused when the engine opens its pidfd.

use std::os::fd::RawFd;

use serde::{Deserialize, Serialize};

/// Everything a VM is made of. Descriptors are numbers in the VMM's own table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmConfig {
    /// For messages only.
    pub id: String,
    /// Guest memory. At least 32, at most 1 TiB.
    pub memory_mib: u32,
    /// 1 to 32.
    pub vcpus: u8,
    /// `/dev/kvm`, open for reading and writing.
    pub kvm: RawFd,
    /// An uncompressed ELF kernel.
    pub kernel: RawFd,
    /// The initramfs with the agent as `/init`.
    pub initramfs: RawFd,
    /// Words added to the kernel command line.
    #[serde(default)]
    pub cmdline: String,
    /// Where the guest's serial console is written. Without it the guest has no serial port.
    #[serde(default)]
    pub console: Option<RawFd>,
    /// A listening unix stream socket for [`Control`] requests.
    pub control: RawFd,
    /// A listening unix stream socket: `CONNECT port\n`, answered `OK host-port\n`, then bytes.
    pub vsock: RawFd,
    /// Packed layers, the lowest first.
    #[serde(default)]
    pub layers: Vec<RawFd>,
    /// Disks: `/dev/vda`, `/dev/vdb`, … in order.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// One end of a unix socket pair for [`Started`].
    pub started: RawFd,
    /// A regular file for the [`ExitReport`].
    pub report: RawFd,
    /// Where to lock the process up. `None` only for tests of the VMM itself.
    #[serde(default)]
    pub jail: Option<Jail>,
}

/// A virtio block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// A regular file or block device.
    pub fd: RawFd,
    /// Refuse writes.
    #[serde(default)]
    pub read_only: bool,
}

/// The process's own cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jail {
    /// The host's user and group id that stands for 0 inside; nobody else has it.
    pub uid: u32,
    /// A cgroup v2 directory, open; the process joins it before it drops everything.
    #[serde(default)]
    pub cgroup: Option<RawFd>,
}

/// Sent once on [`VmConfig::started`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The jailed process, in the engine's pid namespace.
    pub pid: u32,
}

/// A request on the control socket, one reply ([`ControlReply`]) each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Stop every vCPU where it is.
    Pause,
    /// Let them run on.
    Resume,
    /// End the VM at once, as pulling the plug. The guest's disks are flushed to the host.
    Stop,
    /// What the VM is and whether it runs.
    Info,
    /// Counters of every device.
    Metrics,
}

/// The answer to a [`Control`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlReply {
    /// Done.
    Done,
    /// To [`Control::Info`].
    Info(VmInfo),
    /// To [`Control::Metrics`].
    Metrics(Metrics),
    /// Refused or failed, with the reason.
    Failed(String),
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmInfo {
    /// From the configuration.
    pub id: String,
    /// The VMM's version.
    pub version: String,
    /// Whether the vCPUs run.
    pub state: VmState,
    /// Guest memory.
    pub memory_mib: u32,
    /// How many vCPUs.
    pub vcpus: u8,
    /// Whether the agent has said that it listens.
    pub ready: bool,
}

/// Whether the vCPUs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VmState {
    /// They run.
    Running,
    /// They are held.
    Paused,
}

/// Counters since the start, by device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Exits of all vCPUs that the VMM itself handled.
    pub vcpu_exits: u64,
    /// Each device in the order of its slot.
    pub devices: Vec<DeviceMetrics>,
}

/// Counters of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMetrics {
    /// Its name, such as `fs` or `blk0`.
    pub name: String,
    /// Requests completed.
    pub requests: u64,
    /// Bytes read by the guest.
    pub read_bytes: u64,
    /// Bytes written by the guest.
    pub write_bytes: u64,
    /// Requests that ended in an error, malformed ones among them.
    pub errors: u64,
    /// Bytes of the guest's memory given back to the host.
    #[serde(default)]
    pub reclaimed_bytes: u64,
}

/// Why a VM ended, as its process says last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitReport {
    /// The kind of end.
    pub reason: ExitReason,
    /// In words.
    pub message: String,
    /// The last of the console, where one was on.
    #[serde(default)]
    pub console_tail: Option<String>,
}

/// The ways a VM ends. The process's exit status is [`ExitReason::status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The agent powered off.
    PowerOff,
    /// [`Control::Stop`], or SIGTERM.
    Stopped,
    /// The guest's kernel reset the machine, which it does after a panic.
    GuestReset,
    /// A fault while handling a fault while handling a fault.
    TripleFault,
    /// KVM refused to go on.
    KvmError,
    /// The host has no memory for the guest.
    OutOfMemory,
    /// The VMM itself failed.
    Internal,
    /// The configuration or a descriptor in it cannot be used.
    Config,
}

impl ExitReason {
    /// The process's exit status.
    pub const fn status(self) -> u8 {
        match self {
            Self::PowerOff | Self::Stopped => 0,
            Self::Config => 2,
            Self::Internal => 10,
            Self::GuestReset => 11,
            Self::TripleFault => 12,
            Self::KvmError => 13,
            Self::OutOfMemory => 14,
        }
    }
}
