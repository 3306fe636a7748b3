//! Builds a packed layer from archive entries, in the order in which the archive has them.

use std::fs::File;
use std::io;

use crate::contents::{Contents, Extent};
use crate::index;
use crate::meta::{DeviceKind, FileKind, Limits, Meta, encode_rdev};
use crate::path::{clean, text};
use crate::tree::{NodeId, Place, Tree};

/// Takes entries one by one, streams contents out, and keeps only the tree in memory.
///
/// A later entry replaces an earlier one of the same path: a directory merges with a directory,
/// anything else removes what was there. Symlinks in the middle of a path lead where they would
/// in a chroot at the layer's root.
#[derive(Debug)]
pub struct Builder {
    tree: Tree,
    contents: Contents,
    limits: Limits,
}

/// What a finished layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Names in the layer; hard links count each, the root does not.
    pub entries: u64,
    /// Sizes of its regular files together, each inode once.
    pub bytes: u64,
}

/// Why a layer cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("path {path:?} breaks out of the layer's root")]
    Breakout { path: String },
    #[error("path {path:?} holds a NUL byte")]
    NulInPath { path: String },
    #[error("path of {length} bytes is longer than {limit}")]
    PathTooLong { length: usize, limit: usize },
    #[error("name {name:?} is longer than {limit} bytes")]
    NameTooLong { name: String, limit: usize },
    #[error("path {path:?} goes through something that is not a directory")]
    NotADirectory { path: String },
    #[error("path {path:?} goes through a symlink that leads nowhere")]
    DanglingSymlink { path: String },
    #[error("path {path:?} goes through too many symlinks")]
    SymlinkLoop { path: String },
    #[error("the layer's root can only be a directory")]
    RootNotADirectory,
    #[error("target of symlink {path:?} is empty")]
    EmptySymlink { path: String },
    #[error("hard link {path:?} is to {existing:?}, which is not in the layer")]
    LinkTargetMissing { path: String, existing: String },
    #[error("hard link {path:?} is to {existing:?}, which is a directory")]
    LinkToDirectory { path: String, existing: String },
    #[error("device {path:?} has number {major}:{minor}, which Linux cannot represent")]
    DeviceNumber {
        path: String,
        major: u32,
        minor: u32,
    },
    #[error(
        "extended attribute {key:?} of {path:?} has a name that is empty, too long or has a NUL"
    )]
    XattrKey { path: String, key: String },
    #[error("extended attribute {key:?} of {path:?} is longer than {limit} bytes")]
    XattrTooLong {
        path: String,
        key: String,
        limit: usize,
    },
    #[error("{path:?} has more than {limit} extended attributes")]
    TooManyXattrs { path: String, limit: usize },
    #[error("layer has more than {limit} entries")]
    TooManyEntries { limit: u64 },
    #[error("layer's names and attributes take more than {limit} bytes")]
    TooMuchMetadata { limit: u64 },
    #[error("layer's files hold more than {limit} bytes")]
    TooManyBytes { limit: u64 },
    #[error("layer's files with their holes stretch over more than {limit} bytes")]
    SpanTooLong { limit: u64 },
    #[error("cannot write the layer's file")]
    Write { source: io::Error },
}

impl BuildError {
    /// The error that a [`FileWriter`] hid in an [`io::Error`], or that error as a failed write.
    pub fn from_io(error: io::Error) -> BuildError {
        match error.downcast::<BuildError>() {
            Ok(error) => error,
            Err(source) => BuildError::Write { source },
        }
    }
}

impl Builder {
    /// Starts a layer in `out`, which is emptied.
    pub fn new(out: File, limits: Limits) -> Result<Builder, BuildError> {
        let limits = index::representable(limits);
        let contents = Contents::new(out, &limits)?;
        Ok(Builder {
            tree: Tree::new(&limits),
            contents,
            limits,
        })
    }

    /// Adds a directory, or changes the owner, mode and time of one that is there.
    pub fn directory(&mut self, path: &[u8], meta: Meta) -> Result<(), BuildError> {
        let meta = self.accept(path, meta)?;
        let components = clean(path, &self.limits)?;
        match components.split_last() {
            None => self.tree.describe_root(meta),
            Some((name, parents)) => {
                let parent = self.tree.make_parents(path, parents)?;
                let removed = self.tree.put_directory(Place { parent, name }, meta)?;
                self.contents.discard(&removed)
            }
        }
    }

    /// Adds a regular file; it is there once the writer's `finish` has returned.
    pub fn file(&mut self, path: &[u8], meta: Meta) -> Result<FileWriter<'_>, BuildError> {
        let meta = self.accept(path, meta)?;
        let Place { parent, name } = self.place(path)?;
        self.contents.begin();
        Ok(FileWriter {
            builder: self,
            parent,
            name: name.into(),
            meta: Some(meta),
        })
    }

    pub fn symlink(&mut self, path: &[u8], target: &[u8], meta: Meta) -> Result<(), BuildError> {
        if target.is_empty() {
            return Err(BuildError::EmptySymlink { path: text(path) });
        }
        if target.contains(&0) {
            return Err(BuildError::NulInPath { path: text(target) });
        }
        if target.len() >= self.limits.path {
            let limit = self.limits.path.saturating_sub(1);
            return Err(BuildError::PathTooLong {
                length: target.len(),
                limit,
            });
        }
        let meta = self.accept(path, meta)?;
        let place = self.place(path)?;
        let removed = self.tree.put_symlink(place, target, meta)?;
        self.contents.discard(&removed)
    }

    /// Gives the file, symlink or device `existing` a second name.
    pub fn hardlink(&mut self, path: &[u8], existing: &[u8]) -> Result<(), BuildError> {
        let components = clean(existing, &self.limits)?;
        let target = match components.split_last() {
            None => None,
            Some((name, parents)) => {
                let parent = self.tree.find_parents(existing, parents)?;
                parent.and_then(|parent| self.tree.child(Place { parent, name }))
            }
        };
        let is_root = components.is_empty();
        let (path_text, existing_text) = (text(path), text(existing));
        let Some(target) = target.filter(|&target| !self.tree.is_directory(target)) else {
            return Err(if is_root || target.is_some() {
                BuildError::LinkToDirectory {
                    path: path_text,
                    existing: existing_text,
                }
            } else {
                BuildError::LinkTargetMissing {
                    path: path_text,
                    existing: existing_text,
                }
            });
        };
        let place = self.place(path)?;
        let removed = self.tree.put_link(place, target)?;
        self.contents.discard(&removed)
    }

    /// Adds a device node, named pipe or socket. The numbers of the last two are ignored.
    pub fn device(
        &mut self,
        path: &[u8],
        kind: DeviceKind,
        major: u32,
        minor: u32,
        meta: Meta,
    ) -> Result<(), BuildError> {
        let rdev = match kind {
            DeviceKind::Char | DeviceKind::Block => {
                encode_rdev(major, minor).ok_or_else(|| BuildError::DeviceNumber {
                    path: text(path),
                    major,
                    minor,
                })?
            }
            DeviceKind::Fifo | DeviceKind::Socket => 0,
        };
        let meta = self.accept(path, meta)?;
        let place = self.place(path)?;
        let removed = self
            .tree
            .put_device(place, FileKind::from(kind), rdev, meta)?;
        self.contents.discard(&removed)
    }

    /// Hides what the layers below have at `path`.
    ///
    /// What this layer itself has there stays, since a whiteout speaks of the layers below: a
    /// directory becomes opaque, a file hides what is below anyway.
    pub fn whiteout(&mut self, path: &[u8]) -> Result<(), BuildError> {
        let place = self.place(path)?;
        self.tree.put_whiteout(place)
    }

    /// Hides everything that the layers below have inside the directory `path`.
    pub fn opaque(&mut self, path: &[u8]) -> Result<(), BuildError> {
        let components = clean(path, &self.limits)?;
        let directory = self.tree.make_parents(path, &components)?;
        self.tree.make_opaque(directory)
    }

    /// Writes the index and the header. Making it durable is the caller's.
    pub fn finish(self) -> Result<Summary, BuildError> {
        let (out, end) = self.contents.finish()?;
        index::write(&out, end, &self.tree).map_err(|source| BuildError::Write { source })
    }

    /// Where a path that is not the root goes, its parents made.
    fn place<'p>(&mut self, path: &'p [u8]) -> Result<Place<'p>, BuildError> {
        let components = clean(path, &self.limits)?;
        let (name, parents) = components
            .split_last()
            .ok_or(BuildError::RootNotADirectory)?;
        Ok(Place {
            parent: self.tree.make_parents(path, parents)?,
            name,
        })
    }

    /// Checks what the archive says about an entry and brings it into normal form.
    fn accept(&self, path: &[u8], mut meta: Meta) -> Result<Meta, BuildError> {
        meta.mode &= 0o7777;
        meta.mtime.nanos = meta.mtime.nanos.min(999_999_999);
        meta.xattrs
            .retain(|(key, _)| !key.starts_with(b"trusted.overlay."));
        for (key, value) in &meta.xattrs {
            if key.is_empty() || key.len() > 255 || key.contains(&0) {
                return Err(BuildError::XattrKey {
                    path: text(path),
                    key: text(key),
                });
            }
            if value.len() > self.limits.xattr {
                let limit = self.limits.xattr;
                return Err(BuildError::XattrTooLong {
                    path: text(path),
                    key: text(key),
                    limit,
                });
            }
        }
        // As with setxattr: the last value given for a key stays.
        meta.xattrs.reverse();
        meta.xattrs.sort_by(|(a, _), (b, _)| a.cmp(b));
        meta.xattrs.dedup_by(|(later, _), (kept, _)| later == kept);
        meta.xattrs.shrink_to_fit();
        if meta.xattrs.len() > self.limits.xattrs {
            let limit = self.limits.xattrs;
            return Err(BuildError::TooManyXattrs {
                path: text(path),
                limit,
            });
        }
        Ok(meta)
    }
}

/// Takes the contents of one file. Dropped without `finish`, the file was never there.
#[derive(Debug)]
pub struct FileWriter<'a> {
    builder: &'a mut Builder,
    parent: NodeId,
    name: Box<[u8]>,
    /// `None` only once `finish` took it.
    meta: Option<Meta>,
}

impl FileWriter<'_> {
    /// Appends bytes. Whole blocks of zeroes become holes by themselves.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.builder.contents.append(bytes)
    }

    /// Appends a hole.
    pub fn skip(&mut self, length: u64) -> Result<(), BuildError> {
        self.builder.contents.skip(length)
    }

    /// Puts the file at its path.
    pub fn finish(mut self) -> Result<(), BuildError> {
        let extent = self.builder.contents.end()?;
        let Some(meta) = self.meta.take() else {
            return Ok(());
        };
        let place = Place {
            parent: self.parent,
            name: &self.name,
        };
        let removed = self.builder.tree.put_file(place, extent, meta)?;
        self.builder.contents.discard(&removed)
    }
}

impl Drop for FileWriter<'_> {
    fn drop(&mut self) {
        if self.meta.is_some() {
            self.builder.contents.abandon();
        }
    }
}

impl io::Write for FileWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.append(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(BuildError::Write { source }) => Err(source),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Extents whose last name has gone, to be given back.
pub(crate) type Removed = Vec<Extent>;
