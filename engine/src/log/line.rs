//! One line of the file.

use std::collections::BTreeMap;

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
    /// What the user wants to be told with each line: labels, variables, a tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attrs: BTreeMap<String, String>,
    pub(crate) time: Timestamp,
    /// The offset after it in the guest's output.
    #[serde(default)]
    pub(crate) end: u64,
    /// Where to read on when this is the last line.
    #[serde(default)]
    pub(crate) from: u64,
    /// Only in the first line of a file that follows others.
    #[serde(flatten)]
    pub(crate) seam: Option<Seam>,
}

/// What the files before said that may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seam {
    /// How many bytes of the log are before this file.
    pub(crate) at: u64,
    /// The offset after what is on disk of the stream that this line is not of.
    pub(crate) other: u64,
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

    /// The attributes as `logs --details` shows them, with a blank behind.
    pub(crate) fn details(&self) -> String {
        let pairs = self
            .attrs
            .iter()
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
        pairs.collect::<Vec<_>>().join(",") + " "
    }
}

/// As in a URL's query, where a blank is a plus.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_stand_where_docker_has_them_and_are_shown_as_a_query() {
        let line = Line {
            log: "x\n".into(),
            stream: StdStream::Stderr,
            attrs: BTreeMap::from([
                ("tier".into(), "a b&ü".into()),
                ("app".into(), "web".into()),
            ]),
            time: Timestamp(0),
            end: 2,
            from: 2,
            seam: None,
        };
        let mut bytes = Vec::new();
        line.write_to(&mut bytes);
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "{\"log\":\"x\\n\",\"stream\":\"stderr\",\"attrs\":{\"app\":\"web\",\"tier\":\"a b&ü\"},\
             \"time\":\"1970-01-01T00:00:00Z\",\"end\":2,\"from\":2}\n"
        );
        assert_eq!(Line::parse(&bytes), Some(line.clone()));
        assert_eq!(line.details(), "app=web,tier=a+b%26%C3%BC ");
        let seam = Some(Seam { at: 5, other: 7 });
        let first = Line { seam, ..line };
        let mut bytes = Vec::new();
        first.write_to(&mut bytes);
        assert_eq!(Line::parse(&bytes), Some(first));
    }
}
