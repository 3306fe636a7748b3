//! What `/proc` says about a VM's process while its guest runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use hull_tests::Daemon;

struct Vmm {
    proc: PathBuf,
}

impl Vmm {
    fn of(hull: &Daemon, container: &str) -> Self {
        let pid = hull
            .hull(["inspect", "-f", "{{.State.Pid}}", container])
            .ok()
            .to_owned();
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let name = fs::read_to_string(proc.join("comm")).unwrap();
        assert_eq!(name.trim(), "hull-vmm");
        Self { proc }
    }

    fn status(&self, of: &str) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.proc.join(of)).unwrap();
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
            .collect()
    }

    fn threads(&self) -> Vec<(String, BTreeMap<String, String>)> {
        fs::read_dir(self.proc.join("task"))
            .unwrap()
            .map(|task| {
                let folder = task.unwrap().path();
                let name = fs::read_to_string(folder.join("comm")).unwrap();
                let relative = folder.strip_prefix(&self.proc).unwrap().join("status");
                (
                    name.trim().to_owned(),
                    self.status(relative.to_str().unwrap()),
                )
            })
            .collect()
    }

    fn links(&self, folder: &str) -> Vec<String> {
        fs::read_dir(self.proc.join(folder))
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect()
    }
}

#[test]
fn the_vmm_is_locked_up_as_promised() {
    let hull = Daemon::with_busybox();
    for name in ["first", "second"] {
        hull.hull(["run", "-d", "--name", name, "busybox", "sleep", "1000"])
            .ok();
        // Everything has run once: the guest has mounted its layers and used its disk.
        hull.hull([
            "exec",
            name,
            "sh",
            "-c",
            "echo x > /file && sync && cat /file",
        ])
        .ok();
    }
    let vmm = Vmm::of(&hull, "first");

    let status = vmm.status("status");
    let uids: Vec<&str> = status["Uid"].split_whitespace().collect();
    assert!(
        uids.iter().all(|uid| *uid == uids[0] && *uid != "0"),
        "{uids:?}"
    );
    let gids: Vec<&str> = status["Gid"].split_whitespace().collect();
    assert!(
        gids.iter().all(|gid| *gid == gids[0] && *gid != "0"),
        "{gids:?}"
    );
    assert_eq!(status["Groups"], "");
    let other = Vmm::of(&hull, "second").status("status");
    assert_ne!(status["Uid"], other["Uid"], "each VM has a user of its own");

    let threads = vmm.threads();
    for role in ["hull-vmm", "vcpu0", "fs", "blk", "vsock"] {
        assert!(
            threads.iter().any(|(name, _)| name == role),
            "no thread {role}"
        );
    }
    for (name, status) in &threads {
        // KVM's own helper threads show up as tasks of the process that made the VM.
        if name.starts_with("kvm-") {
            continue;
        }
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status[set], "0000000000000000", "{set} of {name}");
        }
        assert_eq!(status["NoNewPrivs"], "1", "{name}");
        assert_eq!(status["Seccomp"], "2", "{name}");
    }

    for namespace in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let of = |proc: &str| fs::read_link(format!("{proc}/ns/{namespace}")).unwrap();
        assert_ne!(of(vmm.proc.to_str().unwrap()), of("/proc/1"), "{namespace}");
    }
    let root: Vec<_> = fs::read_dir(vmm.proc.join("root")).unwrap().collect();
    assert!(root.is_empty(), "{root:?}");
    let mounts = fs::read_to_string(vmm.proc.join("mountinfo")).unwrap();
    assert_eq!(mounts.lines().count(), 1, "{mounts}");
    assert!(mounts.contains(" ro,"), "{mounts}");
    let net = fs::read_to_string(vmm.proc.join("net/dev")).unwrap();
    let devices: Vec<&str> = net
        .lines()
        .skip(2)
        .filter_map(|l| l.split(':').next())
        .collect();
    assert!(devices.iter().all(|d| d.trim() == "lo"), "{devices:?}");

    for target in vmm.links("fd") {
        let fine = ["socket:", "anon_inode:", "pipe:", "/dev/null"];
        let own = [
            ".layer",
            "scratch",
            "report",
            "vmm.log",
            "console",
            "hull-vmm-messages",
        ];
        assert!(
            fine.iter().any(|f| target.starts_with(f)) || own.iter().any(|o| target.contains(o)),
            "an open descriptor of {target}"
        );
    }
    let cgroup = fs::read_to_string(vmm.proc.join("cgroup")).unwrap();
    assert!(cgroup.contains("hull/"), "{cgroup}");
    let path = cgroup.trim().trim_start_matches("0::");
    for limit in ["memory.max", "pids.max"] {
        let file = format!("/sys/fs/cgroup{path}/{limit}");
        let value = fs::read_to_string(&file).unwrap();
        assert!(value.trim().parse::<u64>().is_ok(), "{file}: {value}");
    }
    let limits = fs::read_to_string(vmm.proc.join("limits")).unwrap();
    assert!(
        limits
            .lines()
            .any(|l| l.starts_with("Max core file size") && l.contains(" 0 "))
    );
}
