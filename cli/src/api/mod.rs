//! The daemon's API, as the verbs need it.
//!
//! Calls that ask and get an answer go through `bollard`. What it cannot express is spoken
//! here, over the same transport: hijacked streams (its decoder guesses from the first byte
//! whether a stream is framed, which a terminal's output can fool), `wait` whose headers
//! matter before its body, and answers that are shown exactly as the daemon sent them.

mod error;
mod escape;
mod files;
mod frames;
mod hijack;
mod lines;
mod registry;
mod tls;
mod transport;

use bollard::{ClientVersion, Docker};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response};
use serde::Deserialize;

pub(crate) use error::Error;
pub(crate) use escape::{path as path_escape, query as query_escape};
pub(crate) use files::path_stat;
pub(crate) use frames::{Channel, Demux};
pub(crate) use hijack::{Chunks, Hijacked, StreamKind};
pub(crate) use lines::{JsonLines, Message, Progress};
pub(crate) use tls::{Tls, TlsFiles};
use transport::Transport;
pub(crate) use transport::{Endpoint, PLAIN_PORT, TLS_PORT};

/// The newest API this client speaks; an older daemon is met at its own.
const NEWEST: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 51,
};

/// Long waits are the daemon's business: `stop` alone may take any time a user asks for.
const NO_TIMEOUT_SECONDS: u64 = 10 * 365 * 24 * 3600;

pub(crate) type Query<'a> = &'a [(&'a str, &'a str)];

/// A connection to a daemon that has answered a ping.
pub(crate) struct Client {
    docker: Docker,
    transport: Transport,
    version: ClientVersion,
}

/// What ended a container, as `wait` reports it.
#[derive(Debug, Deserialize)]
pub(crate) struct Exit {
    #[serde(rename = "StatusCode")]
    pub(crate) status: i64,
    #[serde(rename = "Error", default)]
    error: Option<ExitError>,
}

#[derive(Debug, Deserialize)]
struct ExitError {
    #[serde(rename = "Message", default)]
    message: String,
}

/// Until when `wait` waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WaitFor {
    NotRunning,
    NextExit,
    Removed,
}

impl WaitFor {
    fn condition(self) -> &'static str {
        match self {
            WaitFor::NotRunning => "not-running",
            WaitFor::NextExit => "next-exit",
            WaitFor::Removed => "removed",
        }
    }
}

/// A wait that the daemon has taken on; its answer comes later.
pub(crate) struct Waiting {
    response: Response<Incoming>,
}

impl Waiting {
    pub(crate) async fn exit(self) -> Result<Exit, Error> {
        let exit: Exit = decode(&collect(self.response).await?)?;
        match exit.error {
            Some(ExitError { message }) if !message.is_empty() => Err(Error::Wait { message }),
            _ => Ok(exit),
        }
    }
}

impl Client {
    /// Pings the daemon at `endpoint` and agrees on an API version with it.
    pub(crate) async fn connect(endpoint: Endpoint, tls: Option<Tls>) -> Result<Client, Error> {
        let transport = Transport::new(endpoint, tls);
        let ping = empty(Method::GET, "/_ping");
        let response = transport.send(ping).await?;
        let version = response
            .headers()
            .get("api-version")
            .and_then(|version| version.to_str().ok())
            .and_then(parse_version)
            .filter(|version| (version.major_version, version.minor_version) < (1, 51))
            .unwrap_or(NEWEST);
        checked(response).await?;
        let through = transport.clone();
        let docker = Docker::connect_with_custom_transport(
            move |request| {
                let transport = through.clone();
                async move { transport.send(request).await.map_err(Error::into_bollard) }
            },
            Some("http://hull"),
            NO_TIMEOUT_SECONDS,
            &version,
        )?;
        Ok(Client {
            docker,
            transport,
            version,
        })
    }

    /// The typed client, for calls that ask and get an answer.
    pub(crate) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The API version agreed on.
    pub(crate) fn api_version(&self) -> String {
        format!(
            "{}.{}",
            self.version.major_version, self.version.minor_version
        )
    }

    /// What the daemon answers to a GET, word for word.
    pub(crate) async fn get(&self, path: &str, query: Query<'_>) -> Result<String, Error> {
        let response = self
            .send(empty(Method::GET, &self.uri(path, query)))
            .await?;
        let body = collect(response).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// A GET whose answer is decoded into `T`.
    pub(crate) async fn get_as<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, Error> {
        let response = self
            .send(empty(Method::GET, &self.uri(path, query)))
            .await?;
        decode(&collect(response).await?)
    }

    /// A POST of JSON whose answer is decoded into `T`.
    pub(crate) async fn post_as<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Error> {
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(path, &[]).parse().map_err(Error::uri)?;
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        decode(&collect(self.send(request).await?).await?)
    }

    /// A GET whose answer is a stream.
    pub(crate) async fn stream(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<Response<Incoming>, Error> {
        self.send(empty(Method::GET, &self.uri(path, query))).await
    }

    /// A GET whose answer is a stream of JSON lines.
    pub(crate) async fn get_lines(&self, path: &str, query: Query<'_>) -> Result<JsonLines, Error> {
        Ok(JsonLines::new(self.stream(path, query).await?.into_body()))
    }

    /// A POST of `body` whose answer is a stream of JSON lines.
    pub(crate) async fn post_lines<B>(
        &self,
        path: &str,
        query: Query<'_>,
        content_type: &'static str,
        body: B,
    ) -> Result<JsonLines, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(path, query).parse().map_err(Error::uri)?;
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Ok(JsonLines::new(self.send(request).await?.into_body()))
    }

    /// Starts a wait; when this returns, no exit can be missed any more.
    pub(crate) async fn wait(&self, id: &str, until: WaitFor) -> Result<Waiting, Error> {
        let path = format!("/containers/{}/wait", path_escape(id));
        let uri = self.uri(&path, &[("condition", until.condition())]);
        Ok(Waiting {
            response: self.send(empty(Method::POST, &uri)).await?,
        })
    }

    /// Turns a POST into a two-way stream. `tty` says how to read it where the daemon doesn't.
    pub(crate) async fn hijack(
        &self,
        path: &str,
        query: Query<'_>,
        body: Option<String>,
        tty: bool,
    ) -> Result<Hijacked, Error> {
        hijack::open(&self.transport, self.uri(path, query), body, tty).await
    }

    async fn send<B>(&self, request: Request<B>) -> Result<Response<Incoming>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        checked(self.transport.send(request).await?).await
    }

    fn uri(&self, path: &str, query: Query<'_>) -> String {
        let mut uri = format!("/v{}{path}", self.api_version());
        for (index, (key, value)) in query.iter().enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            uri.push_str(key);
            uri.push('=');
            uri.push_str(&query_escape(value));
        }
        uri
    }
}

fn empty(method: Method, uri: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.method_mut() = method;
    // Every part of a path that came from outside has been escaped.
    *request.uri_mut() = uri.parse().unwrap_or_default();
    request
}

/// The response if it is a success, its message as an error if not.
async fn checked(response: Response<Incoming>) -> Result<Response<Incoming>, Error> {
    let status = response.status();
    if status.is_success() || status.is_informational() || status == 304 {
        return Ok(response);
    }
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let body = collect(response).await?;
    let message = match serde_json::from_slice::<Message>(&body) {
        Ok(Message { message }) => message,
        Err(_) => String::from_utf8_lossy(&body).trim_end().to_owned(),
    };
    Err(Error::Daemon {
        status: status.as_u16(),
        message,
    })
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, Error> {
    Ok(response.into_body().collect().await?.to_bytes())
}

fn decode<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|source| Error::Decode { source })
}

fn parse_version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    })
}
