//! What a container has changed, read off its upper folder. To be called inside a cage around that.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hull_protocol::files::{Change, ChangeKind};
use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};

use super::pack::{is_opaque, is_whiteout};
use super::{FilesError, Step};

/// A folder of the time before the container.
pub(super) struct Lower(OwnedFd);

impl Lower {
    pub(super) fn open(path: &Path) -> Result<Self, FilesError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).step("open", path.display())?;
        Ok(Self(folder))
    }

    /// What was at a path; links in it are none of ours.
    fn look(&self, path: &Path) -> Option<Stat> {
        let relative = path.strip_prefix("/").ok()?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let found = open_beneath(self.0.as_fd(), relative, flags, resolve)?;
        rustix::fs::fstat(&found).ok()
    }
}

fn open_beneath(
    folder: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Option<OwnedFd> {
    rustix::fs::openat2(folder, path, flags, Mode::empty(), resolve).ok()
}

/// Writes every change, parents before children, by name.
pub(super) fn write(lower: &Lower, mut out: impl Write) -> Result<(), FilesError> {
    let mut waiting: Vec<PathBuf> = Vec::new();
    push_children(Path::new("/"), &mut waiting)?;
    let mut wire = Vec::new();
    while let Some(path) = waiting.pop() {
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e).step("lstat", path.display()),
        };
        let replaced = metadata.is_dir() && is_opaque(&path);
        if let Some(kind) = judge(&metadata, lower.look(&path).as_ref(), replaced) {
            let path = path.as_os_str().as_bytes().to_vec();
            wire.clear();
            Change { kind, path }.encode(&mut wire);
            out.write_all(&wire).map_err(FilesError::Connection)?;
        }
        if metadata.is_dir() {
            push_children(&path, &mut waiting)?;
        }
    }
    Ok(())
}

/// A folder is in the upper one too when only something below it has changed; one that has
/// replaced another is not the same, however it looks.
fn judge(now: &Metadata, before: Option<&Stat>, replaced: bool) -> Option<ChangeKind> {
    if is_whiteout(now) {
        // A whiteout of what was never there hides nothing: it is left from a rename.
        return before.map(|_| ChangeKind::Deleted);
    }
    let Some(before) = before else {
        return Some(ChangeKind::Added);
    };
    // A time that came through an archive has whole seconds.
    let nanoseconds = (now.mtime_nsec(), before.st_mtime_nsec as i64);
    let same_moment = now.mtime() == before.st_mtime
        && (nanoseconds.0 == nanoseconds.1 || nanoseconds.0 == 0 || nanoseconds.1 == 0);
    let same_folder = now.is_dir()
        && !replaced
        && now.mode() == before.st_mode
        && (now.uid(), now.gid()) == (before.st_uid, before.st_gid)
        && same_moment;
    (!same_folder).then_some(ChangeKind::Modified)
}

fn push_children(path: &Path, waiting: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).step("open", path.display()),
    };
    let mut names: Vec<OsString> = Vec::new();
    for entry in entries {
        names.push(entry.step("read", path.display())?.file_name());
    }
    names.sort_unstable();
    waiting.extend(names.into_iter().rev().map(|name| path.join(name)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustix::mount::MountFlags;

    use super::super::cage;
    use super::*;

    /// An overlay in a folder of its own, as the guest has it.
    struct Overlay(tempfile::TempDir);

    impl Overlay {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in ["disk", "lower"] {
                fs::create_dir(folder.path().join(name)).unwrap();
            }
            let this = Self(folder);
            // Some file systems of a host cannot be an upper folder.
            rustix::mount::mount("tmpfs", this.at("disk"), "tmpfs", MountFlags::empty(), c"")
                .unwrap();
            for name in ["disk/upper", "disk/work", "disk/root"] {
                fs::create_dir(this.at(name)).unwrap();
            }
            this
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn mount(&self) {
            let options = format!(
                "lowerdir={},upperdir={},workdir={}",
                self.at("lower").display(),
                self.at("disk/upper").display(),
                self.at("disk/work").display()
            );
            let options = std::ffi::CString::new(options).unwrap();
            let root = self.at("disk/root");
            rustix::mount::mount("overlay", &root, "overlay", MountFlags::empty(), &*options)
                .unwrap();
        }

        fn changes(&self) -> Vec<String> {
            let lower = Lower::open(&self.at("lower")).unwrap();
            let mut wire = Vec::new();
            cage::inside(&self.at("disk/upper"), || write(&lower, &mut wire)).unwrap();
            let mut rest = &wire[..];
            let mut seen = Vec::new();
            while let Some((change, after)) = Change::decode(rest).unwrap() {
                let path = String::from_utf8(change.path).unwrap();
                seen.push(format!("{:?} {path}", change.kind));
                rest = after;
            }
            assert!(rest.is_empty());
            seen
        }
    }

    impl Drop for Overlay {
        fn drop(&mut self) {
            for place in ["disk/root", "disk"] {
                // The first is not there in a test that failed early.
                let flags = rustix::mount::UnmountFlags::DETACH;
                let _ = rustix::mount::unmount(self.at(place), flags);
            }
        }
    }

    #[test]
    fn changes_are_told_as_docker_tells_them() {
        let overlay = Overlay::new();
        for folder in ["etc/deep/er", "gone/all", "opaque", "bin"] {
            fs::create_dir_all(overlay.at("lower").join(folder)).unwrap();
        }
        for file in [
            "etc/passwd",
            "etc/deep/er/file",
            "gone/all/x",
            "opaque/old",
            "bin/sh",
            "top",
        ] {
            fs::write(overlay.at("lower").join(file), "lower").unwrap();
        }
        overlay.mount();
        assert_eq!(overlay.changes(), Vec::<String>::new());

        let root = overlay.at("disk/root");
        fs::write(root.join("etc/deep/er/file"), "changed").unwrap();
        fs::write(root.join("new"), "").unwrap();
        fs::create_dir_all(root.join("var/log")).unwrap();
        fs::remove_dir_all(root.join("gone")).unwrap();
        fs::remove_dir_all(root.join("opaque")).unwrap();
        fs::create_dir(root.join("opaque")).unwrap();
        fs::write(root.join("opaque/young"), "").unwrap();
        fs::remove_file(root.join("top")).unwrap();
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(root.join("bin/sh"), mode).unwrap();
        let seen = overlay.changes();
        assert_eq!(
            seen,
            [
                "Modified /bin/sh",
                "Modified /etc/deep/er/file",
                "Deleted /gone",
                "Added /new",
                "Modified /opaque",
                "Added /opaque/young",
                "Deleted /top",
                "Added /var",
                "Added /var/log",
            ]
        );
    }

    #[test]
    fn a_folder_is_changed_when_its_own_content_is() {
        let overlay = Overlay::new();
        fs::create_dir_all(overlay.at("lower/root")).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH;
        let folder = fs::File::open(overlay.at("lower/root")).unwrap();
        folder.set_modified(old).unwrap();
        overlay.mount();
        fs::write(overlay.at("disk/root/root/f"), "").unwrap();
        assert_eq!(overlay.changes(), ["Modified /root", "Added /root/f"]);
    }
}
