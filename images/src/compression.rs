//! Tells how a stream is compressed by its first bytes, and undoes it within limits.

use std::io::{self, BufRead, BufReader, Read};

const BUFFER: usize = 128 << 10;
/// Memory for an xz dictionary: `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;
/// log2 of zstd's window: `zstd --ultra -22` needs 27, which is also what others accept.
const ZSTD_WINDOW_LOG: u32 = 27;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

impl Compression {
    /// By the magic number that `start` begins with.
    pub(crate) fn sniff(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [b'B', b'Z', b'h', ..] => Compression::Bzip2,
            // A skippable zstd frame in front, as seekable formats write it.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// The media type of an OCI layer that is compressed so, if there is one.
    pub(crate) fn layer_media_type(self) -> Option<&'static str> {
        match self {
            Compression::None => Some("application/vnd.oci.image.layer.v1.tar"),
            Compression::Gzip => Some("application/vnd.oci.image.layer.v1.tar+gzip"),
            Compression::Zstd => Some("application/vnd.oci.image.layer.v1.tar+zstd"),
            Compression::Xz | Compression::Bzip2 => None,
        }
    }
}

/// A stream turned out to be longer than it may be: a compression bomb, or a limit set too low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("decompresses to more than {limit} bytes")]
pub(crate) struct TooLong {
    pub(crate) limit: u64,
}

/// What an archive is without its compression, if it has one. As long as it likes to be: whoever
/// reads it sets the limit.
pub fn decompress<'a>(reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(decode(reader, u64::MAX)?.1)
}

/// What `reader` is compressed with, and its plain bytes: at most `limit` of them.
pub(crate) fn decode<'a>(
    reader: impl Read + 'a,
    limit: u64,
) -> io::Result<(Compression, Box<dyn Read + 'a>)> {
    let mut reader = reader;
    let mut start = [0; 6];
    let mut filled = 0;
    while let Some(rest) = start.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let start = start.get(..filled).unwrap_or_default();
    let compression = Compression::sniff(start);
    let whole = io::Cursor::new(start.to_vec()).chain(reader);
    let whole = BufReader::with_capacity(BUFFER, whole);
    let plain: Box<dyn Read + 'a> = match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(zstd_decoder(whole)?),
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(whole, stream))
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
    };
    let bounded = Bounded {
        inner: plain,
        left: limit,
        limit,
    };
    Ok((compression, Box::new(bounded)))
}

fn zstd_decoder<R: BufRead>(reader: R) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(reader)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(TooLong { limit: self.limit })),
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(compression: Compression, plain: &[u8]) -> Vec<u8> {
        match compression {
            Compression::None => plain.to_vec(),
            Compression::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                out.write_all(plain).unwrap();
                out.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(plain, 0).unwrap(),
            Compression::Xz => {
                let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
                out.write_all(plain).unwrap();
                out.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut out = bzip2::write::BzEncoder::new(Vec::new(), Default::default());
                out.write_all(plain).unwrap();
                out.finish().unwrap()
            }
        }
    }

    const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Xz,
        Compression::Bzip2,
    ];

    #[test]
    fn every_compression_is_found_and_undone() {
        let plain = b"some text ".repeat(1000);
        for compression in ALL {
            let packed = packed(compression, &plain);
            let (found, mut reader) = decode(&packed[..], 1 << 20).unwrap();
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            assert_eq!((found, out == plain), (compression, true));
        }
    }

    #[test]
    fn parts_that_follow_each_other_are_one_stream() {
        for compression in &ALL[1..] {
            let parts = [packed(*compression, b"one "), packed(*compression, b"two")].concat();
            let mut out = String::new();
            let (_, mut reader) = decode(&parts[..], 100).unwrap();
            reader.read_to_string(&mut out).unwrap();
            assert_eq!(out, "one two", "{compression:?}");
        }
    }

    #[test]
    fn a_bomb_is_stopped() {
        let zeroes = vec![0; 1 << 20];
        for compression in ALL {
            let packed = packed(compression, &zeroes);
            let (_, mut reader) = decode(&packed[..], (1 << 20) - 1).unwrap();
            let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
            assert_eq!(error.to_string(), "decompresses to more than 1048575 bytes");
        }
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let plain: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
        for compression in &ALL[1..] {
            let mut packed = packed(*compression, &plain);
            packed.truncate(packed.len() / 2);
            let (_, mut reader) = decode(&packed[..], 1 << 20).unwrap();
            let result = io::copy(&mut reader, &mut io::sink());
            let kind = result.map_err(|error| error.kind());
            assert_eq!(kind, Err(io::ErrorKind::UnexpectedEof), "{compression:?}");
        }
    }

    #[test]
    fn short_and_empty_streams_are_plain() {
        for text in ["", "a", "\x1f"] {
            let (found, mut reader) = decode(text.as_bytes(), 9).unwrap();
            let mut out = String::new();
            reader.read_to_string(&mut out).unwrap();
            assert_eq!((found, out.as_str()), (Compression::None, text));
        }
    }
}
