//! A connection that does not wait for ever for a client that takes nothing, or next to nothing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::http::pace::least;

/// Fails writes that make too little progress for a while.
pub(crate) struct Impatient<T> {
    inner: T,
    patience: Duration,
    /// Runs from a write that waits until the client took enough, or all.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Bytes that were taken since.
    taken: u64,
}

impl<T> Impatient<T> {
    pub(crate) fn new(inner: T, patience: Duration) -> Impatient<T> {
        Impatient {
            inner,
            patience,
            waiting: None,
            taken: 0,
        }
    }

    /// What a write came to, or an error if the client has been waited for too long.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = result {
            self.taken = self.taken.saturating_add(count as u64);
            if self.taken >= least(self.patience) {
                self.waiting = None;
            }
        }
        self.watch(cx, result)
    }

    /// What a flush came to, likewise: after it nothing waits.
    fn flushed(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if result.is_ready() {
            self.waiting = None;
        }
        self.watch(cx, result)
    }

    fn watch<R>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if result.is_ready() {
            return result;
        }
        let patience = self.patience;
        let waiting = match &mut self.waiting {
            Some(waiting) => waiting,
            none => {
                self.taken = 0;
                none.insert(Box::pin(sleep(patience)))
            }
        };
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Impatient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Impatient<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.flushed(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.flushed(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (near, _far) = tokio::io::duplex(16);
        let mut near = Impatient::new(near, Duration::from_millis(20));
        near.write_all(&[0; 16]).await.unwrap();
        let error = near.write_all(&[0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_takes_a_byte_at_a_time_is_given_up() {
        let (near, mut far) = tokio::io::duplex(16);
        // A byte in a millisecond is too little, and less would be too.
        let mut near = Impatient::new(near, Duration::from_millis(200));
        let taking = tokio::spawn(async move {
            while far.read_exact(&mut [0]).await.is_ok() {
                sleep(Duration::from_millis(1)).await;
            }
        });
        let error = near.write_all(&[0; 64 << 10]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(near);
        taking.await.unwrap();
    }

    #[tokio::test]
    async fn who_took_enough_or_all_is_waited_for_anew() {
        let (near, mut far) = tokio::io::duplex(1024);
        let mut near = Impatient::new(near, Duration::from_secs(1));
        let poll = async |near: &mut Impatient<_>, count: usize| {
            let mut written = Box::pin(near.write_all(&[0; 2048][..count]));
            let poll = std::future::poll_fn(|cx| Poll::Ready(written.as_mut().poll(cx))).await;
            poll.is_ready()
        };
        assert!(!poll(&mut near, 1025).await);
        assert!(near.waiting.is_some());
        far.read_exact(&mut [0; 100]).await.unwrap();
        assert!(poll(&mut near, 100).await);
        assert!(near.waiting.is_some());
        far.read_exact(&mut [0; 1024]).await.unwrap();
        assert!(poll(&mut near, 1000).await);
        assert!(near.waiting.is_none());
        far.read_exact(&mut [0; 1000]).await.unwrap();
        assert!(!poll(&mut near, 1025).await);
        near.flush().await.unwrap();
        assert!(near.waiting.is_none());
    }
}
