//! The builder against the kernel: the same entries into a layer and into a real directory whose
//! paths are resolved with `RESOLVE_IN_ROOT`, which is to say as in a chroot.

mod listing;

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hull_layer::{BuildError, Builder, DeviceKind, Limits, Meta};
use listing::{lines, open};
use proptest::prelude::*;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

#[derive(Debug, Clone)]
enum Op {
    Directory { path: String, mode: u32 },
    File { path: String, text: String },
    Symlink { path: String, target: String },
    Hardlink { path: String, existing: String },
    Fifo { path: String },
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[abc]", 1..5).prop_map(|names| names.join("/"))
}

fn target() -> impl Strategy<Value = String> {
    let component =
        prop_oneof![4 => "[abc]", 1 => Just("..".to_owned()), 1 => Just(".".to_owned())];
    ("/?", prop::collection::vec(component, 1..4))
        .prop_map(|(root, names)| format!("{root}{}", names.join("/")))
}

fn op() -> impl Strategy<Value = Op> {
    let mode = prop::sample::select(vec![0o700, 0o755, 0o1777, 0o2750]);
    prop_oneof![
        3 => (path(), mode).prop_map(|(path, mode)| Op::Directory { path, mode }),
        4 => (path(), "[xyz]{0,3}").prop_map(|(path, text)| Op::File { path, text }),
        4 => (path(), target()).prop_map(|(path, target)| Op::Symlink { path, target }),
        3 => (path(), path()).prop_map(|(path, existing)| Op::Hardlink { path, existing }),
        1 => path().prop_map(|path| Op::Fifo { path }),
    ]
}

fn build(builder: &mut Builder, op: &Op) -> Result<(), BuildError> {
    let meta = |mode| Meta {
        mode,
        ..Meta::default()
    };
    match op {
        Op::Directory { path, mode } => builder.directory(path.as_bytes(), meta(*mode)),
        Op::File { path, text } => {
            let mut file = builder.file(path.as_bytes(), meta(0o640))?;
            file.append(text.as_bytes())?;
            file.finish()
        }
        Op::Symlink { path, target } => {
            builder.symlink(path.as_bytes(), target.as_bytes(), meta(0o777))
        }
        Op::Hardlink { path, existing } => builder.hardlink(path.as_bytes(), existing.as_bytes()),
        Op::Fifo { path } => builder.device(path.as_bytes(), DeviceKind::Fifo, 0, 0, meta(0o600)),
    }
}

/// A directory on the host that entries are unpacked into.
struct Directory {
    root: OwnedFd,
}

/// Where an entry goes: its parent's descriptor as a path of the host, and its name.
struct Slot {
    _parent: OwnedFd,
    path: PathBuf,
}

impl Slot {
    fn new(parent: OwnedFd, name: &str) -> Slot {
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", parent.as_raw_fd()));
        Slot {
            _parent: parent,
            path,
        }
    }

    fn clear(&self) {
        let Ok(metadata) = fs::symlink_metadata(&self.path) else {
            return;
        };
        if metadata.is_dir() {
            fs::remove_dir_all(&self.path).unwrap();
        } else {
            fs::remove_file(&self.path).unwrap();
        }
    }
}

impl Directory {
    fn new(path: &Path) -> Directory {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        Directory {
            root: rustix::fs::open(path, flags, Mode::empty()).unwrap(),
        }
    }

    fn resolve(&self, path: &str) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let resolve = ResolveFlags::IN_ROOT;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)
    }

    fn slot(&self, path: &str) -> Result<Slot, Errno> {
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut at = 0;
        for component in parents.split('/').filter(|component| !component.is_empty()) {
            let end = at + component.len();
            match self.resolve(&parents[..end]) {
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    let above = self.resolve(parents[..at].trim_end_matches('/'))?;
                    let mode = Mode::from_raw_mode(0o755);
                    rustix::fs::mkdirat(&above, component, mode)?;
                    let made = Slot::new(above, component);
                    fs::set_permissions(&made.path, PermissionsExt::from_mode(0o755)).unwrap();
                }
                Err(errno) => return Err(errno),
            }
            at = end + 1;
        }
        Ok(Slot::new(self.resolve(parents)?, name))
    }

    fn unpack(&self, op: &Op) -> Result<(), Errno> {
        let permissions = |path: &Path, mode| {
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        match op {
            Op::Directory { path, mode } => {
                let slot = self.slot(path)?;
                if !fs::symlink_metadata(&slot.path).is_ok_and(|found| found.is_dir()) {
                    slot.clear();
                    fs::create_dir(&slot.path).unwrap();
                }
                permissions(&slot.path, *mode);
            }
            Op::File { path, text } => {
                let slot = self.slot(path)?;
                slot.clear();
                fs::write(&slot.path, text).unwrap();
                permissions(&slot.path, 0o640);
            }
            Op::Symlink { path, target } => {
                let slot = self.slot(path)?;
                slot.clear();
                std::os::unix::fs::symlink(target, &slot.path).unwrap();
            }
            Op::Hardlink { path, existing } => self.hardlink(path, existing)?,
            Op::Fifo { path } => {
                let slot = self.slot(path)?;
                slot.clear();
                let fifo = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, &slot.path, fifo, Mode::empty(), 0).unwrap();
                permissions(&slot.path, 0o600);
            }
        }
        Ok(())
    }

    fn hardlink(&self, path: &str, existing: &str) -> Result<(), Errno> {
        let (parents, name) = existing.rsplit_once('/').unwrap_or(("", existing));
        let target = Slot::new(self.resolve(parents)?, name);
        let metadata = fs::symlink_metadata(&target.path).map_err(|_| Errno::NOENT)?;
        if metadata.is_dir() {
            return Err(Errno::PERM);
        }
        // Held by a second name, since making room may remove the first.
        let held = Slot::new(self.resolve("")?, "held");
        fs::hard_link(&target.path, &held.path).unwrap();
        let made = self.slot(path).map(|slot| {
            if !fs::symlink_metadata(&slot.path).is_ok_and(|found| found.ino() == metadata.ino()) {
                slot.clear();
                fs::hard_link(&held.path, &slot.path).unwrap();
            }
        });
        held.clear();
        made
    }
}

/// The directory in the words of `listing::lines`.
fn directory_lines(path: &Path, shown: &str, lines: &mut Vec<String>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let kind = metadata.file_type();
    let mode = metadata.permissions().mode() & 0o7777;
    let name = if shown.is_empty() { "/" } else { shown };
    let detail = if kind.is_dir() {
        "dir".to_owned()
    } else if kind.is_symlink() {
        format!("-> {}", fs::read_link(path).unwrap().display())
    } else if kind.is_fifo() {
        "Fifo 0".to_owned()
    } else {
        format!("file {:?}", fs::read_to_string(path).unwrap())
    };
    let links = match metadata.nlink() {
        links if !kind.is_dir() && links > 1 => format!(" x{links}"),
        _ => String::new(),
    };
    lines.push(format!("{name} {detail} {mode:o}{links}"));
    if kind.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        let mut names = entries
            .map(|entry| entry.unwrap().file_name())
            .collect::<Vec<_>>();
        names.sort();
        for name in names {
            let shown = format!("{shown}/{}", name.to_str().unwrap());
            directory_lines(&path.join(&name), &shown, lines);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn layers_hold_what_a_chroot_would_unpack(ops in prop::collection::vec(op(), 0..25)) {
        let host = tempfile::tempdir().unwrap();
        fs::set_permissions(host.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let directory = Directory::new(host.path());
        let file = tempfile::tempfile().unwrap();
        let mut builder = Builder::new(file.try_clone().unwrap(), Limits::default()).unwrap();
        for op in &ops {
            let built = build(&mut builder, op);
            let unpacked = directory.unpack(op);
            prop_assert_eq!(
                built.is_ok(), unpacked.is_ok(), "{:?}: {:?} but {:?}", op, built, unpacked
            );
        }
        builder.finish().unwrap();
        let mut expected = Vec::new();
        directory_lines(host.path(), "", &mut expected);
        prop_assert_eq!(lines(&open(file)), expected);
    }
}
