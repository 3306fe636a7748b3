//! The control group of one VM process: the outer limit around the guest's own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::VmError;

/// What the VMM may use besides the guest's memory: its own, and page cache of layers and scratch
/// that the kernel charges to it (and takes back when it must).
const VMM_OVERHEAD: u64 = 64 << 20;
/// vCPU threads, device threads, the main one.
const MAX_THREADS: u32 = 128;
const PERIOD: u64 = 100_000;

/// Limits of one VM.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) memory_mib: u32,
    /// Billionths of a CPU; 0 is none.
    pub(super) nano_cpus: i64,
}

/// A control group, by its folder.
#[derive(Clone, Debug)]
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes it, with the controllers switched on above it.
    pub(super) fn create(root: &Path, path: PathBuf, limits: Limits) -> Result<Self, VmError> {
        prepare_root(root)?;
        match fs::create_dir(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(VmError::file("make", &path))?,
        }
        let group = Self(path);
        let bytes = (u64::from(limits.memory_mib) << 20) + VMM_OVERHEAD;
        group.set("memory.max", &bytes.to_string())?;
        group.set("pids.max", &MAX_THREADS.to_string())?;
        group.limit_cpus(limits.nano_cpus)?;
        Ok(group)
    }

    /// Sets how much of the host's CPUs it gets.
    pub(super) fn limit_cpus(&self, nano_cpus: i64) -> Result<(), VmError> {
        let Ok(nano @ 1..) = u64::try_from(nano_cpus) else {
            return Ok(());
        };
        // The VMM's own work comes out of the container's share.
        let quota = (nano / 10_000).max(1_000);
        self.set("cpu.max", &format!("{quota} {PERIOD}"))
    }

    /// To hand to the VMM, which joins it.
    pub(super) fn open(&self) -> Result<File, VmError> {
        File::open(&self.0).map_err(VmError::file("open", &self.0))
    }

    /// Whether the kernel killed something in it for want of memory.
    pub(super) fn oom_killed(&self) -> bool {
        let events = fs::read_to_string(self.0.join("memory.events")).unwrap_or_default();
        events
            .lines()
            .any(|l| l.strip_prefix("oom_kill ").is_some_and(|n| n.trim() != "0"))
    }

    /// Kills whatever is in it.
    pub(super) fn kill(&self) -> io::Result<()> {
        match fs::write(self.0.join("cgroup.kill"), "1") {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Removes it. Its processes must be gone; the kernel may take a moment to see that.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn set(&self, file: &str, value: &str) -> Result<(), VmError> {
        let path = self.0.join(file);
        fs::write(&path, value).map_err(VmError::file("write", path))
    }
}

fn prepare_root(root: &Path) -> Result<(), VmError> {
    let above = root.parent().unwrap_or(Path::new("/"));
    if !above.join("cgroup.controllers").exists() {
        return Err(VmError::NoCgroup(above.to_owned()));
    }
    match fs::create_dir(root) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => other.map_err(VmError::file("make", root))?,
    }
    for dir in [above, root] {
        let path = dir.join("cgroup.subtree_control");
        fs::write(&path, "+cpu +memory +pids").map_err(VmError::file("write", path))?;
    }
    Ok(())
}
