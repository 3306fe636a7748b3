//! What a container uses.

use std::collections::BTreeMap;

use crate::id::{ContainerId, ContainerName};
use crate::time::Timestamp;

/// A container's figures at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsSample {
    /// Whose.
    pub id: ContainerId,
    /// Its name now.
    pub name: ContainerName,
    /// `None`: it does not run.
    pub usage: Option<Usage>,
}

/// What a running container uses, and of how much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// When.
    pub read: Timestamp,
    /// CPU time.
    pub cpu: CpuUsage,
    /// Memory.
    pub memory: MemoryUsage,
    /// Processes and threads.
    pub pids: u64,
    /// The most of them there may be; `None` is no limit.
    pub pids_limit: Option<u64>,
    /// One for each block device of the guest's.
    pub io: Vec<DeviceUsage>,
}

/// CPU time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuUsage {
    /// The container's processes.
    pub total: u64,
    /// Of that, outside of the guest's kernel.
    pub user: u64,
    /// Of that, in it.
    pub kernel: u64,
    /// All CPUs of the host, idle or not.
    pub system: u64,
    /// How many those are.
    pub online: u32,
    /// How many periods there were to give out a quota in.
    pub periods: u64,
    /// In how many of them the quota was used up.
    pub throttled_periods: u64,
    /// How long the container was then held.
    pub throttled: u64,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// In use, page cache included.
    pub usage: u64,
    /// The most there is for it.
    pub limit: u64,
    /// The kernel's figures, by its names.
    pub stats: BTreeMap<String, u64>,
}

/// What went to and from one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceUsage {
    /// The device's number in the guest.
    pub major: u32,
    /// The device's number in the guest.
    pub minor: u32,
    /// Bytes.
    pub read: u64,
    /// Bytes.
    pub written: u64,
}
