//! Which filesystems a container sees and how they are mounted: pure, from the specification.
//!
//! A container always gets the standard ones below. An entry of the specification for the same
//! place replaces the options (so `/sys` without `ro` is a privileged container's, and `/dev/shm`
//! has its size); entries for other places are added after them, in order. Only filesystems that
//! live in the guest's own kernel can be asked for.

use std::path::{Component, Path, PathBuf};

use rustix::mount::MountFlags;

use crate::spec::Mount;

/// Why a mount of the specification is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MountError {
    #[error("mount of type {kind} at {} is not supported", at.display())]
    Unsupported { kind: String, at: PathBuf },
    #[error("mount destination {} is not an absolute path", .0.display())]
    Relative(PathBuf),
    #[error("too many mounts: at most {MAX}")]
    TooMany,
}

/// The most mounts a specification may have.
const MAX: usize = 256;

/// A kind of filesystem the agent mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Proc,
    Sysfs,
    Tmpfs,
    Devpts,
    Mqueue,
    Cgroup,
}

impl Kind {
    /// The kernel's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proc => "proc",
            Self::Sysfs => "sysfs",
            Self::Tmpfs => "tmpfs",
            Self::Devpts => "devpts",
            Self::Mqueue => "mqueue",
            Self::Cgroup => "cgroup2",
        }
    }

    /// What `mount` shows as the source when the specification has none.
    fn source(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            other => other.name(),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "proc" => Self::Proc,
            "sysfs" => Self::Sysfs,
            "tmpfs" => Self::Tmpfs,
            "devpts" => Self::Devpts,
            "mqueue" => Self::Mqueue,
            "cgroup" | "cgroup2" => Self::Cgroup,
            _ => return None,
        })
    }
}

/// One mount to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) source: String,
    pub(crate) at: PathBuf,
    pub(crate) flags: MountFlags,
    pub(crate) data: String,
}

impl Entry {
    /// Whether the data sets the mode of the root folder.
    pub(crate) fn has_mode(&self) -> bool {
        self.data.split(',').any(|o| o.starts_with("mode="))
    }
}

/// Every mount of a container, in order.
pub(crate) fn plan(spec: &[Mount]) -> Result<Vec<Entry>, MountError> {
    if spec.len() > MAX {
        return Err(MountError::TooMany);
    }
    let mut plan = standard();
    for mount in spec {
        let at = normal(&mount.destination)?;
        let kind = mount.kind.as_deref().unwrap_or("none");
        let Some(kind) = Kind::parse(kind) else {
            return Err(MountError::Unsupported {
                kind: kind.to_owned(),
                at,
            });
        };
        let (flags, data) = options(&mount.options);
        let source = mount.source.as_deref().unwrap_or(kind.source()).to_owned();
        let entry = Entry {
            kind,
            source,
            at,
            flags,
            data,
        };
        match plan.iter_mut().find(|e| e.at == entry.at) {
            Some(standing) => *standing = entry,
            None => plan.push(entry),
        }
    }
    Ok(plan)
}

/// What every container has.
fn standard() -> Vec<Entry> {
    let usual = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let entry = |kind: Kind, at: &str, flags, data: &str| Entry {
        kind,
        source: kind.source().to_owned(),
        at: PathBuf::from(at),
        flags,
        data: data.to_owned(),
    };
    let device = MountFlags::NOSUID | MountFlags::NOEXEC;
    vec![
        entry(Kind::Proc, "/proc", usual, ""),
        entry(
            Kind::Tmpfs,
            "/dev",
            MountFlags::NOSUID,
            "mode=755,size=65536k",
        ),
        entry(Kind::Devpts, "/dev/pts", device, ""),
        entry(Kind::Sysfs, "/sys", usual | MountFlags::RDONLY, ""),
        entry(
            Kind::Cgroup,
            "/sys/fs/cgroup",
            usual | MountFlags::RDONLY,
            "",
        ),
        entry(Kind::Mqueue, "/dev/mqueue", usual, ""),
        entry(Kind::Tmpfs, "/dev/shm", usual, "mode=1777,size=65536k"),
    ]
}

/// Mount options as flags, and what is left as the filesystem's own data.
fn options(options: &[String]) -> (MountFlags, String) {
    let mut flags = MountFlags::empty();
    let mut data: Vec<&str> = Vec::new();
    for option in options {
        let (set, clear) = match option.as_str() {
            "ro" => (MountFlags::RDONLY, MountFlags::empty()),
            "rw" => (MountFlags::empty(), MountFlags::RDONLY),
            "nosuid" => (MountFlags::NOSUID, MountFlags::empty()),
            "suid" => (MountFlags::empty(), MountFlags::NOSUID),
            "nodev" => (MountFlags::NODEV, MountFlags::empty()),
            "dev" => (MountFlags::empty(), MountFlags::NODEV),
            "noexec" => (MountFlags::NOEXEC, MountFlags::empty()),
            "exec" => (MountFlags::empty(), MountFlags::NOEXEC),
            "noatime" => (MountFlags::NOATIME, MountFlags::empty()),
            "atime" => (MountFlags::empty(), MountFlags::NOATIME),
            "nodiratime" => (MountFlags::NODIRATIME, MountFlags::empty()),
            "diratime" => (MountFlags::empty(), MountFlags::NODIRATIME),
            "relatime" => (MountFlags::RELATIME, MountFlags::empty()),
            "norelatime" => (MountFlags::empty(), MountFlags::RELATIME),
            "strictatime" => (MountFlags::STRICTATIME, MountFlags::empty()),
            "sync" => (MountFlags::SYNCHRONOUS, MountFlags::empty()),
            "async" => (MountFlags::empty(), MountFlags::SYNCHRONOUS),
            // Propagation means nothing here: every container mount is private.
            "defaults" | "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                (MountFlags::empty(), MountFlags::empty())
            }
            _ => {
                data.push(option);
                continue;
            }
        };
        flags = (flags - clear) | set;
    }
    (flags, data.join(","))
}

/// An absolute path without `.`, `..` and doubled or trailing slashes.
fn normal(path: &Path) -> Result<PathBuf, MountError> {
    if !path.is_absolute() {
        return Err(MountError::Relative(path.to_owned()));
    }
    let mut out = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(json: serde_json::Value) -> Vec<Mount> {
        serde_json::from_value(json).unwrap()
    }

    fn at<'a>(plan: &'a [Entry], path: &str) -> &'a Entry {
        plan.iter().find(|e| e.at == Path::new(path)).unwrap()
    }

    #[test]
    fn without_a_specification_there_are_the_standard_ones() {
        let plan = plan(&[]).unwrap();
        let places: Vec<_> = plan.iter().map(|e| e.at.to_str().unwrap()).collect();
        let expected = [
            "/proc",
            "/dev",
            "/dev/pts",
            "/sys",
            "/sys/fs/cgroup",
            "/dev/mqueue",
            "/dev/shm",
        ];
        assert_eq!(places, expected);
        assert!(at(&plan, "/sys").flags.contains(MountFlags::RDONLY));
    }

    #[test]
    fn an_entry_for_a_standard_place_replaces_it_and_others_follow() {
        let plan = plan(&mounts(serde_json::json!([
            {"destination": "/tmp/x/../y/", "type": "tmpfs", "source": "tmpfs",
             "options": ["noexec", "size=1k", "mode=700"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "size=9m"]},
            {"destination": "/sys", "type": "sysfs", "options": ["rw", "nosuid"]},
        ])))
        .unwrap();
        let shm = at(&plan, "/dev/shm");
        assert_eq!((shm.source.as_str(), shm.data.as_str()), ("shm", "size=9m"));
        assert_eq!(at(&plan, "/sys").flags, MountFlags::NOSUID);
        let last = plan.last().unwrap();
        assert_eq!(last.at, Path::new("/tmp/y"));
        assert_eq!(last.flags, MountFlags::NOEXEC);
        assert_eq!(last.data, "size=1k,mode=700");
        assert!(last.has_mode());
    }

    #[test]
    fn filesystems_of_elsewhere_are_refused() {
        let bind = mounts(serde_json::json!([
            {"destination": "/x", "type": "bind", "source": "/y", "options": ["bind"]}]));
        assert!(matches!(plan(&bind), Err(MountError::Unsupported { .. })));
        let relative = mounts(serde_json::json!([{"destination": "x", "type": "tmpfs"}]));
        assert_eq!(
            plan(&relative),
            Err(MountError::Relative(PathBuf::from("x")))
        );
    }
}
