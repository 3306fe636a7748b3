//! What a container has used, as its control group in the guest counts it.
//!
//! All of this is a guest's word. Nothing here is bounded but by the frame it comes in: the host
//! keeps what is plausible of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer to [`Call::Stats`](super::Call::Stats).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// CPU time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// One for each block device it has used.
    pub io: Vec<IoStats>,
}

/// CPU time, in microseconds since the container was made. Quotas are the host's to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuStats {
    /// All.
    pub usage_us: u64,
    /// Outside of the guest's kernel.
    pub user_us: u64,
    /// In the guest's kernel.
    pub system_us: u64,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStats {
    /// In use now, page cache included.
    pub usage: u64,
    /// The kernel's own names and figures (`memory.stat`).
    pub stat: BTreeMap<String, u64>,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
}

/// What went to and from one block device, in bytes and operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoStats {
    /// The device's number.
    pub major: u32,
    /// The device's number.
    pub minor: u32,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}
