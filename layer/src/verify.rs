//! Checks a layer's whole index: what a file system check does, for an immutable file.

use sha2::{Digest, Sha256};

use crate::meta::{FileKind, Ino};
use crate::reader::Layer;

/// What is wrong with a layer's index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("index does not have the digest that the header gives")]
    Digest,
    #[error("inode {ino} has an unknown type")]
    Type { ino: u64 },
    #[error("contents, target or names of inode {ino} lie outside the file")]
    Range { ino: u64 },
    #[error("extended attributes of inode {ino} lie outside the index or are not sorted")]
    Xattrs { ino: u64 },
    #[error("names of directory {ino} are not sorted, or not names")]
    Names { ino: u64 },
    #[error("directory {ino} has an entry that does not match its inode")]
    Entry { ino: u64 },
    #[error("inode {ino} has {names} names instead of {nlink}")]
    Links { ino: u64, names: u32, nlink: u32 },
}

impl Layer {
    /// Reads the whole index and says what is wrong with it. Contents are not read.
    pub fn verify(&self) -> Result<(), Damage> {
        if Sha256::digest(self.index.bytes())[..] != self.header.index_digest {
            return Err(Damage::Digest);
        }
        self.verify_structure()
    }

    /// The part of [`Layer::verify`] that damage with a matching digest would have to pass.
    pub(crate) fn verify_structure(&self) -> Result<(), Damage> {
        let mut names = vec![0_u32; usize::try_from(self.inodes()).unwrap_or(0)];
        for number in 1..=self.inodes() {
            let Some(ino) = Ino::new(number) else { break };
            let attr = self.attr(ino).ok_or(Damage::Type { ino: number })?;
            let sound = match attr.kind {
                FileKind::File => self.extent(ino).is_some(),
                FileKind::Symlink => self.readlink(ino).is_some_and(|target| !target.is_empty()),
                FileKind::Directory => {
                    self.verify_directory(ino, &mut names)?;
                    true
                }
                FileKind::Char | FileKind::Block | FileKind::Fifo | FileKind::Socket => true,
            };
            if !sound {
                return Err(Damage::Range { ino: number });
            }
            self.verify_xattrs(ino)?;
        }
        self.verify_links(&names)
    }

    fn verify_directory(&self, dir: Ino, names: &mut [u32]) -> Result<(), Damage> {
        let (_, count) = self.children(dir).ok_or(Damage::Range { ino: dir.get() })?;
        let mut previous: &[u8] = b"";
        let mut seen = 0;
        for entry in self.entries(dir, 0) {
            seen += 1;
            let is_name = entry.name != b"." && entry.name != b".." && !entry.name.contains(&b'/');
            if !is_name || entry.name.contains(&0) || entry.name <= previous {
                return Err(Damage::Names { ino: dir.get() });
            }
            previous = entry.name;
            let inode = self
                .attr(entry.ino)
                .ok_or(Damage::Entry { ino: dir.get() })?;
            let is_below = inode.kind != FileKind::Directory
                || (entry.ino != Layer::ROOT && self.parent(entry.ino) == Some(dir));
            if inode.kind != entry.kind || !is_below {
                return Err(Damage::Entry { ino: dir.get() });
            }
            if let Some(count) = names.get_mut(entry.ino.get() as usize - 1) {
                *count += 1;
            }
        }
        if seen == count {
            Ok(())
        } else {
            Err(Damage::Range { ino: dir.get() })
        }
    }

    fn verify_xattrs(&self, ino: Ino) -> Result<(), Damage> {
        let damage = Damage::Xattrs { ino: ino.get() };
        let expected = self.inode(ino).map_or(0, |inode| u64::from(inode.xattrs));
        let mut previous: &[u8] = b"";
        let mut seen = 0;
        for (key, _) in self.xattrs(ino) {
            if key <= previous {
                return Err(damage);
            }
            previous = key;
            seen += 1;
        }
        if seen == expected {
            Ok(())
        } else {
            Err(damage)
        }
    }

    fn verify_links(&self, names: &[u32]) -> Result<(), Damage> {
        for (&names, number) in names.iter().zip(1..) {
            let Some(attr) = Ino::new(number).and_then(|ino| self.attr(ino)) else {
                continue;
            };
            let nlink = match attr.kind {
                FileKind::Directory => u32::from(number != 1),
                _ => attr.nlink,
            };
            if names != nlink {
                return Err(Damage::Links {
                    ino: number,
                    names,
                    nlink,
                });
            }
        }
        Ok(())
    }
}
