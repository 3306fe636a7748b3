//! Packed layers: one immutable file that holds a whole unpacked image layer.
//!
//! A layer's tar is hostile, and unpacking it into a host directory creates host inodes with the
//! owners, modes, device nodes and links that a stranger chose. Here it becomes *data*: [`Builder`]
//! replays the archive's entries onto a tree in memory, streams the contents into one file and
//! writes a compact index behind them; [`Layer`] answers questions about the finished file.
//! Nothing in this crate opens a path, changes an owner or follows a host symlink.
//!
//! This crate knows nothing about tar, compression, digests of images or FUSE.
//!
//! # The file
//!
//! All integers are little-endian. Everything is written once, front to back; the header comes
//! last, so that a file without a valid header was never finished.
//!
//! ```text
//!   0 ┌────────────────────────────────────┐
//!     │ header (see below), zeroes to 4096 │
//! 4096├────────────────────────────────────┤ ┐
//!     │ contents of file 1, zeroes to 4 KiB│ │ one extent for each regular file, each starting
//!     │ contents of file 2 …               │ │ at a multiple of 4096; blocks of zeroes are holes
//!     ├────────────────────────────────────┤ ┘ ◄── index offset, a multiple of 4096
//!     │ inodes    64 bytes each            │ ┐
//!     │ entries   12 bytes each            │ │ the index: mapped by the reader,
//!     │ xattrs    16 bytes each            │ │ covered by one SHA-256 in the header
//!     │ names     bytes                    │ │
//!     │ blobs     bytes                    │ │
//!     └────────────────────────────────────┘ ┘ ◄── end of file
//! ```
//!
//! **Header**, 160 bytes:
//!
//! | at | type | what |
//! |---|---|---|
//! | 0 | 8 bytes | magic `HULLPACK` |
//! | 8 | u32 | version, 1 |
//! | 12 | u32 | zero |
//! | 16 | u64 | index offset |
//! | 24 | u64 | index length |
//! | 32 | 5 × (u64, u64) | offset inside the index and count of inodes, entries, xattrs (records), names, blobs (bytes) |
//! | 112 | 16 bytes | first half of the SHA-256 of header bytes 0..112 and 128..160 |
//! | 128 | 32 bytes | SHA-256 of the index |
//!
//! **Inode**, 64 bytes; inode *n* is record *n - 1*, and inode 1 is the root:
//!
//! | at | type | what |
//! |---|---|---|
//! | 0 | u32 | mode with file type |
//! | 4, 8 | u32, u32 | uid, gid |
//! | 12 | u32 | link count |
//! | 16, 24 | i64, u32 | modification time: seconds, nanoseconds |
//! | 28 | u32 | device number, Linux's 32-bit encoding |
//! | 32 | u64 | size: bytes of a file, length of a symlink's target, number of a directory's entries |
//! | 40 | u64 | where: a file's offset in the layer file, a target's offset in blobs, a directory's first entry |
//! | 48, 52 | u32, u32 | first xattr, number of xattrs |
//! | 56 | u32 | parent inode, of a directory |
//! | 60 | u32 | 4 KiB blocks that a file's extent really occupies |
//!
//! **Entry**, 12 bytes: name's offset in names (u32), inode (u32), name's length (u16), `DT_*` file
//! type (u8), zero (u8). A directory's entries are consecutive and sorted by name, so a lookup is a
//! binary search and an entry's position is a stable cookie for reading on.
//!
//! **Xattr**, 16 bytes: key's offset in blobs (u32), value's offset (u32), key's length (u32),
//! value's length (u32), sorted by key.
//!
//! A whiteout is a character device 0/0; an opaque directory carries `trusted.overlay.opaque=y`:
//! what overlayfs in the guest expects.
//!
//! # Trust
//!
//! The file is ours, but it is made from a stranger's archive and read inside the jailed VMM:
//! every offset is checked where it is used, so a damaged file gives `None` or an error and never
//! a panic. [`Layer::open`] is constant time (it is on the path of every start) and checks the
//! header; [`Layer::verify`] reads everything.

mod builder;
mod contents;
mod format;
mod index;
mod mapping;
mod meta;
mod path;
mod reader;
mod tree;
mod verify;

pub use builder::{BuildError, Builder, FileWriter, Summary};
pub use meta::{Attr, DeviceKind, FileKind, Ino, Limits, Meta, Timestamp};
pub use reader::{Entry, Layer, OpenError, Seek};
pub use verify::Damage;
