//! FUSE 7.38 and later as Linux speaks it (`include/uapi/linux/fuse.h`): numbers, and the records
//! of replies. Requests are decoded in [`super::request`].

use hull_layer::Attr;

/// The protocol's major version.
pub const MAJOR: u32 = 7;
/// The minor version that is answered; Linux takes the lower of both.
pub const MINOR: u32 = 40;
/// The oldest minor version that has everything used here (7.36: the second word of flags).
pub const OLDEST_MINOR: u32 = 36;

/// `sizeof(struct fuse_in_header)`.
pub const IN_HEADER: usize = 40;
/// `sizeof(struct fuse_out_header)`.
pub const OUT_HEADER: usize = 16;
/// The longest name the kernel sends.
pub const NAME_MAX: usize = 1024;
/// The node that the guest mounts.
pub const ROOT_ID: u64 = 1;

/// Seconds for which an answer about an immutable file holds: beyond any VM's life.
const FOREVER: u64 = 1 << 32;
const BLOCK: u32 = 4096;

/// What can be asked.
pub mod opcode {
    #![allow(missing_docs, reason = "the names are those of the kernel's header")]
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const SETATTR: u32 = 4;
    pub const READLINK: u32 = 5;
    pub const SYMLINK: u32 = 6;
    pub const MKNOD: u32 = 8;
    pub const MKDIR: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const RMDIR: u32 = 11;
    pub const RENAME: u32 = 12;
    pub const LINK: u32 = 13;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const SETXATTR: u32 = 21;
    pub const GETXATTR: u32 = 22;
    pub const LISTXATTR: u32 = 23;
    pub const REMOVEXATTR: u32 = 24;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const FSYNCDIR: u32 = 30;
    pub const ACCESS: u32 = 34;
    pub const CREATE: u32 = 35;
    pub const INTERRUPT: u32 = 36;
    pub const DESTROY: u32 = 38;
    pub const IOCTL: u32 = 39;
    pub const BATCH_FORGET: u32 = 42;
    pub const FALLOCATE: u32 = 43;
    pub const READDIRPLUS: u32 = 44;
    pub const RENAME2: u32 = 45;
    pub const LSEEK: u32 = 46;
    pub const COPY_FILE_RANGE: u32 = 47;
    pub const SETUPMAPPING: u32 = 48;
    pub const SYNCFS: u32 = 50;
    pub const TMPFILE: u32 = 51;
    pub const STATX: u32 = 52;
}

/// What INIT negotiates.
pub mod feature {
    #![allow(missing_docs, reason = "the names are those of the kernel's header")]
    pub const ASYNC_READ: u64 = 1 << 0;
    pub const EXPORT_SUPPORT: u64 = 1 << 4;
    pub const DO_READDIRPLUS: u64 = 1 << 13;
    pub const ASYNC_DIO: u64 = 1 << 15;
    pub const NO_OPEN_SUPPORT: u64 = 1 << 17;
    pub const PARALLEL_DIROPS: u64 = 1 << 18;
    pub const MAX_PAGES: u64 = 1 << 22;
    pub const CACHE_SYMLINKS: u64 = 1 << 23;
    pub const NO_OPENDIR_SUPPORT: u64 = 1 << 24;
    pub const INIT_EXT: u64 = 1 << 30;
}

/// An errno of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(i32);

impl Errno {
    /// Not there.
    pub const NOENT: Errno = Errno(libc::ENOENT);
    /// The layer's file cannot be read.
    pub const IO: Errno = Errno(libc::EIO);
    /// Beyond the last data.
    pub const NXIO: Errno = Errno(libc::ENXIO);
    /// Not a directory.
    pub const NOTDIR: Errno = Errno(libc::ENOTDIR);
    /// A directory.
    pub const ISDIR: Errno = Errno(libc::EISDIR);
    /// Arguments make no sense.
    pub const INVAL: Errno = Errno(libc::EINVAL);
    /// No such control.
    pub const NOTTY: Errno = Errno(libc::ENOTTY);
    /// Read-only.
    pub const ROFS: Errno = Errno(libc::EROFS);
    /// The buffer is too small for an attribute.
    pub const RANGE: Errno = Errno(libc::ERANGE);
    /// Not implemented: do not ask again.
    pub const NOSYS: Errno = Errno(libc::ENOSYS);
    /// No such attribute.
    pub const NODATA: Errno = Errno(libc::ENODATA);
    /// Another version of the protocol.
    pub const PROTO: Errno = Errno(libc::EPROTO);
    /// No such node.
    pub const STALE: Errno = Errno(libc::ESTALE);

    /// As in `errno.h`.
    pub fn raw(self) -> i32 {
        self.0
    }
}

/// `struct fuse_out_header`.
pub fn out_header(unique: u64, length: u32, error: Option<Errno>) -> [u8; OUT_HEADER] {
    let mut header = [0; OUT_HEADER];
    let error = error.map_or(0, |errno| -errno.raw());
    header[0..4].copy_from_slice(&length.to_le_bytes());
    header[4..8].copy_from_slice(&error.to_le_bytes());
    header[8..16].copy_from_slice(&unique.to_le_bytes());
    header
}

/// A reply under construction.
#[derive(Debug, Default)]
pub struct Body(Vec<u8>);

impl Body {
    /// What has been put in.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Starts anew; the memory is kept.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    pub(super) fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    pub(super) fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    pub(super) fn pad(&mut self, alignment: usize) {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
    }

    /// `struct fuse_init_out`.
    pub(super) fn put_init(&mut self, max_readahead: u32, features: u64, max_pages: u16) {
        self.put_u32(MAJOR);
        self.put_u32(MINOR);
        self.put_u32(max_readahead);
        self.put_u32(features as u32);
        self.put_u16(64); // max_background
        self.put_u16(48); // congestion_threshold
        self.put_u32(BLOCK); // max_write: of no use, but Linux wants at least a page
        self.put_u32(1); // time_gran: nanoseconds
        self.put_u16(max_pages);
        self.put_u16(0); // map_alignment, for DAX
        self.put_u32((features >> 32) as u32);
        self.put(&[0; 28]); // max_stack_depth, unused
    }

    /// `struct fuse_entry_out`.
    pub(super) fn put_entry(&mut self, node: u64, attr: &Attr) {
        self.put_entry_head(node, FOREVER);
        self.put_attr(node, attr);
    }

    /// An entry that is not there and never will be.
    pub(super) fn put_missing(&mut self) {
        self.put_entry_head(0, 0);
        self.put(&[0; 88]);
    }

    /// `struct fuse_attr_out`.
    pub(super) fn put_attr_out(&mut self, node: u64, attr: &Attr) {
        self.put_u64(FOREVER);
        self.put_u64(0); // attr_valid_nsec, dummy
        self.put_attr(node, attr);
    }

    /// `struct fuse_statfs_out`.
    pub(super) fn put_statfs(&mut self, blocks: u64, files: u64) {
        for value in [blocks, 0, 0, files, 0] {
            self.put_u64(value);
        }
        for value in [BLOCK, 255, BLOCK, 0] {
            self.put_u32(value);
        }
        self.put(&[0; 24]);
    }

    /// `struct fuse_getxattr_out`.
    pub(super) fn put_xattr_size(&mut self, size: u32) {
        self.put_u32(size);
        self.put_u32(0);
    }

    fn put_entry_head(&mut self, node: u64, attr_valid: u64) {
        self.put_u64(node);
        self.put_u64(0); // generation: node ids are never used again
        self.put_u64(FOREVER);
        self.put_u64(attr_valid);
        self.put_u64(0); // entry_valid_nsec, attr_valid_nsec
    }

    /// `struct fuse_attr`.
    fn put_attr(&mut self, node: u64, attr: &Attr) {
        self.put_u64(node);
        self.put_u64(attr.size);
        self.put_u64(attr.blocks);
        // A layer has one time for each file.
        for _ in 0..3 {
            self.put_u64(attr.mtime.secs.cast_unsigned());
        }
        for _ in 0..3 {
            self.put_u32(attr.mtime.nanos);
        }
        for value in [
            attr.mode, attr.nlink, attr.uid, attr.gid, attr.rdev, BLOCK, 0,
        ] {
            self.put_u32(value);
        }
    }
}
