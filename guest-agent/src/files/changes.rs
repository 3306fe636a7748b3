//! What a container has changed, read off its upper folder. To be called inside a cage around that.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hull_protocol::files::{Change, ChangeKind};
use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};

use super::pack::{children, is_opaque, is_whiteout};
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
        rustix::fs::fstat(self.open_at(relative, flags)?).ok()
    }

    /// What was in a folder; nothing where there was none.
    fn names(&self, path: &Path) -> Vec<OsString> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = path.strip_prefix("/").ok();
        let folder = folder.and_then(|path| self.open_at(path, flags));
        let Some(entries) = folder.and_then(|f| rustix::fs::Dir::new(f).ok()) else {
            return Vec::new();
        };
        let names = entries.flatten().map(|e| e.file_name().to_bytes().to_vec());
        names
            .filter(|name| name != b"." && name != b"..")
            .map(OsString::from_vec)
            .collect()
    }

    fn open_at(&self, path: &Path, flags: OFlags) -> Option<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve).ok()
    }
}

/// What is to be looked at next.
enum Place {
    Visit(PathBuf),
    /// In a folder that replaced the one before: what it does not have.
    Gone(PathBuf),
    Leave,
}

/// Writes every change as Docker tells them: parents before children, by name, and every folder on
/// the way to a change is a change too.
pub(super) fn write(lower: &Lower, out: impl Write) -> Result<(), FilesError> {
    let mut teller = Teller {
        out,
        folders: Vec::new(),
        wire: Vec::new(),
    };
    let mut waiting = Vec::new();
    enter(lower, Path::new("/"), &mut waiting)?;
    while let Some(step) = waiting.pop() {
        let path = match step {
            Place::Leave => {
                teller.folders.pop();
                continue;
            }
            Place::Gone(path) => {
                teller.tell(ChangeKind::Deleted, &path)?;
                continue;
            }
            Place::Visit(path) => path,
        };
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e).step("lstat", path.display()),
        };
        let kind = judge(&metadata, lower.look(&path).as_ref());
        if let Some(kind) = kind {
            teller.tell(kind, &path)?;
        }
        if metadata.is_dir() {
            waiting.push(Place::Leave);
            enter(lower, &path, &mut waiting)?;
            teller.folders.push((path, kind.is_some()));
        }
    }
    Ok(())
}

struct Teller<W> {
    out: W,
    /// Those around the current place, and whether they were told.
    folders: Vec<(PathBuf, bool)>,
    wire: Vec<u8>,
}

impl<W: Write> Teller<W> {
    fn tell(&mut self, kind: ChangeKind, path: &Path) -> Result<(), FilesError> {
        self.wire.clear();
        let mut add = |kind, path: &Path| {
            let path = path.as_os_str().as_bytes().to_vec();
            Change { kind, path }.encode(&mut self.wire);
        };
        for (folder, told) in &mut self.folders {
            if !*told {
                add(ChangeKind::Modified, folder);
                *told = true;
            }
        }
        add(kind, path);
        self.out
            .write_all(&self.wire)
            .map_err(FilesError::Connection)
    }
}

/// What has become of one path itself. Time and size of a folder say nothing about it.
fn judge(now: &Metadata, before: Option<&Stat>) -> Option<ChangeKind> {
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
    let same = now.mode() == before.st_mode
        && (now.uid(), now.gid()) == (before.st_uid, before.st_gid)
        && now.rdev() == before.st_rdev
        && (now.is_dir() || (same_moment && now.size() == before.st_size as u64));
    (!same).then_some(ChangeKind::Modified)
}

/// Puts what is in a folder on the list, the last first.
fn enter(lower: &Lower, path: &Path, waiting: &mut Vec<Place>) -> Result<(), FilesError> {
    let mut names: BTreeMap<OsString, bool> = BTreeMap::new();
    if is_opaque(path) {
        names.extend(lower.names(path).into_iter().map(|name| (name, false)));
    }
    names.extend(children(path)?.into_iter().map(|name| (name, true)));
    waiting.extend(names.into_iter().rev().map(|(name, here)| {
        let path = path.join(name);
        match here {
            true => Place::Visit(path),
            false => Place::Gone(path),
        }
    }));
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
                "Modified /bin",
                "Modified /bin/sh",
                "Modified /etc",
                "Modified /etc/deep",
                "Modified /etc/deep/er",
                "Modified /etc/deep/er/file",
                "Deleted /gone",
                "Added /new",
                "Modified /opaque",
                "Deleted /opaque/old",
                "Added /opaque/young",
                "Deleted /top",
                "Added /var",
                "Added /var/log",
            ]
        );
    }

    #[test]
    fn what_was_copied_up_and_is_as_it_was_is_no_change() {
        let overlay = Overlay::new();
        fs::create_dir_all(overlay.at("lower/root/a")).unwrap();
        fs::write(overlay.at("lower/root/a/f"), "x").unwrap();
        overlay.mount();
        let path = overlay.at("disk/root/root/a/f");
        let before = fs::metadata(&path).unwrap();
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o600);
        assert_eq!(
            overlay.changes(),
            ["Modified /root", "Modified /root/a", "Modified /root/a/f"]
        );
        mode(before.mode());
        assert_eq!(overlay.changes(), Vec::<String>::new());
        fs::write(&path, "longer").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
        assert_eq!(overlay.changes().len(), 3);
    }
}
