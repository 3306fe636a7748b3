//! A tar into a folder, with Docker's rules for what is there already. To be called inside the
//! cage.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::{Component, Path, PathBuf};

use hull_protocol::files::Replace;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use tar::{Archive, Entry, EntryType};

use super::look::end;
use super::{FilesError, Step};

/// Attributes of files, as records of pax.
const XATTR: &str = "SCHILY.xattr.";

/// How to unpack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) replace: Replace,
    /// User and group of everything, instead of the archive's.
    pub(super) owner: Option<(u32, u32)>,
}

/// The folder that a path leads to.
pub(super) fn folder(path: &Path) -> Result<PathBuf, FilesError> {
    let place = end(path);
    match fs::symlink_metadata(&place) {
        Ok(metadata) if metadata.is_dir() => Ok(place),
        Ok(_) => Err(FilesError::NotDirectory),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(FilesError::NoSuchPath(path.display().to_string()))
        }
        Err(e) => Err(e).step("lstat", path.display()),
    }
}

/// Unpacks everything; what was unpacked before an error stays.
pub(super) fn unpack(from: impl Read, into: &Path, rules: Rules) -> Result<(), FilesError> {
    let mut archive = Archive::new(from);
    // Folders get their times last: each entry in them changes those.
    let mut folders = Vec::new();
    for entry in archive.entries().map_err(FilesError::Damaged)? {
        let mut entry = entry.map_err(FilesError::Damaged)?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            continue;
        }
        let mut facts = Facts::of(&mut entry)?;
        if let Some(owner) = rules.owner {
            (facts.uid, facts.gid) = owner;
        }
        let place = inside(into, &entry.path_bytes())?;
        if place == into && kind == EntryType::Directory {
            continue;
        }
        make_way(&place, into, kind, rules.replace)?;
        if let Some(parent) = place.parent()
            && fs::symlink_metadata(parent).is_err()
        {
            fs::create_dir_all(parent).step("mkdir", parent.display())?;
        }
        make(&mut entry, &place, into)?;
        if kind == EntryType::Link {
            continue;
        }
        facts.apply(&place, kind)?;
        match kind {
            EntryType::Directory => folders.push((place, facts.mtime)),
            _ => touch(&place, facts.mtime)?,
        }
    }
    for (place, mtime) in folders.iter().rev() {
        touch(place, *mtime)?;
    }
    Ok(())
}

/// What a field of a header says: nothing in it is 0, as for Docker.
fn number<N: Default>(field: &[u8], value: io::Result<N>) -> io::Result<N> {
    match field.iter().all(|byte| matches!(byte, 0 | b' ')) {
        true => Ok(N::default()),
        false => value,
    }
}

/// Owner, permissions, time and attributes, from the header or the pax records before it.
struct Facts {
    uid: u32,
    gid: u32,
    mode: u32,
    mtime: i64,
    attributes: Vec<(String, Vec<u8>)>,
}

impl Facts {
    fn of<R: Read>(entry: &mut Entry<'_, R>) -> Result<Self, FilesError> {
        let header = entry.header();
        let id = |value: io::Result<u64>| {
            let value = value.map_err(FilesError::Damaged)?;
            u32::try_from(value).map_err(|_| bad(format!("an owner's number of {value}")))
        };
        let fields = header.as_old();
        let mode = number(&fields.mode, header.mode()).map_err(FilesError::Damaged)?;
        let mtime = number(&fields.mtime, header.mtime()).map_err(FilesError::Damaged)?;
        let mut facts = Self {
            uid: id(number(&fields.uid, header.uid()))?,
            gid: id(number(&fields.gid, header.gid()))?,
            mode: mode & 0o7777,
            mtime: i64::try_from(mtime).unwrap_or_default(),
            attributes: Vec::new(),
        };
        let Some(records) = entry.pax_extensions().map_err(FilesError::Damaged)? else {
            return Ok(facts);
        };
        for record in records {
            let record = record.map_err(FilesError::Damaged)?;
            let Ok(key) = record.key() else { continue };
            let number = || {
                let text = record.value().unwrap_or_default();
                // Fractions of seconds are dropped.
                let whole = text.split('.').next().unwrap_or_default();
                whole
                    .parse::<i64>()
                    .map_err(|_| bad(format!("{key}={text}")))
            };
            let owner = |value| u32::try_from(value).map_err(|_| bad(format!("{key}={value}")));
            match key {
                "uid" => facts.uid = owner(number()?)?,
                "gid" => facts.gid = owner(number()?)?,
                "mtime" => facts.mtime = number()?,
                _ => {
                    if let Some(name) = key.strip_prefix(XATTR) {
                        let value = record.value_bytes().to_vec();
                        facts.attributes.push((name.to_owned(), value));
                    }
                }
            }
        }
        Ok(facts)
    }

    fn apply(&self, place: &Path, kind: EntryType) -> Result<(), FilesError> {
        lchown(place, Some(self.uid), Some(self.gid)).step("lchown", place.display())?;
        for (name, value) in &self.attributes {
            match rustix::fs::lsetxattr(place, name.as_str(), value, XattrFlags::empty()) {
                // As Docker: an attribute that this file cannot have is no reason to fail.
                Ok(()) | Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::PERM) => {}
                Err(e) => return Err(e).step("set attribute of", place.display()),
            }
        }
        if kind == EntryType::Symlink {
            return Ok(());
        }
        let mode = fs::Permissions::from_mode(self.mode);
        fs::set_permissions(place, mode).step("chmod", place.display())
    }
}

/// Removes what is in the entry's place, unless both are folders.
fn make_way(
    place: &Path,
    into: &Path,
    kind: EntryType,
    replace: Replace,
) -> Result<(), FilesError> {
    let Ok(there) = fs::symlink_metadata(place) else {
        return Ok(());
    };
    let names = || (place.display().to_string(), into.display().to_string());
    match (there.is_dir(), kind == EntryType::Directory, replace) {
        (true, true, _) => Ok(()),
        (true, false, Replace::LikeWithLike) => {
            let (place, into) = names();
            Err(FilesError::DirectoryInTheWay(place, into))
        }
        (false, true, Replace::LikeWithLike) => {
            let (place, into) = names();
            Err(FilesError::FileInTheWay(place, into))
        }
        (true, false, _) => fs::remove_dir_all(place).step("remove", place.display()),
        (false, ..) => fs::remove_file(place).step("remove", place.display()),
    }
}

fn make<R: Read>(entry: &mut Entry<'_, R>, place: &Path, into: &Path) -> Result<(), FilesError> {
    let header = entry.header();
    let kind = header.entry_type();
    match kind {
        EntryType::Directory => match fs::create_dir(place) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                Err(e).step("mkdir", place.display())
            }
            _ => Ok(()),
        },
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(place);
            let mut file = file.step("create", place.display())?;
            copy(entry, &mut file, place)
        }
        EntryType::Symlink => {
            let target = link_name(entry)?;
            symlink(target, place).step("symlink", place.display())
        }
        EntryType::Link => {
            let target = inside(into, link_name(entry)?.as_os_str().as_bytes())?;
            fs::hard_link(&target, place).step("link", place.display())
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            let number = |part: io::Result<Option<u32>>| {
                part.map(Option::unwrap_or_default)
                    .map_err(FilesError::Damaged)
            };
            let major = number(header.device_major())?;
            let minor = number(header.device_minor())?;
            let file_type = match kind {
                EntryType::Char => FileType::CharacterDevice,
                EntryType::Block => FileType::BlockDevice,
                _ => FileType::Fifo,
            };
            let mode = Mode::from_raw_mode(0o600);
            let device = libc::makedev(major, minor);
            rustix::fs::mknodat(CWD, place, file_type, mode, device).step("mknod", place.display())
        }
        other => Err(bad(format!(
            "unhandled tar header type {}",
            char::from(other.as_byte())
        ))),
    }
}

/// Errors of reading are the archive's, those of writing the disk's.
fn copy(mut from: impl Read, to: &mut File, place: &Path) -> Result<(), FilesError> {
    use std::io::Write;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(FilesError::Damaged(e)),
        };
        to.write_all(&buffer[..count])
            .step("write", place.display())?;
    }
}

fn link_name<R: Read>(entry: &Entry<'_, R>) -> Result<PathBuf, FilesError> {
    let name = entry.link_name_bytes();
    let name = name.ok_or_else(|| bad("a link without a target".to_owned()))?;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(&name)))
}

/// Where a name of the archive is.
fn inside(into: &Path, name: &[u8]) -> Result<PathBuf, FilesError> {
    let name = Path::new(std::ffi::OsStr::from_bytes(name));
    let mut place = into.to_owned();
    for component in name.components() {
        match component {
            Component::Normal(part) => place.push(part),
            Component::ParentDir if place != into => drop(place.pop()),
            Component::ParentDir => {
                let (name, into) = (name.display(), into.display());
                return Err(bad(format!("{name:?} is outside of {into:?}")));
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(place)
}

fn touch(place: &Path, mtime: i64) -> Result<(), FilesError> {
    let time = Timespec {
        tv_sec: mtime,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, place, &times, AtFlags::SYMLINK_NOFOLLOW)
        .step("set time of", place.display())
}

fn bad(what: String) -> FilesError {
    FilesError::BadArchive(what)
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
