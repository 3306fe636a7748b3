//! A container's files: one archive on one connection, in or out.

use std::path::Path;

use bytes::{Buf, Bytes, BytesMut};
use hull_protocol::VsockPort;
use hull_protocol::files::{Closed, MAX_CHUNK, Open, Opened, PathStat};
use hull_protocol::frame::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::AgentFailure;
use super::connect::open;

const PREFIX: usize = 4;

/// An archive under way.
#[derive(Debug)]
pub(crate) struct FilesStream {
    stream: UnixStream,
    buffer: BytesMut,
    /// Bytes of the current chunk that have not come yet.
    left: usize,
}

impl FilesStream {
    /// Asks; what is at the path comes with the answer, where that was asked.
    pub(crate) async fn open(
        socket: &Path,
        request: &Open,
    ) -> Result<(Self, Option<PathStat>), AgentFailure> {
        let (stream, rest, opened) = open::<Opened>(socket, VsockPort::FILES, request).await?;
        let stat = opened.map_err(AgentFailure::Refused)?;
        let this = Self {
            stream,
            buffer: BytesMut::from(rest.as_slice()),
            left: 0,
        };
        Ok((this, stat))
    }

    /// The next bytes of an archive that comes out; `None` at its end, if it is whole.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, AgentFailure> {
        if self.left == 0 {
            while self.buffer.len() < PREFIX {
                self.fill().await?;
            }
            let length = self.buffer.get_u32_le();
            if length > MAX_CHUNK {
                return Err(AgentFailure::Unexpected);
            }
            if length == 0 {
                return self.closed().await.map(|()| None);
            }
            self.left = length as usize;
        }
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        let count = self.left.min(self.buffer.len());
        self.left -= count;
        Ok(Some(self.buffer.split_to(count).freeze()))
    }

    /// Sends bytes of an archive that goes in.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), AgentFailure> {
        for chunk in bytes.chunks(MAX_CHUNK as usize) {
            self.chunk(chunk).await?;
        }
        Ok(())
    }

    /// Sends its end, and waits until all of it is unpacked.
    pub(crate) async fn finish(mut self) -> Result<(), AgentFailure> {
        self.chunk(&[]).await?;
        self.closed().await
    }

    async fn chunk(&mut self, chunk: &[u8]) -> Result<(), AgentFailure> {
        let length = u32::try_from(chunk.len()).unwrap_or(MAX_CHUNK);
        let written = async {
            self.stream.write_all(&length.to_le_bytes()).await?;
            self.stream.write_all(chunk).await
        };
        written.await.map_err(AgentFailure::Unreachable)
    }

    async fn closed(&mut self) -> Result<(), AgentFailure> {
        let mut decoder = Decoder::default();
        decoder.push(&self.buffer);
        self.buffer.clear();
        loop {
            if let Some(closed) = decoder.take::<Closed>()? {
                return closed.map_err(AgentFailure::Refused);
            }
            self.fill().await?;
            decoder.push(&self.buffer);
            self.buffer.clear();
        }
    }

    async fn fill(&mut self) -> Result<(), AgentFailure> {
        self.buffer.reserve(PREFIX + MAX_CHUNK as usize);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(AgentFailure::Lost),
            Ok(_) => Ok(()),
            Err(e) => Err(AgentFailure::Unreachable(e)),
        }
    }
}
