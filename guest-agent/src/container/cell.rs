//! The child's way into its own cell: namespaces, the root filesystem and what is mounted in it.
//!
//! ```text
//!  join cgroup ► unshare mnt,uts,ipc,cgroup ► stage files ► move root onto / ► chroot
//!      ► hostname ► mounts ► devices ► files ► sysctls ► masks ► read-only root
//! ```
//!
//! The pid namespace is already a new one: this process is its PID 1. The root is moved on top of
//! `/` and entered by `chroot`, because a kernel whose root is the initramfs has no `pivot_root`;
//! what the agent has mounted beside it is detached first, so nothing of it is left below.
//!
//! Everything after the `chroot` resolves paths inside the container's own root, whatever
//! symlinks its image has.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use hull_protocol::agent::ProvidedFile;
use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use rustix::thread::UnshareFlags;

use crate::container::blueprint::{Blueprint, Device};
use crate::container::mounts::{Entry, Kind};
use crate::container::setup::{SetupError, Step};

/// What the agent hands to the child besides the blueprint.
pub(crate) struct Materials<'a> {
    /// The assembled root filesystem, a mount that is not attached anywhere.
    pub(crate) root: BorrowedFd<'a>,
    /// The container's own devpts, likewise.
    pub(crate) devpts: BorrowedFd<'a>,
    /// `cgroup.procs` of the container's group.
    pub(crate) cgroup: BorrowedFd<'a>,
    /// Mounts of the agent that the container must not keep, even covered.
    pub(crate) hidden: &'a [&'a str],
    /// The number of the pty that is the container's console.
    pub(crate) console: Option<u32>,
}

/// Moves this process into its cell.
pub(crate) fn enter(plan: &Blueprint, given: &Materials<'_>) -> Result<(), SetupError> {
    rustix::io::write(given.cgroup, b"0").step("join", "control group")?;
    let namespaces =
        UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC | UnshareFlags::NEWCGROUP;
    unshare(namespaces).step("unshare", "namespaces")?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).step("make private", "/")?;
    let staged = stage(&plan.files)?;
    take_root(given)?;
    name(plan)?;
    for entry in &plan.mounts {
        mount(entry, given.devpts)?;
        if entry.kind == Kind::Tmpfs && entry.at == Path::new("/dev") {
            standard_devices()?;
        }
    }
    console(given.console)?;
    for device in &plan.devices {
        make_device(device)?;
    }
    for (file, tree) in plan.files.iter().zip(&staged) {
        show(&file.path, tree)?;
    }
    for (path, value) in &plan.sysctls {
        fs::write(path, value).step("set sysctl", path.display())?;
    }
    plan.masked.iter().try_for_each(|p| mask(p))?;
    plan.readonly.iter().try_for_each(|p| make_readonly(p))?;
    if plan.readonly_root {
        let flags = MountFlags::BIND | MountFlags::RDONLY;
        rustix::mount::mount_remount("/", flags, "").step("make read-only", "/")?;
    }
    Ok(())
}

/// Leaves the namespaces the agent shares with its threads.
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the child of a fork has one thread, so nobody else's descriptors or memory change.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Puts the provided files on a tmpfs that nobody can reach by a path, one bind of each.
fn stage(files: &[ProvidedFile]) -> Result<Vec<OwnedFd>, SetupError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    // On any folder: it is covered only in this namespace and only until the end of this step.
    let place = Path::new("/dev");
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("tmpfs", place, "tmpfs", flags, c"mode=755")
        .step("mount", "provided files")?;
    let mut trees = Vec::with_capacity(files.len());
    for (number, file) in files.iter().enumerate() {
        let path = place.join(number.to_string());
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut f| {
                f.write_all(file.content.as_bytes())?;
                f.set_permissions(fs::Permissions::from_mode(file.mode & 0o7777))
            });
        made.step("write provided file", &file.path)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        trees.push(rustix::mount::open_tree(CWD, &path, flags).step("clone", &file.path)?);
    }
    rustix::mount::unmount(place, UnmountFlags::DETACH).step("unmount", "provided files")?;
    Ok(trees)
}

fn take_root(given: &Materials<'_>) -> Result<(), SetupError> {
    for path in given.hidden {
        rustix::mount::unmount(*path, UnmountFlags::DETACH).step("unmount", path)?;
    }
    attach(given.root, Path::new("/")).step("mount root at", "/")?;
    rustix::process::fchdir(given.root).step("enter", "root")?;
    rustix::process::chroot(".").step("change root to", "the container")?;
    rustix::process::chdir("/").step("enter", "/")
}

/// Attaches a detached mount.
fn attach(tree: BorrowedFd<'_>, at: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    Ok(rustix::mount::move_mount(tree, "", CWD, at, flags)?)
}

fn name(plan: &Blueprint) -> Result<(), SetupError> {
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes()).step("set hostname", name)?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.as_bytes()).step("set domainname", name)?;
    }
    Ok(())
}

fn mount(entry: &Entry, devpts: BorrowedFd<'_>) -> Result<(), SetupError> {
    let at = entry.at.display();
    let before = fs::metadata(&entry.at).ok();
    if before.is_none() {
        fs::create_dir_all(&entry.at).step("make mount point", at.to_string())?;
    }
    if entry.kind == Kind::Devpts {
        return attach(devpts, &entry.at).step("mount devpts at", at);
    }
    // Read-only only by a remount: the first mount would make the filesystem itself so, and the
    // guest has but one sysfs.
    let own = entry.kind == Kind::Tmpfs;
    rustix::mount::mount(
        &*entry.source,
        &entry.at,
        entry.kind.name(),
        entry.flags - MountFlags::RDONLY,
        Some(&*c_data(&entry.data)?),
    )
    .step("mount", format!("{} at {at}", entry.kind.name()))?;
    // A tmpfs has the specification's mode, or that of the folder it covers.
    if let (true, false, Some(before)) = (own, entry.has_mode(), before) {
        fs::set_permissions(&entry.at, before.permissions()).step("set mode of", at.to_string())?;
    }
    if entry.flags.contains(MountFlags::RDONLY) {
        let flags = entry.flags | MountFlags::BIND;
        rustix::mount::mount_remount(&entry.at, flags, "").step("make read-only", at)?;
    }
    Ok(())
}

fn c_data(data: &str) -> Result<std::ffi::CString, SetupError> {
    std::ffi::CString::new(data).map_err(|_| SetupError::Nul {
        what: "a mount option",
    })
}

/// What every Linux program may expect in `/dev`.
fn standard_devices() -> Result<(), SetupError> {
    const NODES: [(&str, u32, u32); 6] = [
        ("/dev/null", 1, 3),
        ("/dev/zero", 1, 5),
        ("/dev/full", 1, 7),
        ("/dev/random", 1, 8),
        ("/dev/urandom", 1, 9),
        ("/dev/tty", 5, 0),
    ];
    const LINKS: [(&str, &str); 6] = [
        ("/dev/ptmx", "pts/ptmx"),
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
        ("/dev/core", "/proc/kcore"),
    ];
    for (path, major, minor) in NODES {
        make_device(&Device {
            path: PathBuf::from(path),
            mode: libc::S_IFCHR | 0o666,
            device: libc::makedev(major, minor),
            uid: 0,
            gid: 0,
        })?;
    }
    for (path, target) in LINKS {
        symlink(target, path).step("link", path)?;
    }
    Ok(())
}

fn make_device(device: &Device) -> Result<(), SetupError> {
    let path = &device.path;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).step("make folder", parent.display())?;
    }
    let kind = FileType::from_raw_mode(device.mode);
    let mode = Mode::from_raw_mode(device.mode & 0o7777);
    match rustix::fs::mknodat(CWD, path, kind, mode, device.device) {
        // A specification may list what is standard.
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(e) => return Err(e).step("make device", path.display()),
    }
    // The umask has cut the mode.
    fs::set_permissions(path, fs::Permissions::from_mode(device.mode & 0o7777))
        .step("set mode of", path.display())?;
    std::os::unix::fs::chown(path, Some(device.uid), Some(device.gid))
        .step("set owner of", path.display())
}

fn console(pty: Option<u32>) -> Result<(), SetupError> {
    let Some(pty) = pty else { return Ok(()) };
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_NOFOLLOW)
        .open("/dev/console");
    file.step("make", "/dev/console")?;
    rustix::mount::mount_bind(format!("/dev/pts/{pty}"), "/dev/console")
        .step("mount", "/dev/console")
}

/// Shows a provided file at `path`, which is made empty if it is not there.
fn show(path: &str, tree: &OwnedFd) -> Result<(), SetupError> {
    let target = end_of_links(Path::new(path));
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).step("make folder", parent.display())?;
    }
    if fs::symlink_metadata(&target).is_err() {
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&target);
        file.step("make mount point", path)?;
    }
    attach(tree.as_fd(), &target).step("mount provided file at", path)
}

/// Follows links at the end of a path, also dangling ones, as far as they go.
fn end_of_links(path: &Path) -> PathBuf {
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

/// Hides what is at `path`, if anything is.
fn mask(path: &Path) -> Result<(), SetupError> {
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(());
    };
    let masked = if metadata.is_dir() {
        rustix::mount::mount(
            "tmpfs",
            path,
            "tmpfs",
            MountFlags::RDONLY,
            c"mode=755,size=0k",
        )
    } else {
        rustix::mount::mount_bind("/dev/null", path)
    };
    masked.step("mask", path.display())
}

fn make_readonly(path: &Path) -> Result<(), SetupError> {
    if fs::metadata(path).is_err() {
        return Ok(());
    }
    rustix::mount::mount_bind_recursive(path, path).step("bind", path.display())?;
    // The flags of the filesystem below stay: they are the container's protection too.
    let kept = rustix::fs::statvfs(path).step("look at", path.display())?;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    for (kept_flag, flag) in [
        (rustix::fs::StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (rustix::fs::StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (rustix::fs::StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    ] {
        if kept.f_flag.contains(kept_flag) {
            flags |= flag;
        }
    }
    rustix::mount::mount_remount(path, flags, "").step("make read-only", path.display())
}
