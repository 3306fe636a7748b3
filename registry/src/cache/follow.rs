//! A blob that goes to a client while it comes from the upstream.
//!
//! Whoever follows reads the file that the download writes, as far as it is. The last byte that a
//! client wants is kept back until all of the blob was found to be what its digest says: what is
//! not, or breaks off, is to its client a transfer that broke off, never one that ended well.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;

use crate::http::body::Body;

/// Read at once.
const PIECE: u64 = 256 << 10;

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Coming(u64),
    /// All of it is there and is what it should be.
    Stored,
    Failed,
}

/// A blob on its way.
#[derive(Debug)]
pub(crate) struct Coming {
    pub(super) file: File,
    pub(crate) size: u64,
    pub(super) progress: watch::Receiver<Progress>,
}

/// `length` bytes from `start` on, as they come.
pub(crate) fn body(coming: Arc<Coming>, start: u64, length: u64) -> Body {
    let follower = Follower {
        progress: coming.progress.clone(),
        coming,
        at: start,
        end: start.saturating_add(length),
    };
    let stream = futures_util::stream::try_unfold(follower, Follower::next);
    StreamBody::new(stream).boxed_unsync()
}

struct Follower {
    coming: Arc<Coming>,
    progress: watch::Receiver<Progress>,
    at: u64,
    end: u64,
}

impl Follower {
    async fn next(mut self) -> io::Result<Option<(Frame<Bytes>, Follower)>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let (at, end) = (self.at, self.end);
        let broken = || io::Error::from(io::ErrorKind::ConnectionAborted);
        let known = self.progress.wait_for(|now| readable(*now, end) > at);
        // Whoever downloaded it has gone without a word if this fails.
        let readable = known.await.map(|now| readable(*now, end));
        let readable = readable.map_err(|_| broken())?;
        // A failure is readable to the end, so as to be seen here.
        if *self.progress.borrow() == Progress::Failed {
            return Err(broken());
        }
        let length = usize::try_from((readable - at).min(PIECE)).map_err(|_| broken())?;
        let coming = self.coming.clone();
        let read = move || {
            let mut bytes = vec![0; length];
            coming.file.read_exact_at(&mut bytes, at).map(|()| bytes)
        };
        let bytes = tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| broken())??;
        self.at += bytes.len() as u64;
        Ok(Some((Frame::data(Bytes::from(bytes)), self)))
    }
}

/// How far a follower that wants to get to `end` may read.
fn readable(progress: Progress, end: u64) -> u64 {
    match progress {
        Progress::Coming(done) => done.min(end.saturating_sub(1)),
        Progress::Stored | Progress::Failed => end,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn coming(bytes: &[u8]) -> (watch::Sender<Progress>, Arc<Coming>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let (send, progress) = watch::channel(Progress::Coming(0));
        let size = bytes.len() as u64;
        let coming = Coming {
            file,
            size,
            progress,
        };
        (send, Arc::new(coming))
    }

    async fn piece(body: &mut Body) -> Option<Result<Bytes, io::ErrorKind>> {
        let frame = body.frame().await?;
        Some(frame.map(|f| f.into_data().unwrap()).map_err(|e| e.kind()))
    }

    #[tokio::test]
    async fn a_follower_gets_what_is_there_and_the_last_byte_when_all_is_right() {
        let (send, coming) = coming(b"0123456789");
        let mut whole = body(coming.clone(), 0, 10);
        let mut part = body(coming, 2, 3);
        send.send_replace(Progress::Coming(4));
        assert_eq!(piece(&mut whole).await, Some(Ok("0123".into())));
        assert_eq!(piece(&mut part).await, Some(Ok("23".into())));
        send.send_replace(Progress::Coming(10));
        assert_eq!(piece(&mut whole).await, Some(Ok("45678".into())));
        send.send_replace(Progress::Stored);
        assert_eq!(piece(&mut whole).await, Some(Ok("9".into())));
        assert_eq!(piece(&mut part).await, Some(Ok("4".into())));
        assert_eq!(piece(&mut whole).await, None);
        assert_eq!(piece(&mut part).await, None);
    }

    #[tokio::test]
    async fn a_failure_breaks_the_body_off() {
        for gone in [false, true] {
            let (send, coming) = coming(b"0123456789");
            let mut body = body(coming, 0, 10);
            send.send_replace(Progress::Coming(10));
            assert_eq!(piece(&mut body).await, Some(Ok("012345678".into())));
            if !gone {
                send.send_replace(Progress::Failed);
            }
            drop(send);
            let error = Some(Err(io::ErrorKind::ConnectionAborted));
            assert_eq!(piece(&mut body).await, error);
        }
    }
}
