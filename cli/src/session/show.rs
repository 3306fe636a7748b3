//! The daemon's output to ours.

use tokio::io::{AsyncWrite, AsyncWriteExt, Stderr, Stdout};

use super::Output;
use crate::api::{Channel, Chunks, Demux, Error, StreamKind};
use crate::failure::Failure;

pub(crate) async fn show(
    mut chunks: Chunks,
    kind: StreamKind,
    output: Output,
) -> Result<(), Failure> {
    let mut screen = Screen::new(tokio::io::stdout(), tokio::io::stderr(), output);
    let mut demux = Demux::new();
    while let Some(chunk) = chunks.next().await? {
        if kind == StreamKind::Raw {
            screen.put(Channel::Out, &chunk).await?;
        } else {
            let mut bytes: &[u8] = &chunk;
            while let Some((channel, payload)) = demux.next(&mut bytes).map_err(Error::from)? {
                screen.put(channel, payload).await?;
            }
        }
        screen.flush().await?;
    }
    if !screen.told.is_empty() {
        let message = format!(
            "error from daemon in stream: {}",
            String::from_utf8_lossy(&screen.told)
        );
        return Err(Failure::new(message));
    }
    if kind == StreamKind::Multiplexed {
        demux.finish().map_err(Error::from)?;
    }
    Ok(())
}

/// Both outputs, written in the order of the frames. Frames of one output that arrived together
/// are one write: a log has millions of them.
struct Screen<O = Stdout, E = Stderr> {
    stdout: O,
    stderr: E,
    output: Output,
    /// What is not written yet, and to which it goes.
    gathered: Vec<u8>,
    channel: Channel,
    /// The daemon's own word that the stream failed.
    told: Vec<u8>,
}

impl<O: AsyncWrite + Unpin, E: AsyncWrite + Unpin> Screen<O, E> {
    fn new(stdout: O, stderr: E, output: Output) -> Self {
        Screen {
            stdout,
            stderr,
            output,
            gathered: Vec::new(),
            channel: Channel::Out,
            told: Vec::new(),
        }
    }

    async fn put(&mut self, channel: Channel, payload: &[u8]) -> std::io::Result<()> {
        match channel {
            Channel::System => {
                self.told.extend_from_slice(payload);
                return Ok(());
            }
            Channel::Out if !self.output.stdout => return Ok(()),
            Channel::Err if !self.output.stderr => return Ok(()),
            Channel::Out | Channel::Err => {}
        }
        if channel != self.channel {
            self.flush().await?;
            self.channel = channel;
        }
        self.gathered.extend_from_slice(payload);
        Ok(())
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = match self.channel {
            Channel::Err => write(&mut self.stderr, &self.gathered).await,
            Channel::Out | Channel::System => write(&mut self.stdout, &self.gathered).await,
        };
        self.gathered.clear();
        written
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::pin::Pin;
    use std::rc::Rc;
    use std::task::{Context, Poll};

    use super::*;

    /// Every write, with the output that it went to.
    type Writes = Rc<RefCell<Vec<(&'static str, String)>>>;

    struct Recorder(&'static str, Writes);

    impl AsyncWrite for Recorder {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.1.borrow_mut().push((self.0, text));
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn shown(output: Output) -> Vec<(&'static str, String)> {
        let writes = Writes::default();
        let recorder = |name| Recorder(name, writes.clone());
        let mut screen = Screen::new(recorder("out"), recorder("err"), output);
        for (channel, payload) in [
            (Channel::Out, "a"),
            (Channel::Out, "b"),
            (Channel::Err, "c"),
            (Channel::System, "trouble"),
            (Channel::Err, "d"),
            (Channel::Out, "e"),
        ] {
            screen.put(channel, payload.as_bytes()).await.unwrap();
        }
        screen.flush().await.unwrap();
        screen.flush().await.unwrap();
        assert_eq!(screen.told, b"trouble");
        drop(screen);
        writes.take()
    }

    #[tokio::test]
    async fn frames_of_one_output_are_one_write_and_the_order_stays() {
        let write = |name, text: &str| (name, text.to_owned());
        assert_eq!(
            shown(Output::BOTH).await,
            [write("out", "ab"), write("err", "cd"), write("out", "e")]
        );
        let only_errors = Output {
            stdout: false,
            stderr: true,
        };
        assert_eq!(shown(only_errors).await, [write("err", "cd")]);
    }
}
