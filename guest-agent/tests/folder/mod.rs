//! A machine that is a folder: the root filesystem is made of busybox, and everything but the
//! hardware is real.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hull_agent::Trees;
use hull_agent::platform::{Platform, PlatformError};
use hull_protocol::agent::RootFs;
use rustix::fs::CWD;
use rustix::mount::OpenTreeFlags;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
const GROUP: &str = "root:x:0:\nadm:x:4:alice\nalice:x:1000:\n";

/// The owner of the folder: it goes with this, whatever the agent's threads still hold.
pub(crate) struct Machine {
    folder: Folder,
    _root: tempfile::TempDir,
}

/// The folder and what was done to the machine.
#[derive(Clone)]
pub(crate) struct Folder(Arc<Inner>);

struct Inner {
    root: PathBuf,
    cgroups: PathBuf,
    containers: AtomicU32,
    flushed: AtomicU32,
    off: Mutex<bool>,
    changed: Condvar,
}

impl Machine {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let bin = root.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        for name in [
            "sh", "cat", "sleep", "true", "touch", "hostname", "id", "ls", "stat", "readlink",
            "df", "tail", "awk", "wc", "grep", "tr", "dd", "tty", "stty", "cut", "echo", "pwd",
        ] {
            symlink("busybox", bin.join(name)).unwrap();
        }
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/passwd"), PASSWD).unwrap();
        fs::write(root.path().join("etc/group"), GROUP).unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cgroups = cgroup_root().join(format!("hull-agent-{}-{number}", std::process::id()));
        fs::create_dir(&cgroups).unwrap();
        let folder = Folder(Arc::new(Inner {
            root: root.path().to_owned(),
            cgroups,
            containers: AtomicU32::new(0),
            flushed: AtomicU32::new(0),
            off: Mutex::new(false),
            changed: Condvar::new(),
        }));
        Self {
            folder,
            _root: root,
        }
    }

    /// What an agent runs on.
    pub(crate) fn platform(&self) -> Folder {
        self.folder.clone()
    }

    /// A path in the container, seen from outside.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.0.root.join(inside)
    }

    /// Puts an executable file there.
    pub(crate) fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn flushed(&self) -> u32 {
        self.folder.0.flushed.load(Ordering::Acquire)
    }

    pub(crate) fn wait_for_power_off(&self) {
        let off = self.folder.0.off.lock().unwrap();
        let limit = Duration::from_secs(30);
        let (off, _) = self
            .folder
            .0
            .changed
            .wait_timeout_while(off, limit, |off| !*off)
            .unwrap();
        assert!(*off, "the machine is still on");
    }
}

/// Where the version 2 hierarchy is, beside version 1 or alone.
fn cgroup_root() -> &'static Path {
    ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .into_iter()
        .map(Path::new)
        .find(|p| p.join("cgroup.controllers").exists())
        .expect("these tests need the version 2 control groups mounted")
}

impl Drop for Machine {
    fn drop(&mut self) {
        let cgroups = &self.folder.0.cgroups;
        // The agent removes its groups; what a failed test has left is the next line's.
        for entry in fs::read_dir(cgroups).into_iter().flatten().flatten() {
            // Files are the kernel's; groups of ended containers can go.
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(cgroups);
    }
}

impl Platform for Folder {
    fn prepare(&self) -> Result<(), PlatformError> {
        Ok(())
    }

    fn root(&self, _: &RootFs) -> Result<OwnedFd, PlatformError> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        rustix::mount::open_tree(CWD, &self.0.root, flags).map_err(|e| PlatformError::System {
            step: "clone",
            subject: "the root folder".into(),
            source: e.into(),
        })
    }

    fn files(&self) -> Result<Trees, PlatformError> {
        Ok(Trees {
            root: self.0.root.clone(),
            upper: self.0.root.join("upper"),
            lower: self.0.root.join("lower"),
        })
    }

    fn cgroup(&self) -> PathBuf {
        let number = self.0.containers.fetch_add(1, Ordering::Relaxed);
        self.0.cgroups.join(number.to_string())
    }

    fn hidden(&self) -> &[&str] {
        &[]
    }

    fn set_clock(&self, _: u64) -> Result<(), PlatformError> {
        Ok(())
    }

    fn seed(&self, _: &[u8]) -> Result<(), PlatformError> {
        Ok(())
    }

    fn flush(&self) -> Result<(), PlatformError> {
        self.0.flushed.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn power_off(&self) {
        *self.0.off.lock().unwrap() = true;
        self.0.changed.notify_all();
    }
}
