//! What is said about a file: the vocabulary that writer and reader share.

/// An inode number of one layer. The root is [`Ino::ROOT`]; there is no inode 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub(crate) u32);

impl Ino {
    pub const ROOT: Ino = Ino(1);

    /// The inode with this number, if a layer could have it.
    pub fn new(number: u64) -> Option<Ino> {
        u32::try_from(number)
            .ok()
            .filter(|&number| number != 0)
            .map(Ino)
    }

    pub fn get(self) -> u64 {
        u64::from(self.0)
    }
}

/// A moment in seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    pub secs: i64,
    pub nanos: u32,
}

/// Owner, permissions, time and extended attributes of an entry that is being added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// Permission bits with set-uid, set-gid and sticky; other bits are ignored.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Timestamp,
    /// Keys and values. `trusted.overlay.*` is dropped: only the builder may speak to overlayfs.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Meta {
    /// What a directory gets that the archive implies but never describes.
    pub(crate) fn implied_directory() -> Meta {
        Meta {
            mode: 0o755,
            ..Meta::default()
        }
    }
}

/// Special files other than directories, symlinks and regular files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    Char,
    Block,
    Fifo,
    Socket,
}

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    Char,
    Block,
    Fifo,
    Socket,
}

impl FileKind {
    /// The type bits (`S_IFMT`) of a mode.
    pub fn mode_bits(self) -> u32 {
        u32::from(self.dirent_type()) << 12
    }

    /// The `DT_*` value, which is what the mode's type bits are when shifted down.
    pub fn dirent_type(self) -> u8 {
        match self {
            FileKind::Fifo => 1,
            FileKind::Char => 2,
            FileKind::Directory => 4,
            FileKind::Block => 6,
            FileKind::File => 8,
            FileKind::Symlink => 10,
            FileKind::Socket => 12,
        }
    }

    pub fn from_dirent_type(value: u8) -> Option<FileKind> {
        Some(match value {
            1 => FileKind::Fifo,
            2 => FileKind::Char,
            4 => FileKind::Directory,
            6 => FileKind::Block,
            8 => FileKind::File,
            10 => FileKind::Symlink,
            12 => FileKind::Socket,
            _ => return None,
        })
    }

    pub fn from_mode(mode: u32) -> Option<FileKind> {
        u8::try_from(mode >> 12)
            .ok()
            .and_then(FileKind::from_dirent_type)
    }
}

impl From<DeviceKind> for FileKind {
    fn from(kind: DeviceKind) -> FileKind {
        match kind {
            DeviceKind::Char => FileKind::Char,
            DeviceKind::Block => FileKind::Block,
            DeviceKind::Fifo => FileKind::Fifo,
            DeviceKind::Socket => FileKind::Socket,
        }
    }
}

/// What `stat` says about an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    pub kind: FileKind,
    /// Type and permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    /// Bytes of a file, length of a symlink's target, 4096 for a directory.
    pub size: u64,
    /// Blocks of 512 bytes that are really stored.
    pub blocks: u64,
    pub mtime: Timestamp,
    /// Device number in Linux's 32-bit encoding.
    pub rdev: u32,
}

impl Attr {
    /// Whether overlayfs reads this inode as "deleted here".
    pub fn is_whiteout(&self) -> bool {
        self.kind == FileKind::Char && self.rdev == 0
    }
}

/// How much one archive may ask for. Every limit has its own error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries ever added, replaced ones and implied directories included.
    pub entries: u64,
    /// Bytes of file contents ever written, holes not included.
    pub bytes: u64,
    /// How far contents and holes together may stretch.
    pub span: u64,
    /// Bytes of names, symlink targets and extended attributes together.
    pub metadata: u64,
    /// Bytes of one name.
    pub name: usize,
    /// Bytes of one path or symlink target.
    pub path: usize,
    /// Bytes of one extended attribute's value.
    pub xattr: usize,
    /// Extended attributes of one entry.
    pub xattrs: usize,
}

impl Default for Limits {
    /// What Linux itself allows, and totals far above any sound image.
    fn default() -> Limits {
        Limits {
            entries: 4_000_000,
            bytes: 256 << 30,
            span: 8 << 40,
            metadata: 1 << 30,
            name: 255,
            path: 4096,
            xattr: 64 << 10,
            xattrs: 128,
        }
    }
}

/// Linux's 32-bit device number: 12 bits of major, 20 bits of minor.
pub(crate) fn encode_rdev(major: u32, minor: u32) -> Option<u32> {
    let fits = major <= 0xfff && minor <= 0xf_ffff;
    fits.then_some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_encoded_as_linux_does() {
        assert_eq!(encode_rdev(0, 0), Some(0));
        assert_eq!(encode_rdev(1, 3), Some(0x103));
        assert_eq!(encode_rdev(0xfff, 0xf_ffff), Some(0xffff_ffff));
        assert_eq!(encode_rdev(8, 0x123), Some(0x0010_0823));
        assert_eq!(encode_rdev(0x1000, 0), None);
        assert_eq!(encode_rdev(0, 0x10_0000), None);
    }

    #[test]
    fn kinds_round_trip_through_their_numbers() {
        for kind in [
            FileKind::File,
            FileKind::Directory,
            FileKind::Symlink,
            FileKind::Char,
            FileKind::Block,
            FileKind::Fifo,
            FileKind::Socket,
        ] {
            assert_eq!(FileKind::from_dirent_type(kind.dirent_type()), Some(kind));
            assert_eq!(FileKind::from_mode(kind.mode_bits() | 0o7777), Some(kind));
        }
        assert_eq!(FileKind::from_mode(0o755), None);
        assert_eq!(FileKind::from_mode(u32::MAX), None);
    }
}
