//! What VMs could leave behind on the host: processes, mounts, TAP devices, cgroups, files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A list to be compared before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    vmm_processes: BTreeSet<String>,
    mounts: BTreeSet<String>,
    network_devices: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    container_files: BTreeSet<String>,
    run_files: BTreeSet<String>,
}

impl Traces {
    pub(crate) fn of(folder: &Path) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        Self {
            vmm_processes: vmm_processes(),
            mounts: mounts.lines().map(str::to_owned).collect(),
            network_devices: names("/sys/class/net"),
            cgroups: names("/sys/fs/cgroup/hull"),
            container_files: names(folder.join("data/containers")),
            run_files: names(folder.join("run/vms")),
        }
    }
}

fn names(folder: impl AsRef<Path>) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir() || t.is_symlink()));
    folders
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}

fn vmm_processes() -> BTreeSet<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            name.trim() == "hull-vmm"
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
