//! Directory listings: `struct fuse_dirent` and `struct fuse_direntplus`, as many as fit.

use hull_layer::Attr;

use super::abi::Body;
use super::request::Detail;

const DIRENT: usize = 24;
const ENTRY_OUT: usize = 128;

/// One name of a listing.
pub(super) struct Item<'a> {
    pub(super) name: &'a [u8],
    /// A `DT_*` value.
    pub(super) kind: u8,
    pub(super) node: u64,
    /// Where reading goes on behind this name.
    pub(super) next: u64,
    /// What a lookup would tell; none for `.` and `..`, which are not to be counted as looked up.
    pub(super) attr: Option<Attr>,
}

pub(super) struct Listing<'a> {
    body: &'a mut Body,
    limit: usize,
    detail: Detail,
    full: bool,
}

impl<'a> Listing<'a> {
    pub(super) fn new(body: &'a mut Body, limit: usize, detail: Detail) -> Self {
        Self {
            body,
            limit,
            detail,
            full: false,
        }
    }

    /// Adds a name; `false` when it does not fit, and nothing more will.
    pub(super) fn add(&mut self, item: &Item<'_>) -> bool {
        let plus = self.detail == Detail::Attributes;
        let head = if plus { ENTRY_OUT + DIRENT } else { DIRENT };
        let length = (head + item.name.len()).next_multiple_of(8);
        if self.body.len() + length > self.limit {
            self.full = true;
            return false;
        }
        match &item.attr {
            _ if !plus => {}
            Some(attr) => self.body.put_entry(item.node, attr),
            None => self.body.put(&[0; ENTRY_OUT]),
        }
        self.body.put_u64(item.node);
        self.body.put_u64(item.next);
        self.body.put_u32(item.name.len() as u32);
        self.body.put_u32(u32::from(item.kind));
        self.body.put(item.name);
        self.body.pad(8);
        true
    }

    /// Whether there is a name that an empty buffer cannot take: an empty reply would mean the end.
    pub(super) fn is_stuck(&self) -> bool {
        self.full && self.body.len() == 0
    }
}
