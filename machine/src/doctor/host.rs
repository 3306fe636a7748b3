//! Reads the facts about this host; judges nothing and changes nothing.

use std::fs;
use std::path::Path;

use super::nftables;
use super::probe::{self, Verdict};
use crate::parts::{Missing, Parts};

/// What the checks look at.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) kernel: String,
    pub(super) arch: &'static str,
    pub(super) cpu_model: String,
    pub(super) cpu_virtualisation: Option<&'static str>,
    pub(super) kvm: Verdict,
    pub(super) root: bool,
    /// Controllers of the cgroup v2 tree at /sys/fs/cgroup, if it is one.
    pub(super) cgroup_controllers: Option<Vec<String>>,
    pub(super) tun: Result<(), String>,
    pub(super) nftables: Result<(), String>,
    pub(super) overlay: bool,
    /// The most user namespaces that may be made, where the kernel has them.
    pub(super) user_namespaces: Option<u64>,
    pub(super) disk_free: Result<u64, String>,
    pub(super) disk_path: String,
    pub(super) machine_missing: Vec<Missing>,
}

impl Facts {
    pub(super) fn gather(data_root: &Path) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let disk = existing_ancestor(data_root);
        Self {
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            arch: std::env::consts::ARCH,
            cpu_model: cpu_field(&cpuinfo, "model name")
                .unwrap_or("unknown CPU")
                .to_owned(),
            cpu_virtualisation: cpu_virtualisation(&cpuinfo),
            kvm: probe::run(),
            root: rustix::process::geteuid().is_root(),
            cgroup_controllers: cgroup_controllers(),
            tun: open_tun(),
            nftables: nftables::supported(),
            overlay: overlay(),
            user_namespaces: user_namespaces(),
            disk_free: rustix::fs::statvfs(disk)
                .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
                .map_err(|e| std::io::Error::from(e).to_string()),
            disk_path: disk.display().to_string(),
            machine_missing: Parts::find().err().unwrap_or_default(),
        }
    }
}

fn cpu_field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

fn cpu_virtualisation(cpuinfo: &str) -> Option<&'static str> {
    let flags = cpu_field(cpuinfo, "flags")?;
    ["vmx", "svm"]
        .into_iter()
        .find(|flag| flags.split_whitespace().any(|f| f == *flag))
}

fn cgroup_controllers() -> Option<Vec<String>> {
    const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
    let stat = rustix::fs::statfs("/sys/fs/cgroup").ok()?;
    if stat.f_type != CGROUP2_SUPER_MAGIC {
        return None;
    }
    let listed = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").ok()?;
    Some(listed.split_whitespace().map(str::to_owned).collect())
}

fn open_tun() -> Result<(), String> {
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .map(drop)
        .map_err(|e| e.to_string())
}

/// Known to the running kernel, or a module that it can load.
fn overlay() -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if known
        .lines()
        .any(|line| line.split_whitespace().last() == Some("overlay"))
    {
        return true;
    }
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    fs::read_to_string(format!("/lib/modules/{release}/modules.dep"))
        .is_ok_and(|deps| deps.lines().any(|line| line.contains("/overlay.ko")))
}

fn user_namespaces() -> Option<u64> {
    fs::metadata("/proc/self/ns/user").ok()?;
    fs::read_to_string("/proc/sys/user/max_user_namespaces")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// The folder that the data root will be made in, while it is not there yet.
fn existing_ancestor(path: &Path) -> &Path {
    path.ancestors()
        .find(|p| p.is_dir())
        .unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str =
        "processor\t: 0\nmodel name\t: Some CPU @ 3GHz\nflags\t\t: fpu svme svm\n";

    #[test]
    fn cpuinfo_gives_model_and_virtualisation_flag() {
        assert_eq!(cpu_field(CPUINFO, "model name"), Some("Some CPU @ 3GHz"));
        assert_eq!(cpu_virtualisation(CPUINFO), Some("svm"));
        assert_eq!(cpu_virtualisation("flags : fpu vmxoff"), None);
    }

    #[test]
    fn data_root_that_is_not_there_yet_is_measured_where_it_will_be() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing_ancestor(&folder.path().join("a/b")), folder.path());
    }
}
