//! The frames that carry output and errors side by side when there is no terminal.
//!
//! ```text
//! ┌────────┬──────────┬──────────────────┬─────────
//! │ 1 byte │ 3 × zero │ u32, big endian  │ payload
//! │ stream │          │ payload's length │
//! └────────┴──────────┴──────────────────┴─────────
//! ```
//!
//! Payloads are passed on as they come in: a long frame is never held back for its end, and
//! its announced length never sizes a buffer.

/// Where a piece of payload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Out,
    Err,
    /// The daemon's own word that the stream failed.
    System,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("unrecognized stream: {0}")]
    Stream(u8),
    #[error("it ends inside a frame")]
    Cut,
}

/// Takes frames apart, whatever the pieces in which they arrive.
#[derive(Debug)]
pub(crate) struct Demux {
    header: [u8; 8],
    /// Bytes of the header that are there; a payload follows when it is whole.
    filled: usize,
    channel: Channel,
    left: usize,
}

impl Demux {
    pub(crate) fn new() -> Demux {
        Demux {
            header: [0; 8],
            filled: 0,
            channel: Channel::Out,
            left: 0,
        }
    }

    /// Takes the next piece off `bytes`: payload, or nothing when `bytes` is used up.
    pub(crate) fn next<'a>(
        &mut self,
        bytes: &mut &'a [u8],
    ) -> Result<Option<(Channel, &'a [u8])>, FrameError> {
        loop {
            if self.left > 0 && !bytes.is_empty() {
                let (piece, rest) = bytes.split_at(self.left.min(bytes.len()));
                *bytes = rest;
                self.left -= piece.len();
                return Ok(Some((self.channel, piece)));
            }
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(None);
            };
            *bytes = rest;
            self.header[self.filled] = *first;
            self.filled += 1;
            if self.filled == self.header.len() {
                self.filled = 0;
                let [stream, _, _, _, length @ ..] = self.header;
                self.channel = match stream {
                    0 | 1 => Channel::Out,
                    2 => Channel::Err,
                    3 => Channel::System,
                    other => return Err(FrameError::Stream(other)),
                };
                self.left = u32::from_be_bytes(length) as usize;
            }
        }
    }

    /// Says whether the stream may end here.
    pub(crate) fn finish(&self) -> Result<(), FrameError> {
        if self.filled == 0 && self.left == 0 {
            Ok(())
        } else {
            Err(FrameError::Cut)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn encode(frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (stream, payload) in frames {
            bytes.extend([*stream, 0, 0, 0]);
            bytes.extend((payload.len() as u32).to_be_bytes());
            bytes.extend(payload);
        }
        bytes
    }

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), FrameError> {
        let mut demux = Demux::new();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for mut piece in pieces.iter().copied() {
            while let Some((channel, payload)) = demux.next(&mut piece)? {
                match channel {
                    Channel::Out => out.extend(payload),
                    Channel::Err | Channel::System => err.extend(payload),
                }
            }
        }
        demux.finish()?;
        Ok((out, err))
    }

    #[test]
    fn a_frame_is_passed_on_before_it_is_whole() {
        let mut demux = Demux::new();
        let mut bytes: &[u8] = b"\x02\0\0\0\xff\xff\xff\xffpart";
        assert_eq!(
            demux.next(&mut bytes),
            Ok(Some((Channel::Err, &b"part"[..])))
        );
        assert_eq!(demux.next(&mut bytes), Ok(None));
        assert_eq!(demux.finish(), Err(FrameError::Cut));
    }

    #[test]
    fn an_unknown_stream_is_refused() {
        assert_eq!(
            decode(&[b"\x07\0\0\0\0\0\0\x01x"]),
            Err(FrameError::Stream(7))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pieces_of_any_size_give_the_same_output(
            frames in vec((1_u8..3, vec(any::<u8>(), 0..40)), 0..12),
            size in 1_usize..30,
        ) {
            let bytes = encode(&frames);
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let of = |stream| -> Vec<u8> {
                frames.iter().filter(|(s, _)| *s == stream).flat_map(|(_, p)| p.clone()).collect()
            };
            prop_assert_eq!(decode(&pieces), Ok((of(1), of(2))));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _either_is_fine = decode(&[&bytes]);
        }
    }
}
