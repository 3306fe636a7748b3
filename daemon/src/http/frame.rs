//! The frames in which stdout and stderr share one connection.
//!
//! ```text
//!  0        1..4    4..8            8..
//!  stream   0 0 0   length, big     payload
//!                   endian
//! ```

use bytes::{BufMut, Bytes, BytesMut};

/// How long a frame's header is.
const HEADER: usize = 8;

/// The output a frame's payload was written to. (0, stdin, is defined and never sent.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameStream {
    Stdout = 1,
    Stderr = 2,
}

/// One frame.
pub(crate) fn encode(stream: FrameStream, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER + payload.len());
    append(stream, payload, &mut out);
    out.freeze()
}

/// Adds one. An empty payload makes no frame: some clients take it for the end.
pub(crate) fn append(stream: FrameStream, payload: &[u8], out: &mut BytesMut) {
    for part in payload.chunks(u32::MAX as usize) {
        out.put_u8(stream as u8);
        out.put_bytes(0, 3);
        out.put_u32(part.len() as u32);
        out.put_slice(part);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Buf;
    use proptest::prelude::*;

    use super::*;

    /// Takes whole frames from the front of `bytes`.
    pub(crate) fn decode(bytes: &mut BytesMut) -> Vec<(u8, Bytes)> {
        let mut frames = Vec::new();
        while bytes.len() >= HEADER {
            let length = (&bytes[4..HEADER]).get_u32() as usize;
            if bytes.len() - HEADER < length {
                break;
            }
            let mut frame = bytes.split_to(HEADER + length).freeze();
            let stream = frame.get_u8();
            assert_eq!(frame.split_to(3), [0; 3].as_slice());
            frame.advance(4);
            frames.push((stream, frame));
        }
        frames
    }

    #[test]
    fn a_frame_is_dockers() {
        let frame = encode(FrameStream::Stdout, b"hello world\n");
        assert_eq!(
            frame,
            b"\x01\x00\x00\x00\x00\x00\x00\x0chello world\n".as_slice()
        );
        assert_eq!(encode(FrameStream::Stderr, b"e")[0], 2);
        assert!(encode(FrameStream::Stdout, b"").is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn frames_survive_any_splitting(
            payloads in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 1..200)), 0..8),
            cut in 1usize..64,
        ) {
            let stream = |err: bool| if err { FrameStream::Stderr } else { FrameStream::Stdout };
            let wire: Vec<u8> =
                payloads.iter().flat_map(|(err, p)| encode(stream(*err), p).to_vec()).collect();
            let (mut buffer, mut got) = (BytesMut::new(), Vec::new());
            for piece in wire.chunks(cut) {
                buffer.extend_from_slice(piece);
                got.extend(decode(&mut buffer));
            }
            prop_assert!(buffer.is_empty());
            let expected: Vec<_> = payloads
                .into_iter()
                .map(|(err, p)| (stream(err) as u8, Bytes::from(p)))
                .collect();
            prop_assert_eq!(got, expected);
        }
    }
}
