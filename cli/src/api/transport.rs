//! One connection for each request.
//!
//! A local connection costs some tens of microseconds, less than a pool would need to look
//! after; and an attached stream, a wait and a resize have to be on connections of their own
//! anyhow.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Error;
use super::tls::Tls;

/// Docker's port for an API without TLS.
pub(crate) const PLAIN_PORT: u16 = 2375;
/// And with it.
pub(crate) const TLS_PORT: u16 = 2376;

/// Where a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

/// An address that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse hull host \"{text}\": use unix:///path/to/socket or tcp://host:port")]
pub(crate) struct EndpointError {
    text: String,
}

impl Endpoint {
    /// `port` is that of an address without one.
    pub(crate) fn parse(text: &str, port: u16) -> Result<Endpoint, EndpointError> {
        let bad = || EndpointError {
            text: text.to_owned(),
        };
        match text.trim().split_once("://") {
            Some(("unix", path)) if !path.is_empty() => Ok(Endpoint::Unix(path.into())),
            Some(("tcp" | "http", address)) => {
                let address = address.trim_end_matches('/');
                let given = address
                    .rsplit_once(':')
                    .map(|(_, port)| port.parse::<u16>());
                match (address.is_empty(), given) {
                    (false, Some(Ok(_))) => Ok(Endpoint::Tcp(address.to_owned())),
                    (false, None) => Ok(Endpoint::Tcp(format!("{address}:{port}"))),
                    _ => Err(bad()),
                }
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

#[derive(Debug, Clone)]
pub(super) struct Transport {
    endpoint: Arc<Endpoint>,
    /// For TCP; a local socket has none.
    tls: Option<Tls>,
}

impl Transport {
    pub(super) fn new(endpoint: Endpoint, tls: Option<Tls>) -> Transport {
        Transport {
            endpoint: Arc::new(endpoint),
            tls,
        }
    }

    /// Sends a request on a new connection; returns when the response's headers are there.
    pub(super) async fn send<B>(&self, mut request: Request<B>) -> Result<Response<Incoming>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>().map_err(Error::uri)?;
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static("hull"));
        let connection = self.connect().await?;
        let (mut sender, driver) = http1::handshake(TokioIo::new(connection)).await?;
        tokio::spawn(async move {
            // Whatever ends the connection early reaches the reader of the body as well.
            drop(driver.with_upgrades().await);
        });
        Ok(sender.send_request(request).await?)
    }

    async fn connect(&self) -> Result<Box<dyn Connection>, Error> {
        let refused = |source| self.refused(&source);
        Ok(match self.endpoint.as_ref() {
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(refused)?),
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(refused)?;
                stream.set_nodelay(true).map_err(refused)?;
                match &self.tls {
                    None => Box::new(stream),
                    Some(tls) => {
                        let agreed = tls.connect(address, stream).await;
                        Box::new(agreed.map_err(|source| Error::Tls {
                            host: self.endpoint.to_string(),
                            source,
                        })?)
                    }
                }
            }
        })
    }

    fn refused(&self, source: &io::Error) -> Error {
        let host = self.endpoint.to_string();
        match source.kind() {
            ErrorKind::PermissionDenied => Error::Denied { host },
            _ => Error::Unreachable { host },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        for (text, expected) in [
            (
                "unix:///run/hull/hull.sock",
                Some("unix:///run/hull/hull.sock"),
            ),
            ("tcp://127.0.0.1:2376", Some("tcp://127.0.0.1:2376")),
            ("tcp://example", Some("tcp://example:2375")),
            ("http://h:80/", Some("tcp://h:80")),
            ("unix://", None),
            ("tcp://", None),
            ("tcp://h:port", None),
            ("ssh://h", None),
            ("/run/hull.sock", None),
        ] {
            let read = Endpoint::parse(text, PLAIN_PORT)
                .ok()
                .map(|endpoint| endpoint.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
