//! The control group of one VM process: the outer limit around the guest's own.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::VmError;
use super::limits::{Limits, Throttle};

/// What the VMM may use besides the guest's memory: its own, and page cache of layers and scratch
/// that the kernel charges to it (and takes back when it must).
const VMM_OVERHEAD: u64 = 64 << 20;
/// vCPU threads, device threads, the main one.
const MAX_THREADS: u32 = 128;
/// The kernel's own.
const WEIGHT: u64 = 100;
const BFQ_WEIGHT: &str = "io.bfq.weight";
const IO_WEIGHT: &str = "io.weight";

/// A control group, by its folder.
#[derive(Clone, Debug)]
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes it, with the controllers switched on above it.
    pub(super) fn create(root: &Path, path: PathBuf, limits: &Limits) -> Result<Self, VmError> {
        prepare_root(root)?;
        match fs::create_dir(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(VmError::file("make", &path))?,
        }
        let group = Self(path);
        group.set("pids.max", &MAX_THREADS.to_string())?;
        group.limit(limits)?;
        Ok(group)
    }

    /// Sets the limits, in the place of those there were.
    pub(super) fn limit(&self, limits: &Limits) -> Result<(), VmError> {
        let bytes = (u64::from(limits.memory_mib) << 20) + VMM_OVERHEAD;
        self.set("memory.max", &bytes.to_string())?;
        for (file, value) in settings(limits) {
            self.set(file, &value)?;
        }
        self.share_reservations()?;
        if let Some(weight) = limits.io_weight {
            self.weigh_io(weight)?;
        }
        for throttle in &limits.throttles {
            self.throttle(throttle)?;
        }
        Ok(())
    }

    /// What is reserved for a group counts only as far as the one above reserves it too.
    fn share_reservations(&self) -> Result<(), VmError> {
        let Some(root) = self.0.parent() else {
            return Ok(());
        };
        let reserved = |dir: &Path| -> u64 {
            let text = fs::read_to_string(dir.join("memory.low")).unwrap_or_default();
            text.trim().parse().unwrap_or(0)
        };
        let (before, own) = (reserved(root), reserved(&self.0));
        if before == 0 && own == 0 {
            return Ok(());
        }
        let groups = fs::read_dir(root).into_iter().flatten().flatten();
        let sum = groups
            .map(|entry| reserved(&entry.path()))
            .fold(0, u64::saturating_add);
        let path = root.join("memory.low");
        fs::write(&path, sum.to_string()).map_err(VmError::file("write", path))
    }

    /// By whichever of the kernel's two schemes this host has; admission has warned if by none.
    fn weigh_io(&self, weight: u16) -> Result<(), VmError> {
        if self.0.join(BFQ_WEIGHT).exists() {
            return self.set(BFQ_WEIGHT, &weight.to_string());
        }
        if self.0.join(IO_WEIGHT).exists() {
            // Docker's 10 to 1000 on the kernel's 1 to 10000.
            let weight = 1 + (u64::from(weight.clamp(10, 1000)) - 10) * 9999 / 990;
            return self.set(IO_WEIGHT, &weight.to_string());
        }
        Ok(())
    }

    fn throttle(&self, throttle: &Throttle) -> Result<(), VmError> {
        let device = &throttle.device;
        let metadata = fs::metadata(device).map_err(VmError::file("limit device", device))?;
        if !metadata.file_type().is_block_device() {
            let source = io::Error::from(rustix::io::Errno::NOTBLK);
            return Err(VmError::file("limit device", device)(source));
        }
        let number = metadata.rdev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let rate = match throttle.rate {
            0 => "max".to_owned(),
            rate => rate.to_string(),
        };
        self.set(
            "io.max",
            &format!("{major}:{minor} {}={rate}", throttle.what.key()),
        )
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
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        if let Err(error) = self.share_reservations() {
            tracing::warn!(%error, "more memory stays reserved than is needed");
        }
        Ok(())
    }

    fn set(&self, file: &str, value: &str) -> Result<(), VmError> {
        let path = self.0.join(file);
        fs::write(&path, value).map_err(VmError::file("write", path))
    }
}

/// Files and what they are set to, in order; what is not limited is set to what a new group has, as
/// it may have been limited before.
fn settings(limits: &Limits) -> Vec<(&'static str, String)> {
    let quota = limits.quota.map_or_else(
        || "max".to_owned(),
        // The VMM's own work comes out of the container's share.
        |quota| format!("{} {}", quota.micros, quota.period),
    );
    let mut all = vec![
        ("memory.low", limits.reservation.to_string()),
        ("cpu.max", quota),
        ("cpu.weight", limits.weight.unwrap_or(WEIGHT).to_string()),
    ];
    for (file, list) in [
        ("cpuset.cpus", &limits.cpus),
        ("cpuset.mems", &limits.nodes),
    ] {
        if list.len() > 0 {
            all.push((file, list.to_string()));
        }
    }
    all
}

/// Whether this host has weights for I/O.
pub(super) fn has_io_weights(root: &Path) -> bool {
    // A host without control groups says so when a container starts.
    let _ = prepare_root(root);
    [BFQ_WEIGHT, IO_WEIGHT]
        .iter()
        .any(|file| root.join(file).exists())
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
        fs::write(&path, "+cpu +memory +pids").map_err(VmError::file("write", &path))?;
        for more in ["+cpuset", "+io"] {
            // Where the host has it not, admission refuses what needs it.
            let _ = fs::write(&path, more);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Defaults, HostConfig};

    #[test]
    fn limits_become_the_files_of_a_group() {
        let host: HostConfig = serde_json::from_value(serde_json::json!({
            "Memory": 64 << 20, "MemoryReservation": 32 << 20, "NanoCpus": 500_000_000,
            "CpuShares": 1024, "CpusetCpus": "0,1", "CpusetMems": "0",
        }))
        .unwrap();
        let limits = Limits::of(&host, &Defaults::default());
        let settings = settings(&limits);
        let shown: Vec<_> = settings.iter().map(|(f, v)| (*f, v.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("memory.low", "100663296"),
                ("cpu.max", "50000 100000"),
                ("cpu.weight", "39"),
                ("cpuset.cpus", "0-1"),
                ("cpuset.mems", "0"),
            ]
        );
        let none = Limits::of(&HostConfig::default(), &Defaults::default());
        let settings = super::settings(&none);
        let shown: Vec<_> = settings.iter().map(|(f, v)| (*f, v.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("memory.low", "0"),
                ("cpu.max", "max"),
                ("cpu.weight", "100")
            ]
        );
    }

    #[test]
    fn a_device_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let group = Cgroup::at(dir.path().to_owned());
        let throttle = |device: &str| Throttle {
            device: device.into(),
            what: super::super::limits::Flow::ReadBytes,
            rate: 1,
        };
        let error = group.throttle(&throttle("/dev/nosuch")).unwrap_err();
        assert!(error.to_string().contains("/dev/nosuch"), "{error}");
        let error = group.throttle(&throttle("/dev/null")).unwrap_err();
        assert!(error.to_string().contains("/dev/null"), "{error}");
    }
}
