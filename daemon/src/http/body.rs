//! Response bodies: whole, or streamed as they come.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use tokio_util::sync::CancellationToken;

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
