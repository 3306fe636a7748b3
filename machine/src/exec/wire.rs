//! What client and server of an `exec` say to each other: a kind, a length, a payload.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Payloads above this are not ours.
const MAX_PAYLOAD: u32 = 1 << 20;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Request {
    pub argv: Vec<String>,
    /// Beyond `PATH` and `HOME`.
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    /// A terminal of this size instead of pipes.
    pub tty: Option<Size>,
    /// Runs on its own, with its output in this file; the answer comes when it has started.
    pub detach: Option<PathBuf>,
}

/// A terminal's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    Request(Request),
    Resize(Size),
    Signal(i32),
    InputEnd,
    /// The command has taken this many bytes of input.
    InputTaken(u32),
    /// With the status a shell would give: 128 and the signal, for a signal.
    Exited(u8),
    /// It could not be started.
    Refused {
        reason: String,
        status: u8,
    },
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Message(Message),
    Input(Vec<u8>),
    Output(Vec<u8>),
    ErrorOutput(Vec<u8>),
}

const MESSAGE: u8 = 0;
pub(super) const INPUT: u8 = 1;
pub(super) const OUTPUT: u8 = 2;
pub(super) const ERROR_OUTPUT: u8 = 3;

impl Frame {
    pub(super) fn read(mut reader: impl Read) -> io::Result<Self> {
        let mut header = [0; 5];
        reader.read_exact(&mut header)?;
        let [kind, length @ ..] = header;
        let length = u32::from_le_bytes(length);
        if length > MAX_PAYLOAD {
            return Err(invalid("an exec frame is too long"));
        }
        let mut payload = vec![0; length as usize];
        reader.read_exact(&mut payload)?;
        match kind {
            MESSAGE => Ok(Self::Message(serde_json::from_slice(&payload)?)),
            INPUT => Ok(Self::Input(payload)),
            OUTPUT => Ok(Self::Output(payload)),
            ERROR_OUTPUT => Ok(Self::ErrorOutput(payload)),
            _ => Err(invalid("an exec frame is of unknown kind")),
        }
    }
}

pub(super) fn write_message(writer: impl Write, message: &Message) -> io::Result<()> {
    write_bytes(writer, MESSAGE, &serde_json::to_vec(message)?)
}

pub(super) fn write_bytes(mut writer: impl Write, kind: u8, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|length| *length <= MAX_PAYLOAD)
        .ok_or_else(|| invalid("an exec request is too long"))?;
    let mut bytes = Vec::with_capacity(5 + payload.len());
    bytes.push(kind);
    bytes.extend(length.to_le_bytes());
    bytes.extend(payload);
    writer.write_all(&bytes)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_survive_the_wire() {
        let request = Request {
            argv: vec!["sh".into(), "-c".into(), "é".into()],
            env: vec![("A".into(), "b=c".into())],
            cwd: "/tmp".into(),
            tty: Some(Size {
                rows: 24,
                columns: 80,
            }),
            detach: None,
        };
        for message in [
            Message::Request(request),
            Message::Resize(Size {
                rows: 1,
                columns: 2,
            }),
            Message::Signal(2),
            Message::InputEnd,
            Message::InputTaken(5),
            Message::Exited(130),
            Message::Refused {
                reason: "no".into(),
                status: 127,
            },
        ] {
            let mut wire = Vec::new();
            write_message(&mut wire, &message).unwrap();
            assert_eq!(
                Frame::read(wire.as_slice()).unwrap(),
                Frame::Message(message)
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Frame::read(bytes.as_slice());
        }

        #[test]
        fn input_survives_the_wire(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut wire = Vec::new();
            write_bytes(&mut wire, INPUT, &bytes).unwrap();
            prop_assert_eq!(Frame::read(wire.as_slice()).unwrap(), Frame::Input(bytes));
        }
    }
}
