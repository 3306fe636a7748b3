//! What the device serves: layers. [`Layers::answer`] turns a request into a reply and does nothing
//! else, so this is where tests talk to the device without a queue.
//!
//! There is no trait with a fake behind it: a real layer is a temporary file, made in a
//! millisecond, and reading one has no effect to be faked.

use std::fs::File;

use hull_layer::{Attr, FileKind, Ino, Layer, Timestamp};

use super::abi::{Body, Errno, MAJOR, OLDEST_MINOR, feature};
use super::listing::{Item, Listing};
use super::node::Node;
use super::request::{Detail, Operation, Request};

/// The most pages of one request: 1 MiB.
const MAX_PAGES: u16 = 256;
/// The longest listing, whatever the guest asks for (Linux asks for a page).
const MAX_LISTING: usize = 64 << 10;

/// What the guest's kernel must be able to do: files here are never opened.
const NEEDED: u64 = feature::NO_OPEN_SUPPORT | feature::NO_OPENDIR_SUPPORT | feature::INIT_EXT;
/// What is taken if it is offered.
const WANTED: u64 = NEEDED
    | feature::ASYNC_READ
    | feature::EXPORT_SUPPORT
    | feature::DO_READDIRPLUS
    | feature::ASYNC_DIO
    | feature::PARALLEL_DIROPS
    | feature::MAX_PAGES
    | feature::CACHE_SYMLINKS;

/// Layers, lowest first.
#[derive(Debug)]
pub struct Layers {
    list: Vec<Layer>,
    /// What they take on the host, in blocks of 4 KiB. Asked once, here: the thread that serves
    /// them may not ask.
    blocks: u64,
}

/// What goes back to the driver.
#[derive(Debug)]
pub enum Reply<'a> {
    /// Nothing: the request wants no reply.
    Silent,
    /// A failure.
    Error(Errno),
    /// The body.
    Body,
    /// A part of a file.
    Contents {
        /// The layer's.
        file: &'a File,
        /// Where in it.
        offset: u64,
        /// How much; it is all there.
        length: usize,
    },
}

impl Layers {
    /// Serves these.
    pub fn new(layers: Vec<Layer>) -> Self {
        let size = |layer: &Layer| {
            let length = layer.file().metadata().map(|metadata| metadata.len());
            length.unwrap_or(0).div_ceil(4096)
        };
        let blocks = layers.iter().map(size).sum();
        Self {
            list: layers,
            blocks,
        }
    }

    /// Answers a request whose reply has so much room behind its header; the reply's bytes, if it
    /// has any, are put into `body`.
    pub fn answer(&self, request: &Request<'_>, room: usize, body: &mut Body) -> Reply<'_> {
        body.clear();
        let reply = self.serve(request, room, body).unwrap_or_else(Reply::Error);
        if matches!(reply, Reply::Body) && body.len() > room {
            return Reply::Error(Errno::IO);
        }
        reply
    }

    fn serve(
        &self,
        request: &Request<'_>,
        room: usize,
        body: &mut Body,
    ) -> Result<Reply<'_>, Errno> {
        let node = || Node::from_id(request.node).ok_or(Errno::STALE);
        match request.operation {
            Operation::Init {
                major,
                minor,
                max_readahead,
                features,
            } => {
                init(major, minor, features)?;
                body.put_init(max_readahead, features & WANTED, MAX_PAGES);
            }
            Operation::Lookup { name } => match self.lookup(node()?, name)? {
                Some(child) => body.put_entry(child.id(), &self.attr(child)?),
                None => body.put_missing(),
            },
            Operation::GetAttr => {
                let node = node()?;
                body.put_attr_out(node.id(), &self.attr(node)?);
            }
            Operation::ReadLink => {
                let (layer, ino) = self.inode(node()?).ok_or(Errno::INVAL)?;
                body.put(layer.readlink(ino).ok_or(Errno::INVAL)?);
            }
            Operation::Read { offset, size } => {
                return self.read(node()?, offset, room.min(size as usize));
            }
            Operation::ReadDir {
                offset,
                size,
                detail,
            } => {
                let limit = room.min(size as usize).min(MAX_LISTING);
                let mut listing = Listing::new(body, limit, detail);
                self.list(node()?, offset, detail, &mut listing)?;
                if listing.is_stuck() {
                    return Err(Errno::INVAL);
                }
            }
            Operation::StatFs => {
                body.put_statfs(self.blocks, self.list.iter().map(Layer::inodes).sum());
            }
            Operation::GetXattr { name, size } => {
                // Linux asks before every execution and overlayfs for every directory: where
                // there is nothing to find, one answer is enough.
                if !self.list.iter().any(Layer::has_xattrs) {
                    return Err(Errno::NOSYS);
                }
                let (layer, ino) = self.inode(node()?).ok_or(Errno::NODATA)?;
                let value = layer.xattr(ino, name).ok_or(Errno::NODATA)?;
                give_xattr(body, size, value.len(), |body| body.put(value))?;
            }
            Operation::ListXattr { size } => self.list_xattrs(node()?, size, body)?,
            Operation::Seek { offset, seek } => {
                let (layer, ino) = self.inode(node()?).ok_or(Errno::ISDIR)?;
                let found = layer.seek(ino, seek, offset).map_err(|_| Errno::INVAL)?;
                body.put_u64(found.ok_or(Errno::NXIO)?);
            }
            Operation::Destroy | Operation::Release => {}
            Operation::Silent => return Ok(Reply::Silent),
            Operation::Modify => return Err(Errno::ROFS),
            Operation::Ioctl => return Err(Errno::NOTTY),
            Operation::Unsupported => return Err(Errno::NOSYS),
        }
        Ok(Reply::Body)
    }

    fn lookup(&self, node: Node, name: &[u8]) -> Result<Option<Node>, Errno> {
        // `.` and `..` come where a file handle is turned into a file again.
        if name == b"." {
            return Ok(Some(node));
        }
        if self.attr(node)?.kind != FileKind::Directory {
            return Err(Errno::NOTDIR);
        }
        if name == b".." {
            return Ok(Some(self.parent(node)));
        }
        Ok(match node {
            Node::Top => self.layer_named(name),
            Node::Inode { layer, ino } => {
                let child = self
                    .list
                    .get(layer)
                    .and_then(|found| found.lookup(ino, name));
                child.map(|ino| Node::Inode { layer, ino })
            }
        })
    }

    fn layer_named(&self, name: &[u8]) -> Option<Node> {
        let number = std::str::from_utf8(name).ok()?.parse::<usize>().ok()?;
        // One name for each: not "+1", not "01".
        let is_it = number < self.list.len() && number.to_string().as_bytes() == name;
        is_it.then(|| Node::layer_root(number))
    }

    fn parent(&self, node: Node) -> Node {
        match node {
            Node::Inode { layer, ino } if ino != Layer::ROOT => {
                let parent = self.list.get(layer).and_then(|found| found.parent(ino));
                parent.map_or(Node::Top, |ino| Node::Inode { layer, ino })
            }
            Node::Inode { .. } | Node::Top => Node::Top,
        }
    }

    fn attr(&self, node: Node) -> Result<Attr, Errno> {
        match node {
            Node::Top => Ok(Attr {
                kind: FileKind::Directory,
                mode: FileKind::Directory.mode_bits() | 0o555,
                uid: 0,
                gid: 0,
                nlink: 2 + self.list.len() as u32,
                size: 4096,
                blocks: 0,
                mtime: Timestamp::default(),
                rdev: 0,
            }),
            Node::Inode { layer, ino } => {
                let layer = self.list.get(layer).ok_or(Errno::STALE)?;
                layer.attr(ino).ok_or(Errno::STALE)
            }
        }
    }

    /// A node's layer; none for the top, which is in no layer.
    fn inode(&self, node: Node) -> Option<(&Layer, Ino)> {
        match node {
            Node::Top => None,
            Node::Inode { layer, ino } => Some((self.list.get(layer)?, ino)),
        }
    }

    fn read(&self, node: Node, offset: u64, size: usize) -> Result<Reply<'_>, Errno> {
        let (layer, ino) = self.inode(node).ok_or(Errno::ISDIR)?;
        let (start, length) = layer.extent(ino).ok_or(Errno::INVAL)?;
        let left = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = left.min(size);
        if length == 0 {
            return Ok(Reply::Body);
        }
        let offset = start.checked_add(offset).ok_or(Errno::INVAL)?;
        Ok(Reply::Contents {
            file: layer.file(),
            offset,
            length,
        })
    }

    /// Positions: 0 is `.`, 1 is `..`, then come the names in their order.
    fn list(
        &self,
        node: Node,
        offset: u64,
        detail: Detail,
        listing: &mut Listing<'_>,
    ) -> Result<(), Errno> {
        if self.attr(node)?.kind != FileKind::Directory {
            return Err(Errno::NOTDIR);
        }
        let kind = FileKind::Directory.dirent_type();
        for (name, node, next) in [(&b"."[..], node, 1), (b"..", self.parent(node), 2)] {
            let item = Item {
                name,
                kind,
                node: node.id(),
                next,
                attr: None,
            };
            if offset < next && !listing.add(&item) {
                return Ok(());
            }
        }
        let skipped = offset.saturating_sub(2);
        let numbers = (skipped..).map(|position| position.saturating_add(3));
        let wants_attr = detail == Detail::Attributes;
        match node {
            Node::Top => {
                let layers =
                    (0..self.list.len()).skip(usize::try_from(skipped).unwrap_or(usize::MAX));
                for (layer, next) in layers.zip(numbers) {
                    let node = Node::layer_root(layer);
                    let attr = if wants_attr {
                        self.attr(node).ok()
                    } else {
                        None
                    };
                    let name = layer.to_string();
                    let name = name.as_bytes();
                    if !listing.add(&Item {
                        name,
                        kind,
                        node: node.id(),
                        next,
                        attr,
                    }) {
                        break;
                    }
                }
            }
            Node::Inode { layer: number, ino } => {
                let layer = self.list.get(number).ok_or(Errno::STALE)?;
                let from = usize::try_from(skipped).unwrap_or(usize::MAX);
                for (entry, next) in layer.entries(ino, from).zip(numbers) {
                    let node = Node::Inode {
                        layer: number,
                        ino: entry.ino,
                    }
                    .id();
                    let attr = if wants_attr {
                        layer.attr(entry.ino)
                    } else {
                        None
                    };
                    let kind = entry.kind.dirent_type();
                    if !listing.add(&Item {
                        name: entry.name,
                        kind,
                        node,
                        next,
                        attr,
                    }) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn list_xattrs(&self, node: Node, size: u32, body: &mut Body) -> Result<(), Errno> {
        let inode = self.inode(node);
        let keys = || {
            let xattrs = inode.into_iter().flat_map(|(layer, ino)| layer.xattrs(ino));
            xattrs.map(|(key, _)| key)
        };
        let length = keys().map(|key| key.len() + 1).sum();
        give_xattr(body, size, length, |body| {
            for key in keys() {
                body.put(key);
                body.put(&[0]);
            }
        })
    }
}

fn init(major: u32, minor: u32, features: u64) -> Result<(), Errno> {
    // A kernel with a later major version asks again with the one that is answered here.
    let spoken = major > MAJOR || (major == MAJOR && minor >= OLDEST_MINOR);
    let able = major > MAJOR || features & NEEDED == NEEDED;
    if spoken && able {
        Ok(())
    } else {
        Err(Errno::PROTO)
    }
}

/// An attribute's (or list's) length where no room is given, else itself if it fits.
fn give_xattr(
    body: &mut Body,
    size: u32,
    length: usize,
    put: impl FnOnce(&mut Body),
) -> Result<(), Errno> {
    let length = u32::try_from(length).map_err(|_| Errno::IO)?;
    if size == 0 {
        body.put_xattr_size(length);
    } else if length > size {
        return Err(Errno::RANGE);
    } else {
        put(body);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
