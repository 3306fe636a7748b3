//! Bodies: what clients send, poured into blocking work piece by piece, and what they get.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

/// Any response body.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Pieces that may wait between a client and the disk; each is at most the server's read buffer.
const WAITING: usize = 4;
/// Read from the disk at once.
const PIECE: usize = 256 << 10;
/// How much of a refused body is read, so that its sender gets to see why.
const DRAIN: u64 = 8 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// `length` bytes of a file from where it stands. A file that ends early breaks the body off.
pub(crate) fn file(file: std::fs::File, length: u64) -> Body {
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(PIECE);
    let mut left = length;
    let stream = ReaderStream::with_capacity(file.take(length), PIECE);
    let end = futures_util::stream::iter([Ok(Bytes::new())]);
    let stream = stream.chain(end).map(move |piece| {
        let piece = piece?;
        left = left.saturating_sub(piece.len() as u64);
        match piece.is_empty() && left > 0 {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(Frame::data(piece)),
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// Why a request's body did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the client stopped sending")]
    Broken,
    #[error("the client sent nothing for too long")]
    Slow,
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
}

/// A request's body.
pub(crate) struct Upload {
    body: Incoming,
    /// The longest that a client may be silent.
    patience: Duration,
    received: u64,
}

impl Upload {
    pub(crate) fn new(body: Incoming, patience: Duration) -> Upload {
        let received = 0;
        Upload {
            body,
            patience,
            received,
        }
    }

    /// Bytes that came so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            let frame = match tokio::time::timeout(self.patience, self.body.frame()).await {
                Err(_) => return Some(Err(BodyError::Slow)),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some(Err(BodyError::Broken)),
                Ok(Some(Ok(frame))) => frame,
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    self.received += data.len() as u64;
                    return Some(Ok(data));
                }
                // Trailers say nothing here.
                Err(_) => {}
            }
        }
    }

    /// All of it, if it is no more than `limit`.
    pub(crate) async fn read(&mut self, limit: u64) -> Result<Vec<u8>, BodyError> {
        if self.body.size_hint().lower() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await {
            bytes.extend_from_slice(&piece?);
            if bytes.len() as u64 > limit {
                return Err(BodyError::TooLarge(limit));
            }
        }
        Ok(bytes)
    }

    /// Runs `work`, which may block, over the pieces as they come. A client that is faster than
    /// the disk waits.
    pub(crate) async fn pour<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(Pieces) -> T + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        let (send, pieces) = mpsc::channel(WAITING);
        let work = tokio::task::spawn_blocking(move || work(Pieces(pieces)));
        while let Some(piece) = self.next().await {
            let failed = piece.is_err();
            // Whoever does not listen any more has an answer.
            if send.send(piece).await.is_err() || failed {
                break;
            }
        }
        drop(send);
        work.await
    }

    /// Reads what is left, if it is not much: an answer that comes before its request has been
    /// read is lost to clients that only then look for it.
    pub(crate) async fn drain(&mut self) {
        if self.body.is_end_stream() {
            return;
        }
        let reading = async {
            let mut count = 0;
            while let Some(Ok(piece)) = self.next().await {
                count += piece.len() as u64;
                if count > DRAIN {
                    return;
                }
            }
        };
        // If it takes too long the connection is closed, which is all that can be done.
        let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
    }
}

/// The pieces of a body, for a thread that may block.
pub(crate) struct Pieces(mpsc::Receiver<Result<Bytes, BodyError>>);

impl Iterator for Pieces {
    type Item = Result<Bytes, BodyError>;

    fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        self.0.blocking_recv()
    }
}
