//! A container's streams on a WebSocket, both ways at once.
//!
//! ```text
//!  client ──frames──► stdin           pings and violations become answers
//!  client ◄─frames── output, answers  a close is the last
//! ```
//!
//! The client's close, as the end of its connection, detaches; the container goes on.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hull_engine::api::Attachment;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::frame::{self, Code, Decoder, Event};
use crate::http::hijack::RawConnection;

const INPUT_CHUNK: usize = 32 << 10;
/// How long a client may take to answer our close.
const LINGER: Duration = Duration::from_secs(10);
/// Answers that wait to be written; a client that asks for more waits itself.
const ANSWERS: usize = 16;

/// Carries bytes both ways until either side closes or the client is gone.
pub(crate) async fn carry(attachment: Attachment, connection: RawConnection) {
    let RawConnection {
        mut reader,
        mut writer,
        gone,
    } = connection;
    let Attachment {
        stdin, mut output, ..
    } = attachment;
    let (answers, mut to_answer) = mpsc::channel(ANSWERS);
    let input = async {
        let last = read(&mut reader, stdin, &answers).await;
        // The writer ends with what it gets here, or has ended.
        let _ = answers.send(Answer::Last(last)).await;
        std::future::pending::<()>().await;
    };
    let written = async {
        loop {
            let (bytes, last) = tokio::select! {
                biased;
                Some(answer) = to_answer.recv() => match answer {
                    Answer::Pong(bytes) => (frame::pong(&bytes), false),
                    Answer::Last(Some(code)) => (frame::close(code), true),
                    Answer::Last(None) => return Ok(End::Left),
                },
                frame = output.recv() => match frame {
                    Some(output) => (frame::data(&output.bytes), false),
                    None => {
                        writer.write_all(&frame::close(Code::NORMAL)).await?;
                        writer.flush().await?;
                        return Ok(End::Output);
                    }
                },
            };
            writer.write_all(&bytes).await?;
            writer.flush().await?;
            if last {
                return Ok::<_, std::io::Error>(End::Left);
            }
        }
    };
    let end = tokio::select! {
        end = written => end,
        () = input => return,
        () = gone.cancelled() => Ok(End::Gone),
    };
    match end {
        // The client's close, or its end, follows; what it still types is dropped.
        Ok(End::Output) => {
            let rest = async {
                let mut buffer = [0; 4096];
                while matches!(reader.read(&mut buffer).await, Ok(n) if n > 0) {}
            };
            tokio::select! {
                _ = tokio::time::timeout(LINGER, rest) => {}
                () = gone.cancelled() => {}
            }
        }
        Ok(End::Gone) => {
            // It may still read, where it is the daemon that ends.
            let goodbye = frame::close(Code::GOING_AWAY);
            let _ = tokio::time::timeout(LINGER, writer.write_all(&goodbye)).await;
        }
        Ok(End::Left) => {}
        Err(error) => tracing::debug!(%error, "the client left its WebSocket"),
    }
    // Failing means that the client is not there any more.
    let _ = writer.shutdown().await;
}

/// What the reading side has for the writing side.
enum Answer {
    Pong(Bytes),
    /// There is no more; with a close to say, or with nobody to say it to.
    Last(Option<Code>),
}

enum End {
    Output,
    Left,
    Gone,
}

/// Reads until the client closes, leaves or breaks the protocol; the code to answer with.
async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    mut stdin: Option<mpsc::Sender<Bytes>>,
    answers: &mpsc::Sender<Answer>,
) -> Option<Code> {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::new();
    loop {
        loop {
            match decoder.take() {
                Ok(None) => break,
                Ok(Some(Event::Data(bytes))) => {
                    if let Some(to) = &stdin
                        && to.send(bytes).await.is_err()
                    {
                        // Nobody reads it; output may go on.
                        stdin = None;
                    }
                }
                Ok(Some(Event::Ping(bytes))) => {
                    answers.send(Answer::Pong(bytes)).await.ok()?;
                }
                Ok(Some(Event::Close)) => return Some(Code::NORMAL),
                Err(violation) => {
                    tracing::debug!(%violation, "a client broke its WebSocket");
                    return Some(Code::PROTOCOL_ERROR);
                }
            }
        }
        buffer.clear();
        buffer.reserve(INPUT_CHUNK);
        match reader.read_buf(&mut buffer).await {
            Ok(1..) => decoder.push(&buffer),
            Ok(0) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hull_engine::api::{OutputFrame, StdStream};
    use tokio::io::{DuplexStream, duplex};
    use tokio_util::sync::CancellationToken;

    use super::*;

    struct Client {
        socket: DuplexStream,
        stdin: mpsc::Receiver<Bytes>,
        output: Option<mpsc::Sender<OutputFrame>>,
    }

    fn attached() -> (Client, tokio::task::JoinHandle<()>) {
        let (ours, theirs) = duplex(1 << 16);
        let (reader, writer) = tokio::io::split(ours);
        let (to_stdin, stdin) = mpsc::channel(4);
        let (output, from) = mpsc::channel(4);
        let attachment = Attachment {
            tty: true,
            stdin: Some(to_stdin),
            output: from,
        };
        let connection = RawConnection {
            reader: Box::new(reader),
            writer: Box::new(writer),
            gone: CancellationToken::new(),
        };
        let client = Client {
            socket: theirs,
            stdin,
            output: Some(output),
        };
        (client, tokio::spawn(carry(attachment, connection)))
    }

    impl Client {
        async fn send(&mut self, bytes: &[u8]) {
            self.socket.write_all(bytes).await.unwrap();
        }

        async fn expect(&mut self, bytes: &[u8]) {
            let mut got = vec![0; bytes.len()];
            self.socket.read_exact(&mut got).await.unwrap();
            assert_eq!(got, bytes);
        }

        async fn end(&mut self) {
            assert_eq!(self.socket.read(&mut [0]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_and_the_outputs_end_is_a_close() {
        let (mut client, session) = attached();
        client.send(&[0x82, 0x82, 0, 0, 0, 0, b'h', b'i']).await;
        assert_eq!(client.stdin.recv().await.unwrap(), "hi");
        client.send(&[0x89, 0x81, 0, 0, 0, 0, b'p']).await;
        client.expect(&[0x8a, 1, b'p']).await;
        let output = client.output.take().unwrap();
        let frame = OutputFrame {
            stream: StdStream::Stderr,
            bytes: Bytes::from_static(b"out"),
        };
        output.send(frame).await.unwrap();
        drop(output);
        client.expect(&[0x82, 3, b'o', b'u', b't']).await;
        client.expect(&[0x88, 2, 3, 232]).await;
        client.send(&[0x88, 0x80, 0, 0, 0, 0]).await;
        drop(client);
        session.await.unwrap();
    }

    #[tokio::test]
    async fn a_clients_close_is_answered_and_detaches() {
        let (mut client, session) = attached();
        client.send(&[0x88, 0x80, 0, 0, 0, 0]).await;
        client.expect(&[0x88, 2, 3, 232]).await;
        client.end().await;
        session.await.unwrap();
        assert!(client.stdin.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_breaks_the_protocol_is_told_and_left() {
        let (mut client, session) = attached();
        client.send(&[0x82, 0x01, b'x']).await;
        client.expect(&[0x88, 2, 3, 234]).await;
        client.end().await;
        session.await.unwrap();
    }
}
