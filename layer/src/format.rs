//! The records of the file, as bytes. The crate's page has the tables.

use sha2::{Digest, Sha256};

/// Alignment of contents and index: a page, so that both can be mapped.
pub(crate) const BLOCK: u64 = 4096;
pub(crate) const HEADER_LEN: usize = 160;
pub(crate) const INODE_LEN: usize = 64;
pub(crate) const ENTRY_LEN: usize = 12;
pub(crate) const XATTR_LEN: usize = 16;

pub(crate) const OPAQUE_KEY: &[u8] = b"trusted.overlay.opaque";
pub(crate) const OPAQUE_VALUE: &[u8] = b"y";

const MAGIC: &[u8; 8] = b"HULLPACK";
const VERSION: u32 = 1;

/// A run of records (or bytes) inside the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Section {
    pub(crate) offset: u64,
    pub(crate) count: u64,
}

impl Section {
    fn end(self, record: usize) -> Option<u64> {
        self.count
            .checked_mul(record as u64)?
            .checked_add(self.offset)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) index_offset: u64,
    pub(crate) index_length: u64,
    pub(crate) inodes: Section,
    pub(crate) entries: Section,
    pub(crate) xattrs: Section,
    pub(crate) names: Section,
    pub(crate) blobs: Section,
    pub(crate) index_digest: [u8; 32],
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Magic,
    Version(u32),
    Digest,
    Layout,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[16..24].copy_from_slice(&self.index_offset.to_le_bytes());
        out[24..32].copy_from_slice(&self.index_length.to_le_bytes());
        let sections = [
            self.inodes,
            self.entries,
            self.xattrs,
            self.names,
            self.blobs,
        ];
        for (section, at) in sections.iter().zip((32..).step_by(16)) {
            out[at..at + 8].copy_from_slice(&section.offset.to_le_bytes());
            out[at + 8..at + 16].copy_from_slice(&section.count.to_le_bytes());
        }
        out[128..].copy_from_slice(&self.index_digest);
        let digest = header_digest(&out);
        out[112..128].copy_from_slice(&digest);
        out
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Header, BadHeader> {
        if bytes[..8] != MAGIC[..] {
            return Err(BadHeader::Magic);
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        if bytes[112..128] != header_digest(bytes) {
            return Err(BadHeader::Digest);
        }
        let section = |at| Section {
            offset: u64_at(bytes, at),
            count: u64_at(bytes, at + 8),
        };
        let mut index_digest = [0; 32];
        index_digest.copy_from_slice(&bytes[128..]);
        let header = Header {
            index_offset: u64_at(bytes, 16),
            index_length: u64_at(bytes, 24),
            inodes: section(32),
            entries: section(48),
            xattrs: section(64),
            names: section(80),
            blobs: section(96),
            index_digest,
        };
        header.is_sound().then_some(header).ok_or(BadHeader::Layout)
    }

    pub(crate) fn file_length(&self) -> Option<u64> {
        self.index_offset.checked_add(self.index_length)
    }

    fn is_sound(&self) -> bool {
        let sections = [
            (self.inodes, INODE_LEN),
            (self.entries, ENTRY_LEN),
            (self.xattrs, XATTR_LEN),
            (self.names, 1),
            (self.blobs, 1),
        ];
        let within = |(section, record): (Section, usize)| {
            section
                .end(record)
                .is_some_and(|end| end <= self.index_length)
        };
        self.index_offset >= BLOCK
            && self.index_offset.is_multiple_of(BLOCK)
            && self.file_length().is_some()
            && usize::try_from(self.index_length).is_ok()
            && self.inodes.count >= 1
            && u32::try_from(self.inodes.count).is_ok()
            && sections.into_iter().all(within)
    }
}

fn header_digest(bytes: &[u8; HEADER_LEN]) -> [u8; 16] {
    let digest = Sha256::new()
        .chain_update(&bytes[..112])
        .chain_update(&bytes[128..])
        .finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// An inode as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct InodeRecord {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    pub(crate) secs: i64,
    pub(crate) nanos: u32,
    pub(crate) rdev: u32,
    pub(crate) size: u64,
    pub(crate) place: u64,
    pub(crate) first_xattr: u32,
    pub(crate) xattrs: u32,
    pub(crate) parent: u32,
    pub(crate) blocks: u32,
}

impl InodeRecord {
    pub(crate) fn encode(&self) -> [u8; INODE_LEN] {
        let mut out = [0; INODE_LEN];
        out[0..4].copy_from_slice(&self.mode.to_le_bytes());
        out[4..8].copy_from_slice(&self.uid.to_le_bytes());
        out[8..12].copy_from_slice(&self.gid.to_le_bytes());
        out[12..16].copy_from_slice(&self.nlink.to_le_bytes());
        out[16..24].copy_from_slice(&self.secs.to_le_bytes());
        out[24..28].copy_from_slice(&self.nanos.to_le_bytes());
        out[28..32].copy_from_slice(&self.rdev.to_le_bytes());
        out[32..40].copy_from_slice(&self.size.to_le_bytes());
        out[40..48].copy_from_slice(&self.place.to_le_bytes());
        out[48..52].copy_from_slice(&self.first_xattr.to_le_bytes());
        out[52..56].copy_from_slice(&self.xattrs.to_le_bytes());
        out[56..60].copy_from_slice(&self.parent.to_le_bytes());
        out[60..64].copy_from_slice(&self.blocks.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8; INODE_LEN]) -> InodeRecord {
        InodeRecord {
            mode: u32_at(bytes, 0),
            uid: u32_at(bytes, 4),
            gid: u32_at(bytes, 8),
            nlink: u32_at(bytes, 12),
            secs: u64_at(bytes, 16).cast_signed(),
            nanos: u32_at(bytes, 24),
            rdev: u32_at(bytes, 28),
            size: u64_at(bytes, 32),
            place: u64_at(bytes, 40),
            first_xattr: u32_at(bytes, 48),
            xattrs: u32_at(bytes, 52),
            parent: u32_at(bytes, 56),
            blocks: u32_at(bytes, 60),
        }
    }
}

/// A name in a directory as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryRecord {
    pub(crate) name: u32,
    pub(crate) ino: u32,
    pub(crate) length: u16,
    pub(crate) kind: u8,
}

impl EntryRecord {
    pub(crate) fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut out = [0; ENTRY_LEN];
        out[0..4].copy_from_slice(&self.name.to_le_bytes());
        out[4..8].copy_from_slice(&self.ino.to_le_bytes());
        out[8..10].copy_from_slice(&self.length.to_le_bytes());
        out[10] = self.kind;
        out
    }

    pub(crate) fn decode(bytes: &[u8; ENTRY_LEN]) -> EntryRecord {
        EntryRecord {
            name: u32_at(bytes, 0),
            ino: u32_at(bytes, 4),
            length: u16::from_le_bytes([bytes[8], bytes[9]]),
            kind: bytes[10],
        }
    }
}

/// An extended attribute as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct XattrRecord {
    pub(crate) key: u32,
    pub(crate) value: u32,
    pub(crate) key_length: u32,
    pub(crate) value_length: u32,
}

impl XattrRecord {
    pub(crate) fn encode(&self) -> [u8; XATTR_LEN] {
        let mut out = [0; XATTR_LEN];
        out[0..4].copy_from_slice(&self.key.to_le_bytes());
        out[4..8].copy_from_slice(&self.value.to_le_bytes());
        out[8..12].copy_from_slice(&self.key_length.to_le_bytes());
        out[12..16].copy_from_slice(&self.value_length.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8; XATTR_LEN]) -> XattrRecord {
        XattrRecord {
            key: u32_at(bytes, 0),
            value: u32_at(bytes, 4),
            key_length: u32_at(bytes, 8),
            value_length: u32_at(bytes, 12),
        }
    }
}

/// Only called with constant offsets inside fixed-size records.
fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

/// A header with its checksum made to match, whatever it says.
#[cfg(test)]
pub(crate) fn reseal(mut bytes: [u8; HEADER_LEN]) -> [u8; HEADER_LEN] {
    let digest = header_digest(&bytes);
    bytes[112..128].copy_from_slice(&digest);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            index_offset: 8192,
            index_length: 1000,
            inodes: Section {
                offset: 0,
                count: 2,
            },
            entries: Section {
                offset: 128,
                count: 1,
            },
            xattrs: Section {
                offset: 140,
                count: 1,
            },
            names: Section {
                offset: 156,
                count: 10,
            },
            blobs: Section {
                offset: 166,
                count: 834,
            },
            index_digest: [7; 32],
        }
    }

    #[test]
    fn headers_round_trip() {
        assert_eq!(Header::decode(&header().encode()), Ok(header()));
    }

    #[test]
    fn every_changed_bit_of_a_header_is_noticed() {
        let sound = header().encode();
        for bit in 0..HEADER_LEN * 8 {
            let mut bytes = sound;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn layouts_outside_the_index_are_refused() {
        let sound = header();
        let refused = |header: Header| Header::decode(&header.encode()) == Err(BadHeader::Layout);
        assert!(refused(Header {
            index_offset: 0,
            ..sound
        }));
        assert!(refused(Header {
            index_offset: 8193,
            ..sound
        }));
        assert!(refused(Header {
            index_length: u64::MAX,
            ..sound
        }));
        assert!(refused(Header {
            inodes: Section {
                offset: 0,
                count: 0
            },
            ..sound
        }));
        assert!(refused(Header {
            inodes: Section {
                offset: 0,
                count: u64::MAX
            },
            ..sound
        }));
        assert!(refused(Header {
            entries: Section {
                offset: u64::MAX,
                count: 1
            },
            ..sound
        }));
        assert!(refused(Header {
            blobs: Section {
                offset: 167,
                count: 834
            },
            ..sound
        }));
    }

    #[test]
    fn records_round_trip() {
        let inode = InodeRecord {
            mode: 1,
            uid: 2,
            gid: 3,
            nlink: 4,
            secs: -5,
            nanos: 6,
            rdev: 7,
            size: 8,
            place: 9,
            first_xattr: 10,
            xattrs: 11,
            parent: 12,
            blocks: 13,
        };
        assert_eq!(InodeRecord::decode(&inode.encode()), inode);
        let entry = EntryRecord {
            name: 1,
            ino: 2,
            length: 3,
            kind: 4,
        };
        assert_eq!(EntryRecord::decode(&entry.encode()), entry);
        let xattr = XattrRecord {
            key: 1,
            value: 2,
            key_length: 3,
            value_length: 4,
        };
        assert_eq!(XattrRecord::decode(&xattr.encode()), xattr);
    }
}
