//! Archives for tests, made byte by byte: also such as no sound program writes.

use super::BLOCK;

#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<u8>);

impl Sample {
    /// An entry with its contents.
    pub(crate) fn entry(mut self, flag: u8, name: &str, link: &str, contents: &[u8]) -> Sample {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, name.as_bytes());
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{:011o}\0", contents.len()).as_bytes());
        put(136, b"00000000001\0");
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        put(156, &[flag]);
        put(329, b"0000001\0");
        put(337, b"0000003\0");
        self.raw(block, contents);
        self
    }

    pub(crate) fn file(self, name: &str, contents: &[u8]) -> Sample {
        self.entry(b'0', name, "", contents)
    }

    pub(crate) fn directory(self, name: &str) -> Sample {
        self.entry(b'5', name, "", b"")
    }

    /// Pax records for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Sample {
        let mut text = String::new();
        for (key, value) in records {
            let body = key.len() + value.len() + 3;
            let mut length = body;
            while length != body + length.to_string().len() {
                length = body + length.to_string().len();
            }
            text.push_str(&format!("{length} {key}={value}\n"));
        }
        self.entry(b'x', "pax", "", text.as_bytes())
    }

    /// A header block of which only the checksum is right, then contents and padding.
    pub(crate) fn raw(&mut self, mut block: [u8; BLOCK], contents: &[u8]) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(block);
        self.0.extend(contents);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    /// Changes bytes of the header of the entry that was added last and has no contents.
    pub(crate) fn patch(mut self, at: usize, bytes: &[u8]) -> Sample {
        let start = self.0.len() - BLOCK;
        let mut block = [0; BLOCK];
        block.copy_from_slice(&self.0[start..]);
        block[at..at + bytes.len()].copy_from_slice(bytes);
        self.0.truncate(start);
        self.raw(block, b"");
        self
    }

    /// Bytes as they are.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Sample {
        self.0.extend(bytes);
        self
    }

    /// The archive with its end.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 2 * BLOCK]);
        self.0
    }
}
