//! A container's tar into a folder of this host. Blocks.
//!
//! The tar is hostile. Every name is walked from the folder's descriptor without following a link,
//! so nothing is written outside; files become the caller's; set-user-id bits and devices, which a
//! container could use against this host's other users, are left out.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, fchmod, linkat, mkdirat,
    openat2, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};

/// Bits of a mode that are kept.
const KEPT: u32 = 0o1777;

/// What was left out, for people.
pub(crate) type Warnings = Vec<String>;

/// Unpacks in `folder`. `rename` replaces the first part of every name.
pub(crate) fn unpack(from: impl Read, folder: &Path, rename: Option<&str>) -> io::Result<Warnings> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = Target {
        folder: rustix::fs::open(folder, flags, Mode::empty())?,
        rename: rename.map(OsStr::new),
    };
    let mut archive = Archive::new(from);
    let mut warnings = Warnings::new();
    // Each entry in a folder changes its time, and its mode may forbid more entries.
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = target.name(&entry.path_bytes())?;
        let Some(name) = path.file_name() else {
            continue;
        };
        let parent = target.parent(&path)?;
        let header = entry.header();
        let kind = header.entry_type();
        let (mode, mtime) = (header.mode()? & KEPT, header.mtime()?);
        make_way(&parent, name, &path, kind)?;
        match kind {
            EntryType::Directory => {
                match mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e.into()),
                }
                folders.push((path, mode, mtime));
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let flags = flags | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o600))?;
                let mut file = File::from(file);
                io::copy(&mut entry, &mut file)?;
                fchmod(&file, Mode::from_raw_mode(mode))?;
                touch(&parent, name, mtime)?;
            }
            EntryType::Symlink => {
                symlinkat(&*link(&entry)?, &parent, name)?;
                touch(&parent, name, mtime)?;
            }
            EntryType::Link => {
                let to = target.name(link(&entry)?.as_os_str().as_bytes())?;
                let old = to.file_name().ok_or_else(|| outside(&to))?;
                linkat(target.parent(&to)?, old, &parent, name, AtFlags::empty())?;
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                warnings.push(format!("left out {}: a special file", path.display()));
            }
            _ => {}
        }
    }
    for (path, mode, mtime) in folders.iter().rev() {
        let (parent, name) = (target.parent(path)?, path.file_name().unwrap_or_default());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&parent, name, flags, Mode::empty())?;
        fchmod(&folder, Mode::from_raw_mode(*mode))?;
        touch(&parent, name, *mtime)?;
    }
    Ok(warnings)
}

struct Target<'a> {
    folder: OwnedFd,
    rename: Option<&'a OsStr>,
}

impl Target<'_> {
    /// Where a name of the archive goes, below the folder; empty for the folder itself.
    fn name(&self, name: &[u8]) -> io::Result<PathBuf> {
        let mut path = PathBuf::new();
        for component in Path::new(OsStr::from_bytes(name)).components() {
            match component {
                Component::Normal(part) => path.push(part),
                Component::ParentDir => return Err(outside(Path::new(OsStr::from_bytes(name)))),
                // `./x` of what was asked for as `folder/.`
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        let Some(new) = self.rename else {
            return Ok(path);
        };
        let dotted = name == b"." || name.starts_with(b"./");
        let mut parts = path.components();
        if !dotted {
            parts.next();
        }
        Ok(Path::new(new).join(parts.as_path()))
    }

    /// The folder that a path is in, made if it is not there.
    fn parent(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut at = self.folder.try_clone()?;
        for part in path.parent().unwrap_or(Path::new("")).components() {
            let part = part.as_os_str();
            at = match below(&at, part) {
                Err(Errno::NOENT) => {
                    mkdirat(&at, part, Mode::from_raw_mode(0o755))?;
                    below(&at, part)?
                }
                other => other.map_err(|e| match e {
                    Errno::LOOP | Errno::NOTDIR => outside(path),
                    e => e.into(),
                })?,
            };
        }
        Ok(at)
    }
}

fn below(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(folder, name, flags, Mode::empty(), resolve)
}

/// Removes a file in the way. Folders and files do not replace each other.
fn make_way(parent: &OwnedFd, name: &OsStr, path: &Path, kind: EntryType) -> io::Result<()> {
    let there = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let refused = |text: &str| Err(io::Error::other(format!("{text} {:?}", path.display())));
    match (there == FileType::Directory, kind == EntryType::Directory) {
        (true, true) => Ok(()),
        (true, false) => refused("cannot overwrite directory with non-directory"),
        (false, true) => refused("cannot overwrite non-directory with directory"),
        (false, false) => Ok(unlinkat(parent, name, AtFlags::empty())?),
    }
}

fn link<R: Read>(entry: &Entry<'_, R>) -> io::Result<PathBuf> {
    let target = entry.link_name_bytes();
    let target = target.ok_or_else(|| io::Error::other("a link without a target"))?;
    Ok(PathBuf::from(OsStr::from_bytes(&target)))
}

fn touch(parent: &OwnedFd, name: &OsStr, mtime: u64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(mtime).unwrap_or_default(),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(
        parent.as_fd(),
        name,
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn outside(path: &Path) -> io::Error {
    io::Error::other(format!("{:?} leads out of the destination", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tar::{Builder, Header};

    use super::*;

    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for (kind, name, content) in entries {
            let mut header = Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_mode(0o6755);
            header.set_mtime(7);
            let is_link = matches!(kind, EntryType::Link | EntryType::Symlink);
            let data = if is_link { "" } else { content };
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            if is_link {
                let field = &mut header.as_old_mut().linkname;
                field[..content.len()].copy_from_slice(content.as_bytes());
            }
            header.set_size(data.len() as u64);
            header.set_cksum();
            tar.append(&header, data.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    const DIR: EntryType = EntryType::Directory;
    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn a_tree_arrives_without_set_id_bits() {
        let folder = tempfile::tempdir().unwrap();
        let tar = archive(&[
            (DIR, "d/", ""),
            (FILE, "d/f", "content"),
            (EntryType::Symlink, "d/l", "/etc/passwd"),
            (EntryType::Link, "d/h", "d/f"),
        ]);
        assert!(unpack(&tar[..], folder.path(), None).unwrap().is_empty());
        let metadata = fs::metadata(folder.path().join("d/f")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o755);
        assert_eq!(
            fs::read_to_string(folder.path().join("d/h")).unwrap(),
            "content"
        );
        let renamed = unpack(&tar[..], folder.path(), Some("new"));
        assert!(renamed.unwrap().is_empty());
        assert!(folder.path().join("new/f").exists());
        assert!(!folder.path().join("new/d").exists());
    }

    #[test]
    fn dotted_names_are_contents() {
        let folder = tempfile::tempdir().unwrap();
        let tar = archive(&[(DIR, "./", ""), (FILE, "./f", "x")]);
        unpack(&tar[..], folder.path(), None).unwrap();
        assert!(folder.path().join("f").exists());
        unpack(&tar[..], folder.path(), Some("new")).unwrap();
        assert!(folder.path().join("new/f").exists());
    }

    #[test]
    fn nothing_is_written_outside() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("in");
        fs::create_dir(&folder).unwrap();
        fs::write(outer.path().join("victim"), "whole").unwrap();
        symlink("..", folder.join("up")).unwrap();
        for entries in [
            &[(FILE, "../victim", "gone")][..],
            &[(FILE, "up/victim", "gone")],
            &[(EntryType::Symlink, "s", ".."), (FILE, "s/victim", "gone")],
            &[(EntryType::Link, "h", "../victim")],
            &[(EntryType::Link, "h", "up/victim")],
        ] {
            let refused = unpack(&archive(entries)[..], &folder, None);
            assert!(refused.is_err(), "{entries:?}");
            let victim = fs::read_to_string(outer.path().join("victim")).unwrap();
            assert_eq!(victim, "whole");
        }
        // A link in the way is replaced, not followed.
        symlink("../victim", folder.join("f")).unwrap();
        unpack(&archive(&[(FILE, "f", "new")])[..], &folder, None).unwrap();
        assert_eq!(
            fs::read_to_string(outer.path().join("victim")).unwrap(),
            "whole"
        );
    }

    #[test]
    fn special_files_are_left_out_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let tar = archive(&[(EntryType::Char, "tty", ""), (FILE, "f", "x")]);
        let warnings = unpack(&tar[..], folder.path(), None).unwrap();
        assert_eq!(warnings, ["left out tty: a special file"]);
        assert!(folder.path().join("f").exists() && !folder.path().join("tty").exists());
    }

    #[test]
    fn folders_and_files_do_not_replace_each_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("x")).unwrap();
        assert!(unpack(&archive(&[(FILE, "x", "")])[..], folder.path(), None).is_err());
        fs::write(folder.path().join("y"), "").unwrap();
        assert!(unpack(&archive(&[(DIR, "y", "")])[..], folder.path(), None).is_err());
    }
}
