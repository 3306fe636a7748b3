//! Length-prefixed JSON frames.
//!
//! ```text
//!  0        4              4 + length
//!  ├────────┼──────────────┤
//!  │ length │ JSON         │     length: u32, little endian, at most MAX
//!  └────────┴──────────────┘
//! ```
//!
//! The reader is incremental and does no I/O: push what arrived, take what is complete.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest frame either side accepts. A runtime spec with a large seccomp profile is about
/// 100 KiB; nothing legitimate comes near this.
pub const MAX: usize = 1 << 20;

const PREFIX: usize = 4;

/// Why a frame could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer announced, or the caller built, more than [`MAX`] bytes.
    #[error("a frame of {length} bytes is over the limit of {MAX}")]
    TooLong {
        /// What was announced.
        length: usize,
    },
    /// The bytes are not the JSON of the expected type.
    #[error("malformed frame")]
    Malformed(#[source] serde_json::Error),
    /// The value has no JSON form.
    #[error("cannot encode a frame")]
    Encode(#[source] serde_json::Error),
}

/// Encodes one message with its length.
///
/// # Errors
/// The message has no JSON form, or is longer than [`MAX`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut out = vec![0; PREFIX];
    serde_json::to_writer(&mut out, message).map_err(FrameError::Encode)?;
    let length = out.len() - PREFIX;
    let prefix = match u32::try_from(length) {
        Ok(n) if length <= MAX => n,
        _ => return Err(FrameError::TooLong { length }),
    };
    out[..PREFIX].copy_from_slice(&prefix.to_le_bytes());
    Ok(out)
}

/// Collects bytes until a frame is whole.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// Adds bytes as they arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether bytes of an unfinished frame (or of later frames) are held.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes the next whole message, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// The frame is too long or not the JSON of a `T`. The stream cannot be trusted after that:
    /// the caller closes it.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*prefix) as usize;
        if length > MAX {
            return Err(FrameError::TooLong { length });
        }
        let Some(body) = self.buffer.get(PREFIX..PREFIX + length) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(body).map_err(FrameError::Malformed)?;
        self.buffer.drain(..PREFIX + length);
        Ok(Some(message))
    }

    /// What is left over after the frames, for a stream that changes to raw bytes.
    pub fn into_rest(self) -> Vec<u8> {
        self.buffer
    }
}

/// Reads one frame from a blocking reader, byte-exact: nothing after the frame is consumed.
///
/// # Errors
/// The reader fails or ends early, or the frame is malformed.
pub fn read<T: DeserializeOwned>(reader: &mut impl std::io::Read) -> std::io::Result<T> {
    let mut prefix = [0; PREFIX];
    reader.read_exact(&mut prefix)?;
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX {
        return Err(std::io::Error::other(FrameError::TooLong { length }));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    serde_json::from_slice(&body).map_err(|e| std::io::Error::other(FrameError::Malformed(e)))
}

/// Writes one frame to a blocking writer.
///
/// # Errors
/// The message cannot be encoded or the writer fails.
pub fn write<T: Serialize>(writer: &mut impl std::io::Write, message: &T) -> std::io::Result<()> {
    let bytes = encode(message).map_err(std::io::Error::other)?;
    writer.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_split_anywhere_is_read_once_whole() {
        let bytes = encode(&vec![1, 2, 3]).unwrap();
        for cut in 0..bytes.len() {
            let mut d = Decoder::default();
            d.push(&bytes[..cut]);
            assert!(d.take::<Vec<u32>>().unwrap().is_none());
            d.push(&bytes[cut..]);
            assert_eq!(d.take::<Vec<u32>>().unwrap(), Some(vec![1, 2, 3]));
            assert!(d.is_empty());
        }
    }

    #[test]
    fn an_oversize_announcement_is_refused_before_its_bytes_arrive() {
        let mut d = Decoder::default();
        d.push(&u32::MAX.to_le_bytes());
        assert!(matches!(d.take::<u32>(), Err(FrameError::TooLong { .. })));
    }

    #[test]
    fn an_oversize_message_is_not_sent() {
        let err = encode(&"x".repeat(MAX)).unwrap_err();
        assert!(matches!(err, FrameError::TooLong { .. }));
    }

    #[test]
    fn blocking_read_leaves_what_follows() {
        let mut bytes = encode(&7u8).unwrap();
        bytes.extend_from_slice(b"rest");
        let mut reader = bytes.as_slice();
        assert_eq!(read::<u8>(&mut reader).unwrap(), 7);
        assert_eq!(reader, b"rest");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut d = Decoder::default();
            d.push(&bytes);
            while let Ok(Some(_)) = d.take::<serde_json::Value>() {}
        }

        #[test]
        fn messages_in_any_chunks_come_out_in_order(
            messages in proptest::collection::vec(".{0,20}", 1..6), chunk in 1usize..9,
        ) {
            let mut wire = Vec::new();
            for m in &messages { wire.extend(encode(m).unwrap()); }
            let mut d = Decoder::default();
            let mut got: Vec<String> = Vec::new();
            for part in wire.chunks(chunk) {
                d.push(part);
                while let Some(m) = d.take().unwrap() { got.push(m); }
            }
            prop_assert_eq!(got, messages);
        }
    }
}
