//! Stdio of one process: [`OutputStream`] reads its records, [`StdinStream`] writes to it.

use std::path::Path;

use bytes::{Buf, Bytes, BytesMut};
use hull_protocol::VsockPort;
use hull_protocol::agent::ProcessId;
use hull_protocol::stream::{Channel, MAX_STDIN_CHUNK, Open, Opened, Output, RecordHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::AgentFailure;
use super::connect;

/// How much is read ahead of what is handled.
const READ: usize = 64 << 10;

/// Some output of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) offset: u64,
    pub(crate) time: u64,
    pub(crate) output: Output,
    pub(crate) bytes: Bytes,
}

impl Record {
    /// The offset after it.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

/// The output of a process, from an offset on.
#[derive(Debug)]
pub(crate) struct OutputStream {
    stream: UnixStream,
    buffer: BytesMut,
}

impl OutputStream {
    pub(crate) async fn open(
        socket: &Path,
        process: &ProcessId,
        from: u64,
    ) -> Result<Self, AgentFailure> {
        let (stream, rest) = open(socket, process, Channel::Output { from }).await?;
        Ok(Self {
            stream,
            buffer: BytesMut::from(rest.as_slice()),
        })
    }

    /// What has arrived: at least one record, and all that can be had without waiting.
    pub(crate) async fn records(&mut self) -> Result<Vec<Record>, AgentFailure> {
        loop {
            let mut records = Vec::new();
            while let Some(record) = self.take()? {
                records.push(record);
            }
            if !records.is_empty() {
                return Ok(records);
            }
            self.buffer.reserve(READ);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(AgentFailure::Lost),
                Ok(_) => {}
                Err(e) => return Err(AgentFailure::Unreachable(e)),
            }
        }
    }

    /// Says that everything before this offset is stored.
    pub(crate) async fn acknowledge(&mut self, offset: u64) -> Result<(), AgentFailure> {
        let sent = self.stream.write_all(&offset.to_le_bytes()).await;
        sent.map_err(AgentFailure::Unreachable)
    }

    fn take(&mut self) -> Result<Option<Record>, AgentFailure> {
        let Some(head) = self.buffer.first_chunk::<{ RecordHeader::SIZE }>() else {
            return Ok(None);
        };
        let header = RecordHeader::decode(head).map_err(|_| AgentFailure::Unexpected)?;
        let length = header.length as usize;
        if self.buffer.len() < RecordHeader::SIZE + length {
            return Ok(None);
        }
        self.buffer.advance(RecordHeader::SIZE);
        Ok(Some(Record {
            offset: header.offset,
            time: header.time,
            output: header.output,
            bytes: self.buffer.split_to(length).freeze(),
        }))
    }
}

/// The way to a process's standard input.
#[derive(Debug)]
pub(crate) struct StdinStream(UnixStream);

impl StdinStream {
    pub(crate) async fn open(socket: &Path, process: &ProcessId) -> Result<Self, AgentFailure> {
        let (stream, _) = open(socket, process, Channel::Stdin).await?;
        Ok(Self(stream))
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), AgentFailure> {
        for chunk in bytes.chunks(MAX_STDIN_CHUNK as usize) {
            self.chunk(chunk).await?;
        }
        Ok(())
    }

    /// The end of input.
    pub(crate) async fn finish(&mut self) -> Result<(), AgentFailure> {
        self.chunk(&[]).await
    }

    async fn chunk(&mut self, chunk: &[u8]) -> Result<(), AgentFailure> {
        // `chunks` keeps it below the limit, which is below u32::MAX.
        let length = u32::try_from(chunk.len()).unwrap_or(MAX_STDIN_CHUNK);
        let mut message = Vec::with_capacity(4 + chunk.len());
        message.extend_from_slice(&length.to_le_bytes());
        message.extend_from_slice(chunk);
        self.0
            .write_all(&message)
            .await
            .map_err(AgentFailure::Unreachable)
    }
}

async fn open(
    socket: &Path,
    process: &ProcessId,
    channel: Channel,
) -> Result<(UnixStream, Vec<u8>), AgentFailure> {
    let request = Open {
        process: process.clone(),
        channel,
    };
    let (stream, rest, opened) =
        connect::open::<Opened>(socket, VsockPort::STREAM, &request).await?;
    opened.map_err(AgentFailure::Refused)?;
    Ok((stream, rest))
}
