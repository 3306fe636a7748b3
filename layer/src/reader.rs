//! Reads a packed layer.

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::format::{
    BLOCK, BadHeader, ENTRY_LEN, EntryRecord, HEADER_LEN, Header, INODE_LEN, InodeRecord, Section,
    XATTR_LEN, XattrRecord,
};
use crate::mapping::Mapping;
use crate::meta::{Attr, FileKind, Ino, Timestamp};

/// A finished layer: its index mapped, its contents read from the file.
///
/// The file must not change while this lives.
#[derive(Debug)]
pub struct Layer {
    file: File,
    pub(crate) header: Header,
    pub(crate) index: Mapping,
}

/// A name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    pub name: &'a [u8],
    pub ino: Ino,
    pub kind: FileKind,
}

/// What to look for in a file that may have holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    Data,
    Hole,
}

/// Why a file is not a layer.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot read the layer's header")]
    Read { source: io::Error },
    #[error("not a packed layer, or one that was never finished")]
    NotALayer,
    #[error("packed layer has version {version}, which this program does not know")]
    Version { version: u32 },
    #[error("packed layer's header is damaged")]
    Damaged,
    #[error("packed layer is {actual} bytes long instead of {expected}")]
    Length { actual: u64, expected: u64 },
    #[error("cannot map the layer's index")]
    Map { source: io::Error },
}

impl Layer {
    pub const ROOT: Ino = Ino::ROOT;

    /// Opens a finished layer in constant time: only its header is read and checked.
    pub fn open(file: File) -> Result<Layer, OpenError> {
        let actual = file
            .metadata()
            .map_err(|source| OpenError::Read { source })?
            .len();
        if actual < BLOCK {
            return Err(OpenError::NotALayer);
        }
        let mut bytes = [0; HEADER_LEN];
        file.read_exact_at(&mut bytes, 0)
            .map_err(|source| OpenError::Read { source })?;
        let header = Header::decode(&bytes).map_err(|bad| match bad {
            BadHeader::Magic => OpenError::NotALayer,
            BadHeader::Version(version) => OpenError::Version { version },
            BadHeader::Digest | BadHeader::Layout => OpenError::Damaged,
        })?;
        let expected = header.file_length().ok_or(OpenError::Damaged)?;
        if actual != expected {
            return Err(OpenError::Length { actual, expected });
        }
        let length = usize::try_from(header.index_length).map_err(|_| OpenError::Damaged)?;
        let index = Mapping::new(&file, header.index_offset, length)
            .map_err(|source| OpenError::Map { source })?;
        Ok(Layer {
            file,
            header,
            index,
        })
    }

    /// How many inodes there are: their numbers are 1 to this.
    pub fn inodes(&self) -> u64 {
        self.header.inodes.count
    }

    /// Whether any inode has extended attributes.
    pub fn has_xattrs(&self) -> bool {
        self.header.xattrs.count > 0
    }

    /// The file, for reading contents at the offset that [`Layer::extent`] gives.
    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn attr(&self, ino: Ino) -> Option<Attr> {
        let inode = self.inode(ino)?;
        let kind = FileKind::from_mode(inode.mode)?;
        let size = if kind == FileKind::Directory {
            BLOCK
        } else {
            inode.size
        };
        Some(Attr {
            kind,
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            nlink: inode.nlink,
            size,
            blocks: u64::from(inode.blocks) * (BLOCK / 512),
            mtime: Timestamp {
                secs: inode.secs,
                nanos: inode.nanos,
            },
            rdev: inode.rdev,
        })
    }

    /// The inode that a directory has under a name; `.` and `..` are not names.
    pub fn lookup(&self, dir: Ino, name: &[u8]) -> Option<Ino> {
        let (first, count) = self.children(dir)?;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry(first + middle)?;
            match entry.name.cmp(name) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(entry.ino),
            }
        }
        None
    }

    /// A directory's names in order, leaving out the first `from`; nothing for other inodes.
    pub fn entries(&self, dir: Ino, from: usize) -> impl Iterator<Item = Entry<'_>> {
        let (first, count) = self.children(dir).unwrap_or((0, 0));
        let from = (from as u64).min(count);
        (from..count).map_while(move |position| self.entry(first + position))
    }

    /// The directory that a directory is in; the root is in itself.
    pub fn parent(&self, dir: Ino) -> Option<Ino> {
        let inode = self.inode(dir)?;
        let is_directory = FileKind::from_mode(inode.mode) == Some(FileKind::Directory);
        is_directory
            .then(|| Ino::new(u64::from(inode.parent)))
            .flatten()
    }

    pub fn readlink(&self, ino: Ino) -> Option<&[u8]> {
        let inode = self.inode(ino)?;
        let is_symlink = FileKind::from_mode(inode.mode) == Some(FileKind::Symlink);
        is_symlink
            .then(|| self.bytes(self.header.blobs, inode.place, inode.size))
            .flatten()
    }

    /// An inode's extended attributes, sorted by key.
    pub fn xattrs(&self, ino: Ino) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (first, count) = self
            .inode(ino)
            .map_or((0, 0), |inode| (inode.first_xattr, inode.xattrs));
        (0..u64::from(count)).map_while(move |position| self.xattr_at(u64::from(first) + position))
    }

    pub fn xattr(&self, ino: Ino, key: &[u8]) -> Option<&[u8]> {
        self.xattrs(ino)
            .find(|(candidate, _)| *candidate == key)
            .map(|(_, value)| value)
    }

    /// Where a regular file's contents are: offset in [`Layer::file`] and length.
    pub fn extent(&self, ino: Ino) -> Option<(u64, u64)> {
        let inode = self.inode(ino)?;
        let end = inode.place.checked_add(inode.size)?;
        let sound = FileKind::from_mode(inode.mode)? == FileKind::File
            && inode.place >= BLOCK
            && inode.place.is_multiple_of(BLOCK)
            && end <= self.header.index_offset;
        sound.then_some((inode.place, inode.size))
    }

    /// Reads a regular file's contents; 0 bytes at and behind its end.
    pub fn read_at(&self, ino: Ino, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let (start, length) = self.extent(ino).ok_or(io::ErrorKind::InvalidInput)?;
        let left = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buf.len());
        match start.checked_add(offset) {
            Some(position) if wanted > 0 => self.file.read_at(&mut buf[..wanted], position),
            _ => Ok(0),
        }
    }

    /// The next data or hole of a regular file at or behind `offset`, its end being a hole;
    /// `None` where there is none.
    pub fn seek(&self, ino: Ino, seek: Seek, offset: u64) -> io::Result<Option<u64>> {
        let (start, length) = self.extent(ino).ok_or(io::ErrorKind::InvalidInput)?;
        if offset >= length {
            return Ok(None);
        }
        let from = match seek {
            Seek::Data => SeekFrom::Data(start + offset),
            Seek::Hole => SeekFrom::Hole(start + offset),
        };
        match (seek, rustix::fs::seek(&self.file, from)) {
            // Behind the extent are other files and the index, which are data.
            (Seek::Data, Ok(at)) => Ok(Some(at - start).filter(|&found| found < length)),
            (Seek::Hole, Ok(at)) => Ok(Some((at - start).min(length))),
            (_, Err(Errno::NXIO)) => Ok(None),
            (_, Err(errno)) => Err(errno.into()),
        }
    }

    /// The inode at a path below the root. Symlinks are not followed, `..` is not a name.
    pub fn resolve(&self, path: &[u8]) -> Option<Ino> {
        let names = path.split(|&byte| byte == b'/');
        let names = names.filter(|name| !name.is_empty() && *name != b".");
        names
            .into_iter()
            .try_fold(Layer::ROOT, |dir, name| self.lookup(dir, name))
    }

    pub(crate) fn inode(&self, ino: Ino) -> Option<InodeRecord> {
        let position = u64::from(ino.0.checked_sub(1)?);
        self.record::<INODE_LEN>(self.header.inodes, position)
            .map(InodeRecord::decode)
    }

    pub(crate) fn entry(&self, position: u64) -> Option<Entry<'_>> {
        let record = self.record::<ENTRY_LEN>(self.header.entries, position)?;
        let record = EntryRecord::decode(record);
        Some(Entry {
            name: self.bytes(self.header.names, record.name.into(), record.length.into())?,
            ino: Ino::new(u64::from(record.ino))?,
            kind: FileKind::from_dirent_type(record.kind)?,
        })
    }

    pub(crate) fn xattr_at(&self, position: u64) -> Option<(&[u8], &[u8])> {
        let record = self.record::<XATTR_LEN>(self.header.xattrs, position)?;
        let record = XattrRecord::decode(record);
        let blobs = self.header.blobs;
        let key = self.bytes(blobs, record.key.into(), record.key_length.into())?;
        let value = self.bytes(blobs, record.value.into(), record.value_length.into())?;
        Some((key, value))
    }

    /// First entry and number of entries of a directory.
    pub(crate) fn children(&self, dir: Ino) -> Option<(u64, u64)> {
        let inode = self.inode(dir)?;
        let end = inode.place.checked_add(inode.size)?;
        let sound = FileKind::from_mode(inode.mode)? == FileKind::Directory
            && end <= self.header.entries.count;
        sound.then_some((inode.place, inode.size))
    }

    fn record<const N: usize>(&self, section: Section, position: u64) -> Option<&[u8; N]> {
        if position >= section.count {
            return None;
        }
        let start = section
            .offset
            .checked_add(position.checked_mul(N as u64)?)?;
        self.index
            .bytes()
            .get(usize::try_from(start).ok()?..)?
            .first_chunk()
    }

    fn bytes(&self, section: Section, offset: u64, length: u64) -> Option<&[u8]> {
        let end = offset
            .checked_add(length)
            .filter(|&end| end <= section.count)?;
        let start = usize::try_from(section.offset.checked_add(offset)?).ok()?;
        let end = usize::try_from(section.offset.checked_add(end)?).ok()?;
        self.index.bytes().get(start..end)
    }
}
