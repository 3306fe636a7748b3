//! One line of the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::StdStream;
use crate::time::Timestamp;

/// One JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub(crate) struct Line {
    /// What was written; bytes that are not UTF-8 are replaced, as Docker does.
    pub(crate) log: String,
    #[serde(with = "stream_name")]
    pub(crate) stream: StdStream,
    /// What the user wants to be told with each line: labels, variables, a tag.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attrs: BTreeMap<String, String>,
    pub(crate) time: Timestamp,
    /// The offset after it in the guest's output.
    pub(crate) end: u64,
    /// Where to read on when this is the last line.
    pub(crate) from: u64,
    /// Only in the first line of a file that follows others.
    #[serde(flatten)]
    pub(crate) seam: Option<Seam>,
}

/// What the files before said that may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Seam {
    /// How many bytes of the log are before this file.
    pub(crate) at: u64,
    /// The offset after what is on disk of the stream that this line is not of.
    pub(crate) other: u64,
}

/// A line as it is read: a flattened seam would have every value of every line kept aside first,
/// in case it is of the seam.
#[derive(Deserialize)]
struct Stored {
    log: String,
    #[serde(with = "stream_name")]
    stream: StdStream,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    time: Timestamp,
    #[serde(default)]
    end: u64,
    #[serde(default)]
    from: u64,
    at: Option<u64>,
    other: Option<u64>,
}

impl From<Stored> for Line {
    fn from(stored: Stored) -> Self {
        Self {
            log: stored.log,
            stream: stored.stream,
            attrs: stored.attrs,
            time: stored.time,
            end: stored.end,
            from: stored.from,
            seam: stored
                .at
                .zip(stored.other)
                .map(|(at, other)| Seam { at, other }),
        }
    }
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
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::api::StdStream;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Name {
        Stdout,
        Stderr,
    }

    pub(super) fn serialize<S: Serializer>(stream: &StdStream, s: S) -> Result<S::Ok, S::Error> {
        let name = match stream {
            StdStream::Stdout => Name::Stdout,
            StdStream::Stderr => Name::Stderr,
        };
        name.serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<StdStream, D::Error> {
        Ok(match Name::deserialize(d)? {
            Name::Stdout => StdStream::Stdout,
            Name::Stderr => StdStream::Stderr,
        })
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
