//! Bodies: what clients send, and responses, whole or streamed as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio_util::sync::CancellationToken;

/// A request body up to this size is read before its handler runs.
const READ_AHEAD: u64 = 64 << 10;

/// What a client sends. A small body is here in whole: an answer that comes before its request has
/// been read closes the connection under a client that is still writing, which then reports the
/// broken pipe and not the answer.
pub(crate) enum Upload {
    Whole(Full<Bytes>),
    Coming(Incoming),
}

impl Upload {
    pub(crate) async fn begin(body: Incoming) -> Result<Self, hyper::Error> {
        if hyper::body::Body::size_hint(&body)
            .upper()
            .is_none_or(|size| size > READ_AHEAD)
        {
            return Ok(Self::Coming(body));
        }
        Ok(Self::Whole(Full::new(body.collect().await?.to_bytes())))
    }
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Coming(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Coming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Coming(body) => body.size_hint(),
        }
    }
}

/// Any response body.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A chunked body. Every item is flushed by itself. When the client is gone or the server ends,
/// the body breaks off instead of ending, so that nobody takes half a stream for a whole one.
pub(crate) fn streamed(
    stream: impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
    gone: CancellationToken,
) -> Body {
    let cut = async move {
        gone.cancelled_owned().await;
        Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted)))
    };
    // The end of the stream itself is an item too, or the body would wait for `cut` after it.
    let items = stream.map(Some).chain(futures_util::stream::iter([None]));
    let until = futures_util::stream::select(items, futures_util::stream::once(cut));
    let body = until
        .scan(false, |failed, item| {
            let item = item.filter(|_| !*failed);
            *failed = matches!(item, Some(Err(_)));
            std::future::ready(item)
        })
        .map(|item| item.map(Frame::data));
    StreamBody::new(body).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_ends_by_itself() {
        let items = futures_util::stream::iter(["a", "b"].map(|s| Ok(Bytes::from(s))));
        let body = streamed(items, CancellationToken::new());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "ab");
    }

    #[tokio::test]
    async fn a_cut_stream_fails() {
        let gone = CancellationToken::new();
        let body = streamed(futures_util::stream::pending(), gone.clone());
        gone.cancel();
        assert!(body.collect().await.is_err());
    }
}
