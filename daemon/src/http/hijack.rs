//! Connections that stop being HTTP: attach and exec take the socket over, both ways.
//!
//! A client that sends `Upgrade` gets `101 UPGRADED`, one that does not gets `200 OK` with
//! neither length nor chunks; after that head both get the same raw bytes. Each direction ends by
//! itself: a client that shuts its writing side down, which many do at once, still gets all
//! output. That is why this does not use hyper's upgrades, which know 101 only: the server takes
//! the socket back from hyper, with what hyper had read too much of.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use hyper::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// What goes in the hijacked connection's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Docker's own kind.
    Stream {
        /// 101 and `Upgrade`, or 200.
        upgrade: bool,
        media_type: &'static str,
    },
    /// 101 with the key that answers the client's.
    WebSocket { accept: String },
}

/// The reply of a handler that wants the connection.
pub(crate) struct Hijack {
    pub(crate) head: Head,
    pub(crate) session: Session,
}

/// What happens on the connection once it is raw.
pub(crate) type Session =
    Box<dyn FnOnce(RawConnection) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A connection after its head.
pub(crate) struct RawConnection {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    /// Shutting it down ends the client's reading side.
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Cancelled when the client is gone altogether, or the server ends.
    pub(crate) gone: CancellationToken,
}

impl Hijack {
    pub(crate) fn new<S, F>(head: Head, session: S) -> Self
    where
        S: FnOnce(RawConnection) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self {
            head,
            session: Box::new(move |connection| Box::pin(session(connection))),
        }
    }

    /// Writes the head and runs the session.
    pub(crate) async fn run(self, headers: &HeaderMap, mut connection: RawConnection) {
        let head = self.head.bytes(headers);
        match connection.writer.write_all(&head).await {
            Ok(()) => (self.session)(connection).await,
            Err(error) => tracing::debug!(%error, "the client left before its stream began"),
        }
    }
}

impl Head {
    fn bytes(self, headers: &HeaderMap) -> Bytes {
        let mut head = match self {
            Self::Stream {
                upgrade: true,
                media_type,
            } => format!(
                "HTTP/1.1 101 UPGRADED\r\nContent-Type: {media_type}\r\n\
                 Connection: Upgrade\r\nUpgrade: tcp\r\n"
            ),
            Self::Stream { media_type, .. } => {
                format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n")
            }
            Self::WebSocket { accept } => format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
            ),
        };
        for (name, value) in headers {
            // Both are ours and printable; writing to a string cannot fail.
            let value = value.to_str().unwrap_or_default();
            let _ = write!(head, "{}: {value}\r\n", title_case(name.as_str()));
        }
        head.push_str("\r\n");
        head.into()
    }
}

/// As all other heads are written.
fn title_case(name: &str) -> String {
    let mut start = true;
    let upper = |c: char| {
        let c = if start { c.to_ascii_uppercase() } else { c };
        start = c == '-';
        c
    };
    name.chars().map(upper).collect()
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn heads_are_dockers() {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static("api-version"),
            HeaderValue::from_static("x"),
        );
        let head = |upgrade| {
            Head::Stream {
                upgrade,
                media_type: "a/b",
            }
            .bytes(&headers)
        };
        assert_eq!(
            head(true),
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: a/b\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nApi-Version: x\r\n\r\n"
        );
        assert_eq!(
            head(false),
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nApi-Version: x\r\n\r\n"
        );
        let accept = "key".to_owned();
        assert_eq!(
            Head::WebSocket { accept }.bytes(&headers),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: key\r\nApi-Version: x\r\n\r\n"
        );
    }
}
