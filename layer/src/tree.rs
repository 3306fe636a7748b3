//! The layer's tree while it is being built, and how a path finds its place in it.
//!
//! Nodes are never freed (the limit on entries bounds them all) and never visited by recursion
//! (an archive may nest as deep as it likes).

use std::collections::BTreeMap;

use crate::builder::{BuildError, Removed};
use crate::contents::Extent;
use crate::meta::{FileKind, Limits, Meta};
use crate::path::text;

/// As many as Linux follows in one path.
const MAX_SYMLINKS: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A name in a directory, whether something is there or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) parent: NodeId,
    pub(crate) name: &'a [u8],
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) meta: Meta,
    /// Names of a node that is not a directory.
    pub(crate) links: u32,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Directory(Directory),
    File(Extent),
    Symlink(Box<[u8]>),
    Device {
        kind: FileKind,
        rdev: u32,
    },
    /// Replaced by a later entry.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) parent: NodeId,
    pub(crate) opaque: bool,
    pub(crate) children: BTreeMap<Box<[u8]>, NodeId>,
}

impl Directory {
    fn new(parent: NodeId) -> Directory {
        Directory {
            parent,
            opaque: false,
            children: BTreeMap::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Entries ever added, hard links included.
    entries: u64,
    metadata: u64,
    max_entries: u64,
    max_metadata: u64,
}

impl Tree {
    pub(crate) fn new(limits: &Limits) -> Tree {
        let root = Node {
            meta: Meta::implied_directory(),
            links: 0,
            body: Body::Directory(Directory::new(NodeId::ROOT)),
        };
        Tree {
            nodes: vec![root],
            entries: 0,
            metadata: 0,
            max_entries: limits.entries,
            max_metadata: limits.metadata,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    pub(crate) fn directory(&self, id: NodeId) -> Option<&Directory> {
        match &self.node(id).body {
            Body::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    pub(crate) fn is_directory(&self, id: NodeId) -> bool {
        self.directory(id).is_some()
    }

    pub(crate) fn child(&self, place: Place<'_>) -> Option<NodeId> {
        self.directory(place.parent)?
            .children
            .get(place.name)
            .copied()
    }

    /// The directory at `components`, made where the archive never mentioned it.
    pub(crate) fn make_parents(
        &mut self,
        path: &[u8],
        components: &[&[u8]],
    ) -> Result<NodeId, BuildError> {
        let mut walk = Walk::new(path);
        for name in components {
            if let Err(missing) = walk.enter(self, name)? {
                walk.at = self.put_implied_directory(Place {
                    parent: missing,
                    name,
                })?;
            }
        }
        Ok(walk.at)
    }

    /// The directory at `components`, or `None` where a component is missing.
    pub(crate) fn find_parents(
        &self,
        path: &[u8],
        components: &[&[u8]],
    ) -> Result<Option<NodeId>, BuildError> {
        let mut walk = Walk::new(path);
        for name in components {
            if walk.enter(self, name)?.is_err() {
                return Ok(None);
            }
        }
        Ok(Some(walk.at))
    }

    pub(crate) fn describe_root(&mut self, meta: Meta) -> Result<(), BuildError> {
        self.charge(0, &meta)?;
        self.nodes[NodeId::ROOT.index()].meta = meta;
        Ok(())
    }

    pub(crate) fn put_directory(
        &mut self,
        place: Place<'_>,
        meta: Meta,
    ) -> Result<Removed, BuildError> {
        let existing = self.child(place);
        if let Some(existing) = existing.filter(|&existing| self.is_directory(existing)) {
            self.charge(0, &meta)?;
            self.nodes[existing.index()].meta = meta;
            return Ok(Vec::new());
        }
        let mut directory = Directory::new(place.parent);
        directory.opaque = existing.is_some_and(|existing| self.is_whiteout(existing));
        self.put(place, meta, Body::Directory(directory))
    }

    pub(crate) fn put_file(
        &mut self,
        place: Place<'_>,
        extent: Extent,
        meta: Meta,
    ) -> Result<Removed, BuildError> {
        self.put(place, meta, Body::File(extent))
    }

    pub(crate) fn put_symlink(
        &mut self,
        place: Place<'_>,
        target: &[u8],
        meta: Meta,
    ) -> Result<Removed, BuildError> {
        self.put(place, meta, Body::Symlink(target.into()))
    }

    pub(crate) fn put_device(
        &mut self,
        place: Place<'_>,
        kind: FileKind,
        rdev: u32,
        meta: Meta,
    ) -> Result<Removed, BuildError> {
        self.put(place, meta, Body::Device { kind, rdev })
    }

    pub(crate) fn put_link(
        &mut self,
        place: Place<'_>,
        target: NodeId,
    ) -> Result<Removed, BuildError> {
        if self.child(place) == Some(target) {
            return Ok(Vec::new());
        }
        self.charge(place.name.len(), &Meta::default())?;
        // Before the removal, which may take the target's other names.
        self.nodes[target.index()].links += 1;
        Ok(self.replace(place, target))
    }

    pub(crate) fn put_whiteout(&mut self, place: Place<'_>) -> Result<(), BuildError> {
        match self.child(place) {
            Some(existing) if self.is_directory(existing) => self.make_opaque(existing),
            Some(_) => Ok(()),
            None => {
                let body = Body::Device {
                    kind: FileKind::Char,
                    rdev: 0,
                };
                self.put(place, Meta::default(), body).map(drop)
            }
        }
    }

    pub(crate) fn make_opaque(&mut self, id: NodeId) -> Result<(), BuildError> {
        if let Body::Directory(directory) = &mut self.nodes[id.index()].body {
            directory.opaque = true;
        }
        Ok(())
    }

    fn put_implied_directory(&mut self, place: Place<'_>) -> Result<NodeId, BuildError> {
        // The only thing that can be there is a whiteout, which has no contents to give back.
        self.put_directory(place, Meta::implied_directory())?;
        Ok(self.child(place).unwrap_or(NodeId::ROOT))
    }

    fn put(&mut self, place: Place<'_>, meta: Meta, body: Body) -> Result<Removed, BuildError> {
        let target = if let Body::Symlink(target) = &body {
            target.len()
        } else {
            0
        };
        self.charge(place.name.len() + target, &meta)?;
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node {
            meta,
            links: 1,
            body,
        });
        Ok(self.replace(place, id))
    }

    /// Counts an entry against the limits; a directory that is described again counts too.
    fn charge(&mut self, bytes: usize, meta: &Meta) -> Result<(), BuildError> {
        let xattrs = meta
            .xattrs
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
        self.entries += 1;
        self.metadata = self.metadata.saturating_add((bytes + xattrs) as u64);
        if self.entries > self.max_entries {
            return Err(BuildError::TooManyEntries {
                limit: self.max_entries,
            });
        }
        if self.metadata > self.max_metadata {
            return Err(BuildError::TooMuchMetadata {
                limit: self.max_metadata,
            });
        }
        Ok(())
    }

    /// Puts `id` at `place` and removes what was there with everything below it.
    fn replace(&mut self, place: Place<'_>, id: NodeId) -> Removed {
        let Body::Directory(parent) = &mut self.nodes[place.parent.index()].body else {
            return Vec::new();
        };
        let mut gone = Vec::from_iter(parent.children.insert(place.name.into(), id));
        let mut removed = Vec::new();
        while let Some(id) = gone.pop() {
            let node = &mut self.nodes[id.index()];
            node.links -= 1;
            if node.links > 0 {
                continue;
            }
            node.meta.xattrs = Vec::new();
            match std::mem::replace(&mut node.body, Body::Gone) {
                Body::Directory(directory) => gone.extend(directory.children.into_values()),
                Body::File(extent) => removed.push(extent),
                Body::Symlink(_) | Body::Device { .. } | Body::Gone => {}
            }
        }
        removed
    }

    fn is_whiteout(&self, id: NodeId) -> bool {
        matches!(
            self.node(id).body,
            Body::Device {
                kind: FileKind::Char,
                rdev: 0
            }
        )
    }
}

/// A walk from the root along one path of the archive.
struct Walk<'a> {
    path: &'a [u8],
    at: NodeId,
    symlinks: usize,
}

impl<'a> Walk<'a> {
    fn new(path: &'a [u8]) -> Walk<'a> {
        Walk {
            path,
            at: NodeId::ROOT,
            symlinks: 0,
        }
    }

    /// Goes into `name`. The inner error is the directory where it is missing (or whited out).
    fn enter(&mut self, tree: &Tree, name: &[u8]) -> Result<Result<(), NodeId>, BuildError> {
        let Some(child) = tree.child(Place {
            parent: self.at,
            name,
        }) else {
            return Ok(Err(self.at));
        };
        match &tree.node(child).body {
            Body::Directory(_) => self.at = child,
            Body::Symlink(target) => self.follow(tree, target)?,
            _ if tree.is_whiteout(child) => return Ok(Err(self.at)),
            _ => {
                return Err(BuildError::NotADirectory {
                    path: text(self.path),
                });
            }
        }
        Ok(Ok(()))
    }

    /// Follows a symlink, and the symlinks in its target, never above the root.
    fn follow(&mut self, tree: &Tree, target: &[u8]) -> Result<(), BuildError> {
        let mut pending = Vec::new();
        self.expand(target, &mut pending)?;
        while let Some(name) = pending.pop() {
            let Some(here) = tree.directory(self.at) else {
                return Err(BuildError::NotADirectory {
                    path: text(self.path),
                });
            };
            if name == b".." {
                self.at = here.parent;
                continue;
            }
            let Some(&child) = here.children.get(name.as_slice()) else {
                return Err(BuildError::DanglingSymlink {
                    path: text(self.path),
                });
            };
            match &tree.node(child).body {
                Body::Directory(_) => self.at = child,
                Body::Symlink(target) => self.expand(target, &mut pending)?,
                _ => {
                    return Err(BuildError::NotADirectory {
                        path: text(self.path),
                    });
                }
            }
        }
        Ok(())
    }

    /// Puts a target's components on the stack of what is still to be entered.
    fn expand(&mut self, target: &[u8], pending: &mut Vec<Vec<u8>>) -> Result<(), BuildError> {
        self.symlinks += 1;
        if self.symlinks > MAX_SYMLINKS {
            return Err(BuildError::SymlinkLoop {
                path: text(self.path),
            });
        }
        if target.starts_with(b"/") {
            self.at = NodeId::ROOT;
        }
        let components = target.split(|&byte| byte == b'/');
        let named = components.filter(|name| !name.is_empty() && *name != b".");
        pending.extend(named.rev().map(<[u8]>::to_vec));
        Ok(())
    }
}
