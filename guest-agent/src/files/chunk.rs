//! Chunks on a connection: a stream of bytes with an explicit end.

use std::io::{self, Read, Write};

use hull_protocol::files::MAX_CHUNK;

/// Collects what is written into chunks.
pub(super) struct ChunkWriter<W> {
    out: W,
    /// The length that is not known yet, then the bytes.
    buffer: Vec<u8>,
}

const PREFIX: usize = 4;

impl<W: Write> ChunkWriter<W> {
    pub(super) fn new(out: W) -> Self {
        let mut buffer = Vec::with_capacity(PREFIX + MAX_CHUNK as usize);
        buffer.resize(PREFIX, 0);
        Self { out, buffer }
    }

    /// Sends what is left, and the last chunk.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.out.write_all(&[0; PREFIX])
    }
}

impl<W: Write> Write for ChunkWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PREFIX + MAX_CHUNK as usize - self.buffer.len();
        let count = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..count]);
        if count == room {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let length = self.buffer.len() - PREFIX;
        if length > 0 {
            // At most MAX_CHUNK.
            self.buffer[..PREFIX].copy_from_slice(&(length as u32).to_le_bytes());
            self.out.write_all(&self.buffer)?;
            self.buffer.truncate(PREFIX);
        }
        Ok(())
    }
}

/// The bytes of chunks, up to the last one.
pub(super) struct ChunkReader<R> {
    from: R,
    /// Of the current chunk.
    left: usize,
    ended: bool,
}

impl<R: Read> ChunkReader<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            left: 0,
            ended: false,
        }
    }
}

impl<R: Read> Read for ChunkReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            let mut length = [0; PREFIX];
            self.from.read_exact(&mut length)?;
            let length = u32::from_le_bytes(length);
            if length > MAX_CHUNK {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "an oversize chunk",
                ));
            }
            self.left = length as usize;
            self.ended = length == 0;
        }
        let limit = buffer.len().min(self.left);
        if limit == 0 {
            return Ok(0);
        }
        let count = self.from.read(&mut buffer[..limit])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_written_is_read(sizes in proptest::collection::vec(0..100_000usize, 0..5)) {
            let mut wire = Vec::new();
            let mut writer = ChunkWriter::new(&mut wire);
            let mut sent = Vec::new();
            for (n, size) in sizes.into_iter().enumerate() {
                let bytes = vec![n as u8; size];
                writer.write_all(&bytes).unwrap();
                sent.extend(bytes);
            }
            writer.finish().unwrap();
            wire.extend(b"after");
            let mut rest = &wire[..];
            let mut seen = Vec::new();
            ChunkReader::new(&mut rest).read_to_end(&mut seen).unwrap();
            prop_assert_eq!(seen, sent);
            prop_assert_eq!(rest, b"after");
        }
    }

    #[test]
    fn a_connection_that_ends_early_is_an_error() {
        for wire in [&[][..], &[1, 0, 0], &[2, 0, 0, 0, 9], &[0, 0, 0, 1]] {
            let mut seen = Vec::new();
            assert!(
                ChunkReader::new(wire).read_to_end(&mut seen).is_err(),
                "{wire:?}"
            );
        }
    }
}
