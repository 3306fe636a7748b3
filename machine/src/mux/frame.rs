//! The tunnel's frames: kind, stream and length in nine bytes, then the payload.

use std::io::{self, Read, Write};

use super::TunnelError;

/// The largest payload; what is longer is sent in several frames.
pub(super) const MAX_PAYLOAD: usize = 32 * 1024;

const HEADER: usize = 9;

#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    #[error("a frame of {0} bytes")]
    Length(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A new stream; the payload is its target.
    Open,
    Data,
    /// The sender sends no more.
    Eof,
    /// The sender neither sends nor receives any more.
    Reset,
    /// The sender has taken this many bytes.
    Credit,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Open, Self::Data, Self::Eof, Self::Reset, Self::Credit];
}

impl TryFrom<u8> for Kind {
    type Error = FrameError;

    fn try_from(byte: u8) -> Result<Self, FrameError> {
        Self::ALL
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or(FrameError::Kind(byte))
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, TunnelError> {
        let mut header = [0; HEADER];
        reader.read_exact(&mut header)?;
        let [kind, s0, s1, s2, s3, l0, l1, l2, l3] = header;
        let kind = Kind::try_from(kind)?;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length as usize > MAX_PAYLOAD {
            return Err(FrameError::Length(length).into());
        }
        let mut payload = vec![0; length as usize];
        reader.read_exact(&mut payload)?;
        Ok(Self {
            kind,
            stream: u32::from_le_bytes([s0, s1, s2, s3]),
            payload,
        })
    }

    /// Writes a frame in one call, so that a pipe sees few and large writes.
    pub(super) fn write(
        writer: &mut (impl Write + ?Sized),
        kind: Kind,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|length| *length as usize <= MAX_PAYLOAD)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "payload too long"))?;
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.push(kind as u8);
        bytes.extend(stream.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(payload);
        writer.write_all(&bytes)?;
        writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn frame_survives_the_wire(
            kind in prop::sample::select(&Kind::ALL[..]),
            stream: u32,
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut wire = Vec::new();
            Frame::write(&mut wire, kind, stream, &payload).unwrap();
            let read = Frame::read(&mut wire.as_slice()).unwrap();
            prop_assert_eq!(read, Frame { kind, stream, payload });
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut rest = bytes.as_slice();
            while Frame::read(&mut rest).is_ok() {}
        }
    }

    #[test]
    fn frame_too_long_to_be_ours_is_refused_before_it_is_read() {
        let mut header = vec![Kind::Data as u8, 1, 0, 0, 0];
        header.extend((MAX_PAYLOAD as u32 + 1).to_le_bytes());
        let error = Frame::read(&mut header.as_slice()).unwrap_err();
        assert!(
            matches!(error, TunnelError::Frame(FrameError::Length(_))),
            "{error}"
        );
    }
}
