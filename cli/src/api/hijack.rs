//! Two-way streams: a POST that the daemon turns into a plain connection.

use std::io;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};

use super::transport::Transport;
use super::{Error, checked};

const CHUNK: usize = 32 * 1024;

/// How output travels on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// As it is: a terminal.
    Raw,
    /// In frames: see [`super::Demux`].
    Multiplexed,
}

impl StreamKind {
    /// What the headers say; daemons older than API 1.42 do not, then `tty` decides.
    pub(crate) fn of(headers: &HeaderMap, tty: bool) -> StreamKind {
        match headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
        {
            Some("application/vnd.docker.multiplexed-stream") => StreamKind::Multiplexed,
            _ if tty => StreamKind::Raw,
            // Early daemons call both kinds raw.
            _ => StreamKind::Multiplexed,
        }
    }
}

pub(crate) struct Hijacked {
    pub(crate) kind: StreamKind,
    pub(crate) reader: ReadHalf<TokioIo<Upgraded>>,
    pub(crate) writer: WriteHalf<TokioIo<Upgraded>>,
}

pub(super) async fn open(
    transport: &Transport,
    uri: String,
    body: Option<String>,
    tty: bool,
) -> Result<Hijacked, Error> {
    let content_type = if body.is_some() {
        "application/json"
    } else {
        "text/plain"
    };
    let mut request = Request::new(Full::new(Bytes::from(body.unwrap_or_default())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.parse().map_err(Error::uri)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    let response = checked(transport.send(request).await?).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::NotUpgraded {
            status: response.status().as_u16(),
        });
    }
    let kind = StreamKind::of(response.headers(), tty);
    let upgraded = hyper::upgrade::on(response).await?;
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    Ok(Hijacked {
        kind,
        reader,
        writer,
    })
}

/// Output in the pieces in which it arrives, from either kind of response.
pub(crate) enum Chunks {
    Hijacked {
        reader: ReadHalf<TokioIo<Upgraded>>,
        buffer: BytesMut,
    },
    Body(Incoming),
}

impl Chunks {
    pub(crate) fn hijacked(reader: ReadHalf<TokioIo<Upgraded>>) -> Chunks {
        Chunks::Hijacked {
            reader,
            buffer: BytesMut::with_capacity(CHUNK),
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Chunks::Hijacked { reader, buffer } => {
                buffer.reserve(CHUNK);
                match reader.read_buf(buffer).await {
                    Ok(0) => Ok(None),
                    Ok(_) => Ok(Some(buffer.split().freeze())),
                    // A daemon that closes with our input unread resets; what it sent is in.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
                    Err(source) => Err(Error::Stream { source }),
                }
            }
            Chunks::Body(body) => loop {
                match body.frame().await {
                    None => return Ok(None),
                    Some(frame) => {
                        if let Ok(data) = frame?.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            },
        }
    }
}
