//! Stdio of one process on a vsock connection of its own ([`VsockPort::STREAM`]).
//!
//! A connection opens with one JSON frame from the host ([`Open`]) and one back ([`Opened`]).
//! After that:
//!
//! ```text
//!  Output   guest -> host   records: offset u64 | time u64 | length u32 | stream u8 | 0 0 0 | bytes
//!           host -> guest   acknowledgements: u64, "I have stored everything before this offset"
//!  Stdin    host -> guest   chunks: length u32 | bytes; a chunk of length 0 is the end of input
//!           guest -> host   nothing
//! ```
//!
//! The agent keeps output until it is acknowledged, in a journal of bounded size; a full journal
//! makes the process wait in its `write`. So whoever reads may die at any moment and another may
//! go on from the offset it has, without a lost or doubled byte. For the same reason the end of
//! stdin is an explicit chunk: a connection that just closes leaves the process's input open.
//!
//! [`VsockPort::STREAM`]: crate::VsockPort::STREAM

use serde::{Deserialize, Serialize};

use crate::agent::{AgentError, ProcessId};

/// The first frame on a stream connection, from the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Whose stdio.
    pub process: ProcessId,
    /// Which side of it.
    pub channel: Channel,
}

/// Which part of a process's stdio a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Bytes to the process's standard input. A later connection takes over from an earlier one.
    Stdin,
    /// What the process wrote, from this offset. A later connection takes over from an earlier one.
    Output {
        /// The first byte wanted: what the host has stored so far.
        from: u64,
    },
}

/// The agent's answer to [`Open`].
pub type Opened = Result<(), AgentError>;

/// Which of a process's outputs a record came from. With a terminal, everything is `Stdout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// File descriptor 1, or the terminal.
    Stdout,
    /// File descriptor 2.
    Stderr,
    /// No record follows: every writer has closed. Its length is 0.
    End,
}

/// The fixed part of an output record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// How many bytes of output came before this record.
    pub offset: u64,
    /// When the agent read it: nanoseconds since 1970 by the guest's clock. A guest may lie.
    pub time: u64,
    /// How many bytes follow.
    pub length: u32,
    /// Where the process wrote them.
    pub output: Output,
}

/// Why record bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Longer than [`RecordHeader::MAX_LENGTH`].
    #[error("an output record of {0} bytes is over the limit")]
    TooLong(u32),
    /// A stream number that does not exist.
    #[error("unknown output stream {0}")]
    UnknownStream(u8),
    /// Padding that is not zero, or an end record with bytes.
    #[error("malformed output record")]
    Malformed,
}

impl RecordHeader {
    /// Bytes on the wire.
    pub const SIZE: usize = 24;
    /// The most bytes one record carries.
    pub const MAX_LENGTH: u32 = 64 << 10;

    /// The wire form.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..8].copy_from_slice(&self.offset.to_le_bytes());
        out[8..16].copy_from_slice(&self.time.to_le_bytes());
        out[16..20].copy_from_slice(&self.length.to_le_bytes());
        out[20] = match self.output {
            Output::Stdout => 1,
            Output::Stderr => 2,
            Output::End => 0xff,
        };
        out
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// The bytes come from the guest: anything out of range is refused.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Result<Self, RecordError> {
        let [
            o0,
            o1,
            o2,
            o3,
            o4,
            o5,
            o6,
            o7,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
            l0,
            l1,
            l2,
            l3,
            s,
            pad @ ..,
        ] = *bytes;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length > Self::MAX_LENGTH {
            return Err(RecordError::TooLong(length));
        }
        let output = match s {
            1 => Output::Stdout,
            2 => Output::Stderr,
            0xff => Output::End,
            other => return Err(RecordError::UnknownStream(other)),
        };
        if pad != [0; 3] || (output == Output::End && length != 0) {
            return Err(RecordError::Malformed);
        }
        Ok(Self {
            offset: u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            time: u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            length,
            output,
        })
    }
}

/// The most bytes one stdin chunk carries.
pub const MAX_STDIN_CHUNK: u32 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = RecordHeader> {
        let output = prop_oneof![Just(Output::Stdout), Just(Output::Stderr)];
        (
            any::<u64>(),
            any::<u64>(),
            0..=RecordHeader::MAX_LENGTH,
            output,
        )
            .prop_map(|(offset, time, length, output)| RecordHeader {
                offset,
                time,
                length,
                output,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn headers_round_trip(h in header()) {
            prop_assert_eq!(RecordHeader::decode(&h.encode()), Ok(h));
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(bytes in any::<[u8; RecordHeader::SIZE]>()) {
            if let Ok(h) = RecordHeader::decode(&bytes) {
                prop_assert_eq!(h.encode(), bytes);
            }
        }
    }

    #[test]
    fn an_end_record_with_bytes_is_refused() {
        let end = RecordHeader {
            offset: 9,
            time: 1,
            length: 0,
            output: Output::End,
        };
        assert_eq!(RecordHeader::decode(&end.encode()), Ok(end));
        let bytes = RecordHeader { length: 1, ..end }.encode();
        assert_eq!(RecordHeader::decode(&bytes), Err(RecordError::Malformed));
    }

    #[test]
    fn an_oversize_record_is_refused() {
        let h = RecordHeader {
            offset: 0,
            time: 0,
            length: RecordHeader::MAX_LENGTH + 1,
            output: Output::Stdout,
        };
        assert!(matches!(
            RecordHeader::decode(&h.encode()),
            Err(RecordError::TooLong(_))
        ));
    }
}
