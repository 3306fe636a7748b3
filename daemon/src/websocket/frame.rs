//! Frames (section 5): a client's are hostile, ours are written here.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A control frame's payload is no longer (section 5.5).
const MOST_CONTROL: usize = 125;
/// The longest head: two bytes, a length of eight, a mask of four.
const LONGEST_HEAD: usize = 14;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Why a connection ends (section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) u16);

impl Code {
    pub(super) const NORMAL: Self = Self(1000);
    pub(super) const GOING_AWAY: Self = Self(1001);
    pub(super) const PROTOCOL_ERROR: Self = Self(1002);
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A part of a message, of any of its frames.
    Data(Bytes),
    /// To be answered by a pong with the same bytes.
    Ping(Bytes),
    /// It wants to end.
    Close,
}

/// A client that does not keep to the protocol; the connection ends with 1002.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("a frame without a mask")]
    NotMasked,
    #[error("a reserved bit or kind of frame")]
    Reserved,
    #[error("a control frame that is too long or in parts")]
    Control,
    #[error("a message that begins within another, or goes on without a beginning")]
    Order,
    #[error("a length that has another spelling or does not exist")]
    Length,
}

/// Reads a client's frames from bytes that come in any pieces.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
    /// The data frame whose payload is being passed on.
    within: Option<Payload>,
    /// A message has begun and not ended.
    unfinished: bool,
}

#[derive(Debug)]
struct Payload {
    left: u64,
    mask: Mask,
}

#[derive(Clone, Copy, Debug)]
struct Mask {
    key: [u8; 4],
    at: usize,
}

impl Mask {
    fn apply(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if let Some(key) = self.key.get(self.at) {
                *byte ^= key;
            }
            self.at = (self.at + 1) % self.key.len();
        }
    }
}

#[derive(Debug)]
struct Head {
    last: bool,
    kind: u8,
    length: u64,
    mask: Mask,
    bytes: usize,
}

impl Decoder {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event; `None` until there are more bytes.
    pub(super) fn take(&mut self) -> Result<Option<Event>, Violation> {
        loop {
            if let Some(payload) = &mut self.within {
                if payload.left == 0 {
                    self.within = None;
                    continue;
                }
                let left = usize::try_from(payload.left).unwrap_or(usize::MAX);
                let count = self.buffer.len().min(left);
                if count == 0 {
                    return Ok(None);
                }
                let mut bytes = self.buffer.split_to(count);
                payload.mask.apply(&mut bytes);
                payload.left -= count as u64;
                return Ok(Some(Event::Data(bytes.freeze())));
            }
            let Some(head) = head(&self.buffer)? else {
                return Ok(None);
            };
            match head.kind {
                CONTINUATION | TEXT | BINARY => {
                    if (head.kind == CONTINUATION) != self.unfinished {
                        return Err(Violation::Order);
                    }
                    self.unfinished = !head.last;
                    self.buffer.advance(head.bytes);
                    self.within = Some(Payload {
                        left: head.length,
                        mask: head.mask,
                    });
                }
                CLOSE | PING | PONG => {
                    let Some(payload) = self.control(head)? else {
                        return Ok(None);
                    };
                    match payload {
                        (CLOSE, _) => return Ok(Some(Event::Close)),
                        (PING, bytes) => return Ok(Some(Event::Ping(bytes))),
                        // An answer to nothing we asked.
                        _ => {}
                    }
                }
                _ => return Err(Violation::Reserved),
            }
        }
    }

    /// A control frame, once all of it is there.
    fn control(&mut self, mut head: Head) -> Result<Option<(u8, Bytes)>, Violation> {
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if !head.last || length > MOST_CONTROL || (head.kind == CLOSE && length == 1) {
            return Err(Violation::Control);
        }
        if self.buffer.len() < head.bytes + length {
            return Ok(None);
        }
        self.buffer.advance(head.bytes);
        let mut payload = self.buffer.split_to(length);
        head.mask.apply(&mut payload);
        Ok(Some((head.kind, payload.freeze())))
    }
}

/// The head at the front of some bytes, if all of it is there.
fn head(bytes: &[u8]) -> Result<Option<Head>, Violation> {
    let mut rest = bytes.get(..LONGEST_HEAD.min(bytes.len())).unwrap_or(bytes);
    let whole = rest.len();
    if whole < 2 {
        return Ok(None);
    }
    let (first, second) = (rest.get_u8(), rest.get_u8());
    if first & 0x70 != 0 {
        return Err(Violation::Reserved);
    }
    if second & 0x80 == 0 {
        return Err(Violation::NotMasked);
    }
    let length = match second & 0x7f {
        126 if rest.len() < 2 => return Ok(None),
        127 if rest.len() < 8 => return Ok(None),
        126 => match u64::from(rest.get_u16()) {
            0..126 => return Err(Violation::Length),
            length => length,
        },
        127 => match rest.get_u64() {
            0..0x1_0000 | 0x8000_0000_0000_0000.. => return Err(Violation::Length),
            length => length,
        },
        length => u64::from(length),
    };
    let Some(key) = rest.first_chunk::<4>() else {
        return Ok(None);
    };
    Ok(Some(Head {
        last: first & 0x80 != 0,
        kind: first & 0x0f,
        length,
        mask: Mask { key: *key, at: 0 },
        bytes: whole - rest.len() + key.len(),
    }))
}

/// Output, as a message of its own.
pub(super) fn data(bytes: &[u8]) -> Bytes {
    write(BINARY, bytes)
}

pub(super) fn pong(bytes: &[u8]) -> Bytes {
    write(PONG, bytes)
}

pub(super) fn close(code: Code) -> Bytes {
    write(CLOSE, &code.0.to_be_bytes())
}

/// A server's frames have no mask.
fn write(kind: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(LONGEST_HEAD + payload.len());
    frame.put_u8(0x80 | kind);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..126), _) => frame.put_u8(short),
        (_, Ok(length)) => {
            frame.put_u8(126);
            frame.put_u16(length);
        }
        _ => {
            frame.put_u8(127);
            frame.put_u64(payload.len() as u64);
        }
    }
    frame.put_slice(payload);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A client's frame.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let key = [1, 2, 3, 4];
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
            length @ 126..0x1_0000 => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(key);
        frame.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
        frame
    }

    /// All events of some bytes; data that follows data is joined.
    fn events(pieces: &[&[u8]]) -> Result<Vec<Event>, Violation> {
        let mut decoder = Decoder::default();
        let mut all: Vec<Event> = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            while let Some(event) = decoder.take()? {
                match (all.last_mut(), event) {
                    (Some(Event::Data(before)), Event::Data(more)) => {
                        *before = [&before[..], &more[..]].concat().into();
                    }
                    (_, event) => all.push(event),
                }
            }
        }
        Ok(all)
    }

    fn data_of(text: &'static str) -> Event {
        Event::Data(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn messages_in_parts_with_a_ping_between_are_read() {
        let bytes = [
            masked(TEXT, b"hel"),
            masked(0x80 | PING, b"still there?"),
            masked(0x80 | PONG, b""),
            masked(CONTINUATION, b""),
            masked(0x80 | CONTINUATION, b"lo"),
            masked(0x80 | BINARY, b"!"),
            masked(0x80 | CLOSE, &1000_u16.to_be_bytes()),
        ]
        .concat();
        let expected = vec![
            data_of("hel"),
            Event::Ping(Bytes::from_static(b"still there?")),
            data_of("lo!"),
            Event::Close,
        ];
        assert_eq!(events(&[&bytes]), Ok(expected.clone()));
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single), Ok(expected));
    }

    #[test]
    fn a_claimed_length_is_not_waited_for_nor_kept() {
        let mut decoder = Decoder::default();
        decoder.push(&[
            0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0,
        ]);
        assert_eq!(decoder.take(), Ok(None));
        for _ in 0..100 {
            decoder.push(&[7; 1000]);
            assert_eq!(decoder.take(), Ok(Some(Event::Data(vec![7; 1000].into()))));
            assert!(decoder.buffer.is_empty());
        }
    }

    #[test]
    fn violations_are_told_apart() {
        let check = |bytes: &[u8]| events(&[bytes]).unwrap_err();
        assert_eq!(check(&[0x82, 0x01, b'x']), Violation::NotMasked);
        assert_eq!(check(&masked(0xc2, b"")), Violation::Reserved);
        assert_eq!(check(&masked(0x83, b"")), Violation::Reserved);
        assert_eq!(check(&masked(0x8b, b"")), Violation::Reserved);
        assert_eq!(check(&masked(PING, b"")), Violation::Control);
        assert_eq!(check(&masked(0x80 | PING, &[0; 126])), Violation::Control);
        assert_eq!(check(&masked(0x80 | CLOSE, b"x")), Violation::Control);
        assert_eq!(check(&masked(0x80, b"")), Violation::Order);
        let twice = [masked(TEXT, b"a"), masked(TEXT, b"b")].concat();
        assert_eq!(check(&twice), Violation::Order);
        assert_eq!(check(&[0x82, 0xfe, 0, 5]), Violation::Length);
        assert_eq!(
            check(&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5]),
            Violation::Length
        );
        assert_eq!(
            check(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            Violation::Length
        );
    }

    #[test]
    fn our_frames_are_short_where_they_can_be() {
        assert_eq!(data(b"hi")[..], [0x82, 2, b'h', b'i']);
        assert_eq!(pong(b"")[..], [0x8a, 0]);
        assert_eq!(close(Code::NORMAL)[..], [0x88, 2, 3, 232]);
        assert_eq!(data(&[0; 126])[..4], [0x82, 126, 0, 126]);
        assert_eq!(
            data(&[0; 0x1_0000])[..10],
            [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_pieces_do_not_count(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0_usize..200,
        ) {
            let whole = events(&[&bytes]);
            let (front, back) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(whole, events(&[front, back]));
        }

        #[test]
        fn what_a_client_masks_comes_out(
            payload in proptest::collection::vec(any::<u8>(), 1..70_000),
        ) {
            let frame = masked(0x80 | BINARY, &payload);
            prop_assert_eq!(events(&[&frame]), Ok(vec![Event::Data(payload.into())]));
        }
    }
}
