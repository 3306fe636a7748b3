//! What runs out: the container's disk, the host's, memory of the guest and of its VM.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hull_tests::{Daemon, eventually};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

#[test]
fn a_full_disk_is_an_error_in_the_container_which_goes_on() {
    let hull = Daemon::with_options(&["--scratch-size", "48"]);
    hull.load_busybox().ok();
    let script = "dd if=/dev/zero of=/big bs=1M count=64; echo $?; rm /big; echo fine > /f; cat /f";
    let out = hull.hull(["run", "--rm", "busybox", "sh", "-c", script]);
    out.expect(0, "1\nfine\n");
    assert!(out.stderr.contains("No space left on device"), "{out}");
}

/// A small filesystem on a folder's data root, gone with it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Self {
        let path = folder.join("data");
        fs::create_dir(&path).unwrap();
        let options = std::ffi::CString::new(format!("size={size},mode=700")).unwrap();
        mount("tmpfs", &path, "tmpfs", MountFlags::empty(), &*options).unwrap();
        Self(path)
    }

    /// Paths of all files.
    fn files(&self) -> BTreeSet<PathBuf> {
        let mut folders = vec![self.0.clone()];
        let mut files = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => _ = files.insert(entry.path()),
                }
            }
        }
        files
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The daemon has it open until it ends.
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

fn on_disk_of(size: &str, options: &[&str]) -> (SmallDisk, Daemon) {
    let mut disk = None;
    let daemon = Daemon::prepared(options, |folder| {
        disk = Some(SmallDisk::mount(folder, size));
    });
    (disk.unwrap(), daemon)
}

#[test]
fn an_image_that_does_not_fit_the_host_is_refused_and_leaves_nothing() {
    let (disk, hull) = on_disk_of("1m", &[]);
    // Once it answers, its databases are there.
    hull.hull(["images"]).ok();
    let before = disk.files();
    let out = hull.load_busybox();
    assert_ne!(out.code, 0, "{out}");
    assert!(out.stderr.contains("No space left on device"), "{out}");
    assert_eq!(hull.hull(["images", "-q"]).ok(), "");
    assert_eq!(disk.files(), before);
}

#[test]
fn a_host_that_is_full_fails_the_container_that_writes_and_serves_again_later() {
    let (_disk, hull) = on_disk_of("24m", &["--scratch-size", "64"]);
    hull.load_busybox().ok();
    let before = hull.traces();
    let script = "dd if=/dev/zero of=/big bs=1M count=48 && sync && cat /big > /dev/null";
    let out = hull.hull(["run", "--name", "full", "busybox", "sh", "-c", script]);
    assert_ne!(out.code, 0, "{out}");
    hull.hull(["rm", "-f", "full"]).ok();
    eventually("nothing is left", || hull.traces() == before);
    hull.hull(["run", "--rm", "busybox", "echo", "fine"])
        .expect(0, "fine\n");
}

fn state(hull: &Daemon, name: &str, field: &str) -> String {
    let format = format!("{{{{.State.{field}}}}}");
    hull.hull(["inspect", "-f", &format, name]).ok().to_owned()
}

#[test]
fn a_process_that_eats_a_guest_without_a_limit_is_killed_and_that_is_told() {
    let hull = Daemon::with_busybox();
    // tail keeps a line until it ends, and this one does not.
    let glutton = [
        "run",
        "--name",
        "glutton",
        "busybox",
        "sh",
        "-c",
        "tail /dev/zero",
    ];
    let out = hull.hull(glutton);
    assert_eq!(out.code, 137, "{out}");
    assert_eq!(state(&hull, "glutton", "OOMKilled"), "true");
}

#[test]
fn a_vm_that_outgrows_its_control_group_ends_with_a_message_of_its_own() {
    let hull = Daemon::with_busybox();
    let before = hull.traces();
    hull.hull(["run", "-d", "--name", "big", "busybox", "sleep", "1000"])
        .ok();
    let id = hull
        .hull(["inspect", "-f", "{{.Id}}", "big"])
        .ok()
        .to_owned();
    let group = Path::new("/sys/fs/cgroup/hull").join(&id);
    assert!(group.is_dir(), "{}", group.display());
    // Less than the VM has: the kernel finds nothing to take back and kills.
    fs::write(group.join("memory.max"), "1M").unwrap();
    eventually("its end is noticed", || {
        state(&hull, "big", "Status") == "exited"
    });
    assert_eq!(state(&hull, "big", "ExitCode"), "137");
    assert_eq!(state(&hull, "big", "OOMKilled"), "true");
    let error = state(&hull, "big", "Error");
    assert!(
        error.contains("the VM was killed: out of memory"),
        "{error}"
    );
    hull.hull(["rm", "big"]).ok();
    eventually("nothing is left", || hull.traces() == before);
}

/// MiB of the host's memory that a container's VM has.
fn resident_mib(hull: &Daemon, name: &str) -> u64 {
    let pid = state(hull, name, "Pid");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() >> 10
}

#[test]
fn memory_that_a_container_frees_goes_back_to_the_host() {
    const USED: u64 = 48;
    let hull = Daemon::with_busybox();
    hull.hull(["run", "-d", "--name", "user", "busybox", "sleep", "1000"])
        .ok();
    let fill = format!("dd if=/dev/zero of=/dev/shm/big bs=1M count={USED}");
    hull.hull(["exec", "user", "sh", "-c", &fill]).ok();
    let used = resident_mib(&hull, "user");
    assert!(used >= USED, "{used} MiB");
    hull.hull(["exec", "user", "rm", "/dev/shm/big"]).ok();
    // What shares two megabytes with memory that stays in use stays too.
    eventually("three quarters are given back", || {
        resident_mib(&hull, "user") + USED * 3 / 4 <= used
    });
    hull.hull(["exec", "user", "sh", "-c", &fill]).ok();
    assert!(resident_mib(&hull, "user") >= USED, "it can be used again");
}
