//! Writes the finished tree as the index, then the header that makes the file a layer.
//!
//! Each section is produced by its own pass over the inodes in the same order, so that offsets
//! are running sums and nothing of the index is held in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use crate::builder::Summary;
use crate::format::{
    EntryRecord, Header, InodeRecord, OPAQUE_KEY, OPAQUE_VALUE, Section, XattrRecord,
};
use crate::meta::{FileKind, Limits};
use crate::tree::{Body, Node, NodeId, Tree};

/// The limits, lowered to what the records can hold.
pub(crate) fn representable(limits: Limits) -> Limits {
    Limits {
        entries: limits.entries.min(u64::from(u32::MAX / 4)),
        metadata: limits.metadata.min(u64::from(u32::MAX / 2)),
        span: limits.span.min(1 << 60),
        name: limits.name.min(255),
        path: limits.path.min(4096),
        xattr: limits.xattr.min(64 << 10),
        ..limits
    }
}

pub(crate) fn write(out: &File, offset: u64, tree: &Tree) -> io::Result<Summary> {
    let order = Order::new(tree);
    let mut sink = Sink::new(out, offset);

    let inodes = sink.section(order.nodes.len());
    let mut cursor = Cursor::default();
    for &id in &order.nodes {
        sink.put(&cursor.inode(tree, &order, id).encode())?;
    }

    let entries = sink.section(cursor.entries as usize);
    let mut name_offset = 0;
    for (name, child) in order.entries(tree) {
        let record = EntryRecord {
            name: name_offset,
            ino: order.ino(child),
            length: name.len() as u16,
            kind: kind(tree.node(child)).dirent_type(),
        };
        name_offset += name.len() as u32;
        sink.put(&record.encode())?;
    }

    let xattrs = sink.section(cursor.xattrs as usize);
    let mut blob_offset = blobs_start();
    for &id in &order.nodes {
        let node = tree.node(id);
        blob_offset += target_length(node);
        for (key, value) in sorted_xattrs(node) {
            sink.put(&xattr_record(key, value, &mut blob_offset).encode())?;
        }
    }

    let names = sink.section(name_offset as usize);
    for (name, _) in order.entries(tree) {
        sink.put(name)?;
    }

    let blobs = sink.section(blob_offset as usize);
    sink.put(OPAQUE_KEY)?;
    sink.put(OPAQUE_VALUE)?;
    for &id in &order.nodes {
        let node = tree.node(id);
        if let Body::Symlink(target) = &node.body {
            sink.put(target)?;
        }
        for (key, value) in &node.meta.xattrs {
            sink.put(key)?;
            sink.put(value)?;
        }
    }

    let (index_length, index_digest) = sink.finish()?;
    let index_offset = offset;
    let header = Header {
        index_offset,
        index_length,
        inodes,
        entries,
        xattrs,
        names,
        blobs,
        index_digest,
    };
    out.set_len(offset + index_length)?;
    out.write_all_at(&header.encode(), 0)?;
    Ok(Summary {
        entries: u64::from(cursor.entries),
        bytes: cursor.bytes,
    })
}

/// Inode numbers: breadth first, so that what one `readdir` tells about lies together.
struct Order {
    nodes: Vec<NodeId>,
    /// By node; 0 for nodes that are no longer in the tree.
    inos: Vec<u32>,
}

impl Order {
    fn new(tree: &Tree) -> Order {
        let mut order = Order {
            nodes: vec![NodeId::ROOT],
            inos: vec![0; tree.len()],
        };
        order.inos[NodeId::ROOT.index()] = 1;
        let mut next = 0;
        while let Some(&id) = order.nodes.get(next) {
            next += 1;
            let Some(directory) = tree.directory(id) else {
                continue;
            };
            for &child in directory.children.values() {
                if order.ino(child) == 0 {
                    order.nodes.push(child);
                    order.inos[child.index()] = order.nodes.len() as u32;
                }
            }
        }
        order
    }

    fn ino(&self, id: NodeId) -> u32 {
        self.inos[id.index()]
    }

    fn entries<'a>(&'a self, tree: &'a Tree) -> impl Iterator<Item = (&'a [u8], NodeId)> {
        let directories = self.nodes.iter().filter_map(|&id| tree.directory(id));
        directories.flat_map(|directory| directory.children.iter().map(|(name, &id)| (&**name, id)))
    }
}

/// How far the sections that inodes point into have come.
struct Cursor {
    entries: u32,
    xattrs: u32,
    blobs: u32,
    bytes: u64,
}

impl Default for Cursor {
    fn default() -> Cursor {
        Cursor {
            entries: 0,
            xattrs: 0,
            blobs: blobs_start(),
            bytes: 0,
        }
    }
}

impl Cursor {
    fn inode(&mut self, tree: &Tree, order: &Order, id: NodeId) -> InodeRecord {
        let node = tree.node(id);
        let meta = &node.meta;
        let xattrs = sorted_xattrs(node);
        let mut record = InodeRecord {
            mode: kind(node).mode_bits() | meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            nlink: node.links,
            secs: meta.mtime.secs,
            nanos: meta.mtime.nanos,
            first_xattr: self.xattrs,
            xattrs: xattrs.len() as u32,
            ..InodeRecord::default()
        };
        match &node.body {
            Body::Directory(directory) => {
                let children = directory.children.values();
                let below = children.filter(|&&child| tree.is_directory(child)).count();
                record.nlink = 2 + below as u32;
                record.size = directory.children.len() as u64;
                record.place = u64::from(self.entries);
                record.parent = order.ino(directory.parent);
                self.entries += directory.children.len() as u32;
            }
            Body::File(extent) => {
                record.size = extent.length;
                record.place = extent.offset;
                record.blocks = extent.blocks;
                self.bytes += extent.length;
            }
            Body::Symlink(target) => {
                record.size = target.len() as u64;
                record.place = u64::from(self.blobs);
            }
            Body::Device { rdev, .. } => record.rdev = *rdev,
            Body::Gone => {}
        }
        self.blobs += target_length(node);
        for (key, value) in &xattrs {
            xattr_record(key, value, &mut self.blobs);
        }
        self.xattrs += xattrs.len() as u32;
        record
    }
}

fn kind(node: &Node) -> FileKind {
    match &node.body {
        Body::Directory(_) => FileKind::Directory,
        Body::Symlink(_) => FileKind::Symlink,
        Body::Device { kind, .. } => *kind,
        // What is gone has no name, so no record is made of it.
        Body::File(_) | Body::Gone => FileKind::File,
    }
}

/// The blobs start with the opaque mark, stored once however many directories have it.
fn blobs_start() -> u32 {
    (OPAQUE_KEY.len() + OPAQUE_VALUE.len()) as u32
}

fn target_length(node: &Node) -> u32 {
    if let Body::Symlink(target) = &node.body {
        target.len() as u32
    } else {
        0
    }
}

fn sorted_xattrs(node: &Node) -> Vec<(&[u8], &[u8])> {
    let own = node.meta.xattrs.iter();
    let mut xattrs = own
        .map(|(key, value)| (&**key, &**value))
        .collect::<Vec<_>>();
    if let Body::Directory(directory) = &node.body
        && directory.opaque
    {
        xattrs.push((OPAQUE_KEY, OPAQUE_VALUE));
        xattrs.sort_unstable();
    }
    xattrs
}

fn xattr_record(key: &[u8], value: &[u8], blobs: &mut u32) -> XattrRecord {
    let (key_length, value_length) = (key.len() as u32, value.len() as u32);
    if key == OPAQUE_KEY {
        return XattrRecord {
            key: 0,
            value: key_length,
            key_length,
            value_length,
        };
    }
    let at = *blobs;
    *blobs += key_length + value_length;
    XattrRecord {
        key: at,
        value: at + key_length,
        key_length,
        value_length,
    }
}

/// Writes the index in large pieces and digests it on the way.
struct Sink<'a> {
    out: &'a File,
    start: u64,
    written: u64,
    buffer: Vec<u8>,
    digest: Sha256,
}

impl Sink<'_> {
    const BUFFER: usize = 256 << 10;

    fn new(out: &File, start: u64) -> Sink<'_> {
        let buffer = Vec::with_capacity(Sink::BUFFER);
        Sink {
            out,
            start,
            written: 0,
            buffer,
            digest: Sha256::new(),
        }
    }

    /// A section of `count` records that starts here.
    fn section(&self, count: usize) -> Section {
        Section {
            offset: self.written + self.buffer.len() as u64,
            count: count as u64,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > Sink::BUFFER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out
            .write_all_at(&self.buffer, self.start + self.written)?;
        self.digest.update(&self.buffer);
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<(u64, [u8; 32])> {
        self.flush()?;
        Ok((self.written, self.digest.finalize().into()))
    }
}
