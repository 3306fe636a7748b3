//! A reproducible writer of cpio archives in the "newc" format, which the kernel
//! unpacks as its initramfs (kernel: Documentation/driver-api/early-userspace/
//! buffer-format.rst).
//!
//! Times and owners are always zero, and inode numbers follow the order of
//! entries, so the same entries give the same bytes. It knows the three kinds of
//! entry an initramfs needs: directories, files and character devices.

const TRAILER: &str = "TRAILER!!!";
const S_IFCHR: u32 = 0o020_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;

/// Permission bits: newtype, so that a mode cannot be taken for a device number.
#[derive(Clone, Copy)]
pub(crate) struct Permissions(pub(crate) u32);

/// A device number.
#[derive(Clone, Copy, Default)]
pub(crate) struct Device {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Names have no leading slash; a directory comes before what it holds.
    pub(crate) fn directory(&mut self, name: &str, permissions: Permissions) {
        self.entry(name, S_IFDIR | permissions.0, Device::default(), &[]);
    }

    pub(crate) fn file(&mut self, name: &str, permissions: Permissions, content: &[u8]) {
        self.entry(name, S_IFREG | permissions.0, Device::default(), content);
    }

    pub(crate) fn character_device(
        &mut self,
        name: &str,
        permissions: Permissions,
        device: Device,
    ) {
        self.entry(name, S_IFCHR | permissions.0, device, &[]);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, Device::default(), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, device: Device, content: &[u8]) {
        self.entries += 1;
        let links = if mode & S_IFDIR != 0 { 2 } else { 1 };
        let size = u32::try_from(content.len()).expect("a cpio entry is smaller than 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("a name is short");
        // inode, mode, uid, gid, links, mtime, size, the file system's device,
        // the entry's own device, length of the name with its NUL, checksum.
        let fields = [
            self.entries,
            mode,
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            device.major,
            device.minor,
            name_size,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    /// Header with name, and content, each end on a multiple of four bytes.
    fn pad(&mut self) {
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.directory("dev", Permissions(0o755));
        archive.character_device(
            "dev/console",
            Permissions(0o600),
            Device { major: 5, minor: 1 },
        );
        archive.file("init", Permissions(0o755), b"hello");
        archive.finish()
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let bytes = sample();
        let text = String::from_utf8_lossy(&bytes);
        let expected = "07070100000001000041ed00000000000000000000000200000000000000000000000000000000000000000000000000000004\
                        00000000dev\0\0\0";
        assert!(text.starts_with(&expected.replace(' ', "")), "{text}");
        assert!(text.contains("00002180"), "mode of the device");
        assert!(
            text.contains("init\0\0hello\0\0\x00070701"),
            "name and content end on multiples of four"
        );
        assert!(text.trim_end_matches('\0').ends_with(TRAILER));
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn the_same_entries_give_the_same_bytes() {
        assert_eq!(sample(), sample());
    }

    /// A second reader of the format agrees with the writer.
    #[test]
    fn a_reader_finds_the_entries_again() {
        let bytes = sample();
        let number = |at: usize| {
            usize::from_str_radix(std::str::from_utf8(&bytes[at..at + 8]).unwrap(), 16).unwrap()
        };
        let (mut at, mut seen) = (0, Vec::new());
        loop {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let (mode, size, name_size) = (number(at + 14), number(at + 54), number(at + 94));
            let name =
                String::from_utf8(bytes[at + 110..at + 110 + name_size - 1].to_vec()).unwrap();
            let content = (at + 110 + name_size).next_multiple_of(4);
            at = (content + size).next_multiple_of(4);
            if name == TRAILER {
                break;
            }
            seen.push((name, mode, bytes[content..content + size].to_vec()));
        }
        assert_eq!(at, bytes.len());
        assert_eq!(
            seen,
            [
                ("dev".to_owned(), 0o040_755, Vec::new()),
                ("dev/console".to_owned(), 0o020_600, Vec::new()),
                ("init".to_owned(), 0o100_755, b"hello".to_vec()),
            ]
        );
    }
}
