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
        // Directories that shared entries would make this quadratic.
        let mut unclaimed = self.header.entries.count;
        for number in 1..=self.inodes() {
            let Some(ino) = Ino::new(number) else { break };
            let attr = self.attr(ino).ok_or(Damage::Type { ino: number })?;
            let sound = match attr.kind {
                FileKind::File => self.extent(ino).is_some(),
                FileKind::Symlink => self.readlink(ino).is_some_and(|target| !target.is_empty()),
                FileKind::Directory => {
                    let claimed = self.children(ino).map_or(u64::MAX, |(_, count)| count);
                    unclaimed = unclaimed
                        .checked_sub(claimed)
                        .ok_or(Damage::Range { ino: number })?;
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
                *count = count.saturating_add(1);
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use proptest::prelude::*;

    use super::*;
    use crate::format::{HEADER_LEN, Header};
    use crate::{BuildError, Builder, DeviceKind, Limits, Meta};

    fn fill(builder: &mut Builder) -> Result<(), BuildError> {
        let xattrs = vec![(b"user.k".to_vec(), b"value".to_vec())];
        builder.directory(
            b"dir",
            Meta {
                xattrs,
                ..Meta::default()
            },
        )?;
        for name in ["a", "b", "dir/c", "dir/sub/d"] {
            let mut file = builder.file(name.as_bytes(), Meta::default())?;
            file.append(name.as_bytes())?;
            file.finish()?;
        }
        builder.hardlink(b"dir/link", b"a")?;
        builder.symlink(b"symlink", b"dir/c", Meta::default())?;
        builder.device(b"fifo", DeviceKind::Fifo, 0, 0, Meta::default())?;
        builder.opaque(b"dir/sub")
    }

    fn sample() -> File {
        let file = tempfile::tempfile().unwrap();
        let mut builder = Builder::new(file.try_clone().unwrap(), Limits::default()).unwrap();
        fill(&mut builder).unwrap();
        builder.finish().unwrap();
        file
    }

    fn header(file: &File) -> Header {
        let mut bytes = [0; HEADER_LEN];
        file.read_exact_at(&mut bytes, 0).unwrap();
        Header::decode(&bytes).unwrap()
    }

    /// Asks everything about everything, as a hostile guest may.
    fn exercise(layer: &Layer) {
        let mut buf = [0; 16];
        let numbers = (0..=layer.inodes() + 1).chain([u64::from(u32::MAX)]);
        for ino in numbers.filter_map(Ino::new) {
            let _ = (layer.attr(ino), layer.readlink(ino), layer.parent(ino));
            for entry in layer.entries(ino, 0).take(1000) {
                let _ = layer.lookup(ino, entry.name);
            }
            let _ = layer.lookup(ino, b"name");
            for (key, _) in layer.xattrs(ino).take(1000) {
                let _ = layer.xattr(ino, key);
            }
            for offset in [0, 1, u64::MAX] {
                let _ = layer.read_at(ino, offset, &mut buf);
            }
        }
    }

    #[test]
    fn a_sound_layer_passes() {
        let layer = Layer::open(sample()).unwrap();
        assert_eq!(layer.verify(), Ok(()));
    }

    #[test]
    fn every_changed_byte_of_the_index_is_noticed() {
        let file = sample();
        let header = header(&file);
        let layer = Layer::open(file.try_clone().unwrap()).unwrap();
        for at in header.index_offset..header.index_offset + header.index_length {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
            assert_eq!(layer.verify(), Err(Damage::Digest), "byte {at}");
            file.write_all_at(&byte, at).unwrap();
        }
        assert_eq!(layer.verify(), Ok(()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        #[test]
        fn damaged_layers_never_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        ) {
            let file = sample();
            let header = header(&file);
            for (at, byte) in changes {
                let at = at.index(header.index_length as usize) as u64;
                file.write_all_at(&[byte], header.index_offset + at).unwrap();
            }
            let layer = Layer::open(file).unwrap();
            exercise(&layer);
            let _ = layer.verify_structure();
        }

        #[test]
        fn lying_headers_never_panic(
            at in (16_usize..112).prop_map(|at| at & !7),
            value in prop_oneof![any::<u64>(), 0_u64..10_000],
        ) {
            let file = sample();
            let mut bytes = header(&file).encode();
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            let resealed = crate::format::reseal(bytes);
            file.write_all_at(&resealed, 0).unwrap();
            if let Ok(layer) = Layer::open(file) {
                exercise(&layer);
                let _ = layer.verify_structure();
            }
        }
    }
}
