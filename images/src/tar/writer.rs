//! Writes the few kinds of entries that our own archives have. The same entries always give the
//! same bytes.

use std::io::{self, Read, Write};

use super::BLOCK;

/// What an entry of an archive says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) mode: u32,
    /// Unix seconds.
    pub(crate) mtime: i64,
}

/// An archive that is being written. Everything belongs to root.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    out: W,
}

/// Numbers that do not fit their digits are written in binary, as GNU tar does.
const LARGEST_OCTAL: u64 = 0o777_7777_7777;

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Writer<W> {
        Writer { out }
    }

    pub(crate) fn directory(&mut self, name: &str, mtime: i64) -> io::Result<()> {
        let mode = 0o755;
        self.header(name, b'5', 0, Stamp { mode, mtime })
    }

    /// A file of exactly `size` bytes, which `contents` must have.
    pub(crate) fn file(
        &mut self,
        name: &str,
        size: u64,
        mtime: i64,
        contents: &mut dyn Read,
    ) -> io::Result<()> {
        let mode = 0o644;
        self.header(name, b'0', size, Stamp { mode, mtime })?;
        let mut buffer = vec![0; 128 << 10];
        let mut left = size;
        loop {
            let count = match contents.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            left = left.checked_sub(count as u64).ok_or_else(changed)?;
            self.out
                .write_all(buffer.get(..count).unwrap_or_default())?;
        }
        if left > 0 {
            return Err(changed());
        }
        let rest = (size.next_multiple_of(BLOCK as u64) - size) as usize;
        self.out
            .write_all([0; BLOCK].get(..rest).unwrap_or_default())
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()
    }

    fn header(&mut self, name: &str, flag: u8, size: u64, stamp: Stamp) -> io::Result<()> {
        let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "name too long for an entry");
        let mut block = [0; BLOCK];
        block
            .get_mut(..name.len())
            .filter(|field| field.len() <= 100)
            .ok_or_else(too_long)?
            .copy_from_slice(name.as_bytes());
        block[100..108].copy_from_slice(format!("{:07o}\0", stamp.mode).as_bytes());
        block[108..116].copy_from_slice(b"0000000\0");
        block[116..124].copy_from_slice(b"0000000\0");
        block[124..136].copy_from_slice(&number(size));
        // Before 1970 is no time that anything of ours was made at.
        block[136..148].copy_from_slice(&number(stamp.mtime.max(0).cast_unsigned()));
        block[156] = flag;
        block[257..265].copy_from_slice(b"ustar  \0");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.out.write_all(&block)
    }
}

fn changed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a file is not as long as it was",
    )
}

fn number(value: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if value <= LARGEST_OCTAL {
        field.copy_from_slice(format!("{value:011o}\0").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&value.to_be_bytes());
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::{Kind, Reader, Segment};

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.directory("blobs/", 7).unwrap();
        writer.file("blobs/x", 3, 8, &mut &b"abc"[..]).unwrap();
        writer.file("empty", 0, -5, &mut io::empty()).unwrap();
        writer.finish().unwrap();
        let mut reader = Reader::new(&out[..]);
        let entry = reader.entry().unwrap().unwrap();
        assert_eq!(
            (&entry.path[..], &entry.kind),
            (&b"blobs/"[..], &Kind::Directory)
        );
        assert_eq!(entry.meta.mtime.secs, 7);
        let entry = reader.entry().unwrap().unwrap();
        assert_eq!(&entry.path[..], b"blobs/x");
        let mut buffer = [0; 10];
        assert_eq!(reader.segment(&mut buffer).unwrap(), Segment::Data(3));
        assert_eq!(&buffer[..3], b"abc");
        let entry = reader.entry().unwrap().unwrap();
        assert_eq!(&entry.path[..], b"empty");
        assert!(reader.entry().unwrap().is_none());
    }

    #[test]
    fn a_file_must_be_as_long_as_was_said() {
        for contents in [&b"ab"[..], &b"abcd"[..]] {
            let mut contents = contents;
            let written = Writer::new(io::sink()).file("x", 3, 0, &mut contents);
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn names_and_sizes_have_the_format_s_limits() {
        let mut writer = Writer::new(Vec::new());
        assert!(writer.directory(&"x".repeat(100), 0).is_ok());
        assert!(writer.directory(&"x".repeat(101), 0).is_err());
        assert_eq!(&number(LARGEST_OCTAL), b"77777777777\0");
        let large = number(LARGEST_OCTAL + 1);
        assert_eq!(large, [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    }
}
