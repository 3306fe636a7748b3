//! Streams of JSON, one message a line: pull, load and import tell their progress so.

use bytes::{Buf, BytesMut};
use hyper::body::Incoming;
use serde::Deserialize;

use super::{Chunks, Error};

/// A line longer than this is not progress.
const LONGEST: usize = 4 * 1024 * 1024;

/// One message of such a stream.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Message {
    #[serde(default)]
    pub(crate) stream: String,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) error: String,
    #[serde(default, rename = "progressDetail")]
    pub(crate) progress: Option<Progress>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Progress {
    #[serde(default)]
    pub(crate) current: i64,
    #[serde(default)]
    pub(crate) total: i64,
}

pub(crate) struct JsonLines {
    chunks: Chunks,
    buffer: BytesMut,
}

impl JsonLines {
    pub(super) fn new(body: Incoming) -> JsonLines {
        JsonLines {
            chunks: Chunks::Body(body),
            buffer: BytesMut::new(),
        }
    }

    /// The next message; an error that the stream tells is an error here.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Error> {
        let Some(line) = self.next_line().await? else {
            return Ok(None);
        };
        let message: Message =
            serde_json::from_slice(&line).map_err(|source| Error::Decode { source })?;
        match message.error.is_empty() {
            true => Ok(Some(message)),
            false => Err(Error::Told {
                message: message.error,
            }),
        }
    }

    /// The next line that says something, as it came.
    pub(crate) async fn next_line(&mut self) -> Result<Option<BytesMut>, Error> {
        loop {
            let line = match self.buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let line = self.buffer.split_to(end);
                    self.buffer.advance(1);
                    line
                }
                None => match self.chunks.next().await? {
                    Some(chunk) if self.buffer.len() + chunk.len() <= LONGEST => {
                        self.buffer.extend_from_slice(&chunk);
                        continue;
                    }
                    Some(_) => {
                        return Err(Error::Told {
                            message: "the daemon's answer has no line end".into(),
                        });
                    }
                    None if self.buffer.is_empty() => return Ok(None),
                    None => self.buffer.split(),
                },
            };
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(line));
            }
        }
    }
}
