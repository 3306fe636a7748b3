//! A folder as a pax tar. To be called inside the cage.
//!
//! The container may be running: what has gone when its turn comes is left out, and a file that
//! shrinks or grows while it is read is filled up with zeros or cut to the size that was announced.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::{FilesError, Step};

const BLOCK: usize = 512;
/// The most that a plain header holds.
const MAX_NAME: usize = 100;
const MAX_OCTAL_SIZE: u64 = 0o777_7777_7777;
const MAX_OCTAL_ID: u32 = 0o777_7777;
const OPAQUE: &str = "trusted.overlay.opaque";
/// The only attributes that belong to a file and not to this machine.
const KEPT_ATTRIBUTES: [&str; 2] = ["security.capability", "user."];

/// How an upper folder's own signs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whiteouts {
    /// There are none: this is a merged root.
    None,
    /// As image layers have them.
    Oci,
}

/// Writes tar entries.
pub(super) struct Packer<W> {
    out: W,
    whiteouts: Whiteouts,
    /// The first name of each file that has several.
    names: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Packer<W> {
    pub(super) fn new(out: W, whiteouts: Whiteouts) -> Self {
        Self {
            out,
            whiteouts,
            names: HashMap::new(),
        }
    }

    /// Packs what is at `path` under the name `name`; a folder with all that is in it.
    pub(super) fn tree(&mut self, path: &Path, name: &[u8]) -> Result<(), FilesError> {
        let metadata = fs::symlink_metadata(path).step("lstat", path.display())?;
        let is_folder = metadata.is_dir();
        self.entry(path, name, &metadata)?;
        match is_folder {
            // The root's own name is just the slash.
            true if name == b"/" => self.inside(path, b""),
            true => self.inside(path, name),
            false => Ok(()),
        }
    }

    /// Packs all that is in a folder, but not the folder itself.
    pub(super) fn contents(&mut self, path: &Path) -> Result<(), FilesError> {
        for child in children(path)? {
            self.child(path.join(&child), child.into_vec())?;
        }
        Ok(())
    }

    /// The archive's end.
    pub(super) fn finish(mut self) -> Result<W, FilesError> {
        self.write(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn inside(&mut self, path: &Path, name: &[u8]) -> Result<(), FilesError> {
        for child in children(path)? {
            let name = [name, b"/", child.as_bytes()].concat();
            self.child(path.join(&child), name)?;
        }
        Ok(())
    }

    /// One below: not a recursion of the whole tree in one frame, as depth is the container's.
    fn child(&mut self, path: PathBuf, name: Vec<u8>) -> Result<(), FilesError> {
        let mut waiting = vec![(path, name)];
        while let Some((path, name)) = waiting.pop() {
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e).step("lstat", path.display()),
            };
            if self.whiteouts == Whiteouts::Oci && is_whiteout(&metadata) {
                self.empty_file(&sibling(&name, b".wh."))?;
                continue;
            }
            self.entry(&path, &name, &metadata)?;
            if !metadata.is_dir() {
                continue;
            }
            if self.whiteouts == Whiteouts::Oci && is_opaque(&path) {
                self.empty_file(&[&name[..], b"/.wh..wh..opq"].concat())?;
            }
            for child in children(&path)?.into_iter().rev() {
                let name = [&name[..], b"/", child.as_bytes()].concat();
                waiting.push((path.join(&child), name));
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &[u8], metadata: &Metadata) -> Result<(), FilesError> {
        let kind = metadata.file_type();
        let mut head = Head::new(name, metadata);
        if metadata.is_file() {
            let mut file = match File::open(path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(e).step("open", path.display()),
            };
            if metadata.nlink() > 1 {
                let inode = (metadata.dev(), metadata.ino());
                if let Some(first) = self.names.get(&inode) {
                    head.link(EntryType::Link, &first.clone());
                    return self.header(&head);
                }
                self.names.insert(inode, name.to_vec());
            }
            head.attributes(path);
            head.size(metadata.size());
            self.header(&head)?;
            return self.file(&mut file, metadata.size(), path);
        }
        if metadata.is_dir() {
            head.attributes(path);
            head.folder();
        } else if metadata.is_symlink() {
            let target = fs::read_link(path).step("readlink", path.display())?;
            head.link(EntryType::Symlink, target.as_os_str().as_bytes());
        } else if kind.is_char_device() {
            head.device(EntryType::Char, metadata.rdev());
        } else if kind.is_block_device() {
            head.device(EntryType::Block, metadata.rdev());
        } else if kind.is_fifo() {
            head.device(EntryType::Fifo, 0);
        } else {
            // A socket: nothing without the process behind it.
            return Ok(());
        }
        self.header(&head)
    }

    fn empty_file(&mut self, name: &[u8]) -> Result<(), FilesError> {
        let mut head = Head::plain(name);
        head.fields.set_mode(0o600);
        self.header(&head)
    }

    fn file(&mut self, file: &mut File, size: u64, path: &Path) -> Result<(), FilesError> {
        let mut buffer = vec![0; 64 << 10];
        let mut left = size;
        let mut ended = false;
        while left > 0 {
            let most = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let piece = &mut buffer[..most];
            let count = match ended {
                true => 0,
                false => file.read(piece).step("read", path.display())?,
            };
            if count == 0 {
                ended = true;
                piece.fill(0);
            }
            let count = if ended { most } else { count };
            self.write(&buffer[..count])?;
            left -= count as u64;
        }
        self.pad(size)
    }

    fn header(&mut self, head: &Head) -> Result<(), FilesError> {
        if !head.records.is_empty() {
            let mut pax = Header::new_ustar();
            pax.set_entry_type(EntryType::XHeader);
            pax.set_size(head.records.len() as u64);
            pax.set_mode(0o644);
            name_field(&mut pax, b"PaxHeaders");
            pax.set_cksum();
            self.write(pax.as_bytes())?;
            self.write(&head.records)?;
            self.pad(head.records.len() as u64)?;
        }
        let mut fields = head.fields.clone();
        fields.set_cksum();
        self.write(fields.as_bytes())
    }

    fn pad(&mut self, size: u64) -> Result<(), FilesError> {
        let over = (size % BLOCK as u64) as usize;
        match over {
            0 => Ok(()),
            over => self.write(&[0; BLOCK][over..]),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        self.out.write_all(bytes).map_err(FilesError::Connection)
    }
}

/// A header, and the pax records that say what does not fit in it.
struct Head {
    fields: Header,
    records: Vec<u8>,
    name: Vec<u8>,
}

impl Head {
    fn plain(name: &[u8]) -> Self {
        let mut head = Self {
            fields: Header::new_ustar(),
            records: Vec::new(),
            name: name.to_vec(),
        };
        head.fields.set_entry_type(EntryType::Regular);
        head.fields.set_size(0);
        head.fields.set_uid(0);
        head.fields.set_gid(0);
        head.fields.set_mtime(0);
        head.set_name();
        head
    }

    fn new(name: &[u8], metadata: &Metadata) -> Self {
        let mut head = Self::plain(name);
        head.fields.set_mode(metadata.mode() & 0o7777);
        for (key, id) in [("uid", metadata.uid()), ("gid", metadata.gid())] {
            let fitting = if id > MAX_OCTAL_ID { 0 } else { id };
            match key {
                "uid" => head.fields.set_uid(fitting.into()),
                _ => head.fields.set_gid(fitting.into()),
            }
            if id > MAX_OCTAL_ID {
                head.record(key, id.to_string().as_bytes());
            }
        }
        match u64::try_from(metadata.mtime()) {
            Ok(seconds) if seconds <= MAX_OCTAL_SIZE => head.fields.set_mtime(seconds),
            _ => head.record("mtime", metadata.mtime().to_string().as_bytes()),
        }
        head
    }

    fn set_name(&mut self) {
        let name = std::mem::take(&mut self.name);
        if name.len() > MAX_NAME {
            self.record("path", &name);
        }
        name_field(&mut self.fields, &name);
        self.name = name;
    }

    fn folder(&mut self) {
        self.fields.set_entry_type(EntryType::Directory);
        if self.name.last() != Some(&b'/') {
            self.name.push(b'/');
            // A record of the name without the slash may have been made: the last one counts.
            self.set_name();
        }
    }

    fn link(&mut self, kind: EntryType, target: &[u8]) {
        self.fields.set_entry_type(kind);
        if target.len() > MAX_NAME {
            self.record("linkpath", target);
        }
        let field = &mut self.fields.as_old_mut().linkname;
        field.fill(0);
        let fitting = target.len().min(field.len());
        field[..fitting].copy_from_slice(&target[..fitting]);
    }

    fn device(&mut self, kind: EntryType, number: u64) {
        self.fields.set_entry_type(kind);
        // A ustar header has both fields.
        let _ = self.fields.set_device_major(libc::major(number));
        let _ = self.fields.set_device_minor(libc::minor(number));
    }

    fn size(&mut self, size: u64) {
        if size > MAX_OCTAL_SIZE {
            self.record("size", size.to_string().as_bytes());
            self.fields.set_size(0);
        } else {
            self.fields.set_size(size);
        }
    }

    fn attributes(&mut self, path: &Path) {
        let mut names = vec![0; 64 << 10];
        let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else {
            return;
        };
        names.truncate(length);
        for name in names.split(|byte| *byte == 0) {
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            if KEPT_ATTRIBUTES.iter().any(|kept| name.starts_with(kept))
                && let Some(value) = attribute(path, name)
            {
                self.record(&format!("SCHILY.xattr.{name}"), &value);
            }
        }
    }

    /// `length key=value\n`, where the length counts its own digits.
    fn record(&mut self, key: &str, value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.records
            .extend_from_slice(format!("{length} {key}=").as_bytes());
        self.records.extend_from_slice(value);
        self.records.push(b'\n');
    }
}

fn name_field(fields: &mut Header, name: &[u8]) {
    let field = &mut fields.as_old_mut().name;
    field.fill(0);
    let fitting = name.len().min(field.len());
    field[..fitting].copy_from_slice(&name[..fitting]);
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 64 << 10];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// Overlayfs' sign for "not there any more".
pub(super) fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// Whether an upper folder hides all that is below it.
pub(super) fn is_opaque(path: &Path) -> bool {
    attribute(path, OPAQUE).as_deref() == Some(b"y")
}

/// `a/b` with a prefix to its last part.
fn sibling(name: &[u8], prefix: &[u8]) -> Vec<u8> {
    let at = name.iter().rposition(|b| *b == b'/').map_or(0, |p| p + 1);
    [&name[..at], prefix, &name[at..]].concat()
}

/// Names in a folder, in order, so that the same tree makes the same archive.
pub(super) fn children(path: &Path) -> Result<Vec<OsString>, FilesError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).step("open", path.display()),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.step("read", path.display())?.file_name());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
