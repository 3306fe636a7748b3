//! The one way output travels to a client and input from it: attach, exec and logs all use it.
//!
//! ```text
//!  client ──bytes──► Attachment.stdin      end of input closes it; output goes on
//!  client ◄─frames── Attachment.output     its end shuts our side down, then the rest of the
//!                                          client's input is read and dropped
//! ```

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hull_engine::api::{Attachment, OutputFrame, StdStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::http::Request;
use crate::http::frame::{self, FrameStream};
use crate::http::hijack::{Head, RawConnection};
use crate::http::version::ApiVersion;

/// How much input is read at once.
const INPUT_CHUNK: usize = 32 << 10;
/// How long a client that has all output may take to leave.
const LINGER: Duration = Duration::from_secs(10);

/// How output is written to the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A terminal's bytes as they are.
    Raw,
    /// In frames that say which stream they are of.
    Multiplexed,
}

impl Framing {
    pub(crate) fn of(tty: bool) -> Self {
        if tty { Self::Raw } else { Self::Multiplexed }
    }

    /// What older clients do not know is called raw, framed or not.
    pub(crate) fn media_type(self, version: ApiVersion) -> &'static str {
        match self {
            Self::Multiplexed if version >= ApiVersion::MULTIPLEXED_TYPE => {
                "application/vnd.docker.multiplexed-stream"
            }
            _ => "application/vnd.docker.raw-stream",
        }
    }

    /// The head of a connection that is taken over. Only with an upgrade is the type negotiated.
    pub(crate) fn head(self, request: &Request) -> Head {
        let upgrade = request.wants_upgrade();
        let media_type = match upgrade {
            true => self.media_type(request.version),
            false => Self::Raw.media_type(request.version),
        };
        Head::Stream {
            upgrade,
            media_type,
        }
    }

    pub(crate) fn encode(self, stream: StdStream, bytes: Bytes) -> Bytes {
        match self {
            Self::Raw => bytes,
            Self::Multiplexed => frame::encode(channel(stream), &bytes),
        }
    }

    /// Adds what is sent of these bytes to `out`.
    pub(crate) fn append(self, stream: StdStream, bytes: &[u8], out: &mut BytesMut) {
        match self {
            Self::Raw => out.extend_from_slice(bytes),
            Self::Multiplexed => frame::append(channel(stream), bytes, out),
        }
    }
}

fn channel(stream: StdStream) -> FrameStream {
    match stream {
        StdStream::Stdout => FrameStream::Stdout,
        StdStream::Stderr => FrameStream::Stderr,
    }
}

/// Carries bytes both ways until the output ends or the client is gone.
pub(crate) async fn carry(attachment: Attachment, framing: Framing, connection: RawConnection) {
    let RawConnection {
        mut reader,
        mut writer,
        gone,
    } = connection;
    let Attachment { stdin, output, .. } = attachment;
    let input = async {
        if let Some(stdin) = stdin {
            feed(&mut reader, stdin).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = send(output, framing, &mut writer) => {
            if let Err(error) = done {
                tracing::debug!(%error, "the client left its stream");
                return;
            }
        }
        () = input => {}
        () = gone.cancelled() => return,
    }
    tokio::select! {
        _ = tokio::time::timeout(LINGER, drain(&mut reader)) => {}
        () = gone.cancelled() => {}
    }
}

/// Writes some text where a process's output would have been, and ends.
pub(crate) async fn say(text: String, framing: Framing, connection: RawConnection) {
    let (sender, output) = mpsc::channel(1);
    // The receiver is right here, and the channel takes one.
    let _ = sender.try_send(OutputFrame {
        stream: StdStream::Stdout,
        bytes: text.into(),
    });
    drop(sender);
    let tty = framing == Framing::Raw;
    carry(
        Attachment {
            tty,
            stdin: None,
            output,
        },
        framing,
        connection,
    )
    .await;
}

async fn send(
    mut output: mpsc::Receiver<OutputFrame>,
    framing: Framing,
    writer: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    while let Some(OutputFrame { stream, bytes }) = output.recv().await {
        writer.write_all(&framing.encode(stream, bytes)).await?;
        writer.flush().await?;
    }
    writer.shutdown().await
}

/// Ends, and so closes stdin, at the end of the client's input or when nobody reads any more.
async fn feed(reader: &mut (impl AsyncRead + Unpin), stdin: mpsc::Sender<Bytes>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(INPUT_CHUNK);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "reading a client's input");
                return;
            }
        }
        if stdin.send(buffer.split().freeze()).await.is_err() {
            return;
        }
    }
}

/// A socket closed with input unread resets the connection, and the client may lose what it has
/// not read itself yet.
async fn drain(reader: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 4096];
    while matches!(reader.read(&mut buffer).await, Ok(n) if n > 0) {}
}
