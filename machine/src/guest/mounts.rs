//! Mounts that are the machine's own, over the host's files.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_bind};

use super::GuestError;
use crate::settings::DATA;

/// What QEMU's user network answers name queries on.
const RESOLVER: &str = "nameserver 10.0.2.3\n";

pub(super) fn mount_all() -> Result<(), GuestError> {
    let plain = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    at("cgroup2", "/sys/fs/cgroup", "cgroup2", plain, None)?;
    at(
        "devpts",
        "/dev/pts",
        "devpts",
        plain & !MountFlags::NODEV,
        Some(c"ptmxmode=666,mode=620"),
    )?;
    at(
        "shm",
        "/dev/shm",
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(c"mode=1777"),
    )?;
    // Blocks that are freed go back to the host's sparse file.
    at(
        "/dev/vda",
        DATA,
        "ext4",
        MountFlags::NOATIME,
        Some(c"discard"),
    )?;
    // The names that a program without udev expects.
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "fd/0"),
        ("/dev/stdout", "fd/1"),
        ("/dev/stderr", "fd/2"),
    ] {
        let _ = std::os::unix::fs::symlink(target, link);
    }
    resolver().map_err(|source| GuestError::Mount {
        path: "/etc/resolv.conf".into(),
        source,
    })
}

fn at(
    source: &str,
    path: &str,
    kind: &str,
    flags: MountFlags,
    data: Option<&CStr>,
) -> Result<(), GuestError> {
    let failed = |source| GuestError::Mount {
        path: path.to_owned(),
        source,
    };
    if !Path::new(path).is_dir() {
        fs::create_dir_all(path).map_err(failed)?;
    }
    mount(source, path, kind, flags, data).map_err(|e| failed(e.into()))
}

/// The host's resolver may be one on its own loopback.
fn resolver() -> io::Result<()> {
    const OWN: &str = "/run/machine-resolv.conf";
    const SHARED: &str = "/etc/resolv.conf";
    fs::write(OWN, RESOLVER)?;
    match fs::canonicalize(SHARED) {
        Ok(path) => Ok(mount_bind(OWN, path)?),
        // A link into the host's /run: make what it leads to.
        Err(_) => match fs::read_link(SHARED) {
            Ok(link) => {
                let path = Path::new("/etc").join(link);
                match path.strip_prefix("/run") {
                    Ok(_) => {
                        fs::create_dir_all(path.parent().unwrap_or(Path::new("/run")))?;
                        fs::write(path, RESOLVER)
                    }
                    Err(_) => Ok(()),
                }
            }
            // A host without a resolver: so is the machine.
            Err(_) => Ok(()),
        },
    }
}
