//! One line of the file.

use serde::{Deserialize, Serialize};

use crate::api::StdStream;
use crate::time::Timestamp;

/// One JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// What was written; bytes that are not UTF-8 are replaced, as Docker does.
    pub(crate) log: String,
    #[serde(with = "stream_name")]
    pub(crate) stream: StdStream,
    pub(crate) time: Timestamp,
    /// The offset after it in the guest's output.
    #[serde(default)]
    pub(crate) end: u64,
    /// Where to read on when this is the last line.
    #[serde(default)]
    pub(crate) from: u64,
}

impl Line {
    /// Adds it, with its line feed.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        // Writing to memory cannot fail, nor can strings and numbers.
        if serde_json::to_writer(&mut *out, self).is_ok() {
            out.push(b'\n');
        }
    }

    /// `None` for what is not a line of a log.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

mod stream_name {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::api::StdStream;

    pub(super) fn serialize<S: Serializer>(stream: &StdStream, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(match stream {
            StdStream::Stdout => "stdout",
            StdStream::Stderr => "stderr",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<StdStream, D::Error> {
        match String::deserialize(d)?.as_str() {
            "stdout" => Ok(StdStream::Stdout),
            "stderr" => Ok(StdStream::Stderr),
            other => Err(serde::de::Error::custom(format!("unknown stream {other}"))),
        }
    }
}
