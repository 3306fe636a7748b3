//! Bodies: what clients send, poured into blocking work piece by piece, and what they get.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use tokio::io::AsyncReadExt;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio_util::io::ReaderStream;

use super::pace::Pace;

/// Any response body.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Pieces that may wait between a client and the disk; each is at most the server's read buffer.
const WAITING: usize = 4;
/// Read from the disk at once.
const PIECE: usize = 256 << 10;
/// How much of a refused body is read, so that its sender gets to see why.
const DRAIN: u64 = 8 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// A body that is read whole takes this much without asking.
const SMALL: u64 = 64 << 10;
/// Larger ones share 32 MiB of memory, counted in KiB, whoever sends them.
static ROOM: Semaphore = Semaphore::const_new(ROOM_KIB as usize);
const ROOM_KIB: u32 = 32 << 10;

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
    #[error("too many large bodies at once")]
    Crowded,
}

/// A body that was read whole. It takes room as long as it is there.
pub(crate) struct Whole {
    pub(crate) bytes: Vec<u8>,
    _room: Option<SemaphorePermit<'static>>,
}

/// A request's body.
pub(crate) struct Upload {
    body: Incoming,
    /// The longest that a client may be silent.
    patience: Duration,
    received: u64,
    pace: Pace,
}

impl Upload {
    pub(crate) fn new(body: Incoming, patience: Duration) -> Upload {
        Upload {
            body,
            patience,
            received: 0,
            pace: Pace::default(),
        }
    }

    /// Bytes that came so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            let asked = Instant::now();
            let frame = match tokio::time::timeout(self.patience, self.body.frame()).await {
                Err(_) => return Some(Err(BodyError::Slow)),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some(Err(BodyError::Broken)),
                Ok(Some(Ok(frame))) => frame,
            };
            let size = frame.data_ref().map_or(0, |data| data.len() as u64);
            if self.pace.lags(asked.elapsed(), size, self.patience) {
                return Some(Err(BodyError::Slow));
            }
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

    /// All of it, if it is no more than `limit`. What is large waits until there is room.
    pub(crate) async fn read(&mut self, limit: u64) -> Result<Whole, BodyError> {
        let hint = self.body.size_hint();
        if hint.lower() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        let most = hint.exact().unwrap_or(limit);
        let (mut bytes, mut room) = (Vec::new(), None);
        while let Some(piece) = self.next().await {
            let piece = piece?;
            let size = bytes.len() as u64 + piece.len() as u64;
            if size > limit {
                return Err(BodyError::TooLarge(limit));
            }
            if size > SMALL && room.is_none() {
                room = Some(self.room(most).await?);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Whole { bytes, _room: room })
    }

    /// Room for a body of that size, for all of it at once: bodies that each have some and wait
    /// for more would wait for each other.
    async fn room(&self, size: u64) -> Result<SemaphorePermit<'static>, BodyError> {
        let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
        let room = ROOM.acquire_many(kib.min(ROOM_KIB));
        match tokio::time::timeout(self.patience, room).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(BodyError::Crowded),
        }
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
