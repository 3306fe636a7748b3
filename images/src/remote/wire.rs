//! Requests as they go out and answers as they come in: no authorisation, no second try.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::ToSocketAddrs;
use std::sync::{Mutex, PoisonError};

use ureq::http::header::CONTENT_LENGTH;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use ureq::{Agent, Body, Proxy, SendBody, Timeout};

use super::endpoint::{Endpoint, is_here, split_port};
use super::error::clean;
use super::{Cancel, Remote, RemoteError, tls};

/// Of all of an answer's headers.
const MAX_HEADERS: usize = 64 << 10;
/// Of a failure's body.
const MAX_COMPLAINT: u64 = 64 << 10;

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) payload: Payload<'a>,
}

/// What goes with a request.
pub(crate) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    Stream {
        open: &'a dyn Fn() -> io::Result<Box<dyn Read + 'a>>,
        length: u64,
    },
}

impl Call<'static> {
    pub(crate) fn new(method: Method, url: impl Into<String>) -> Call<'static> {
        Call {
            method,
            url: url.into(),
            headers: Vec::new(),
            payload: Payload::None,
        }
    }
}

impl<'a> Call<'a> {
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Call<'a> {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn with<'b>(self, payload: Payload<'b>) -> Call<'b> {
        Call {
            method: self.method,
            url: self.url,
            headers: self.headers,
            payload,
        }
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) url: String,
    response: Response<Body>,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The whole body, if it is no longer than `limit`.
    pub(crate) fn bytes(self, limit: u64) -> Result<Vec<u8>, RemoteError> {
        let mut bytes = Vec::new();
        let reader = self.response.into_body().into_reader();
        // One more byte than there may be tells that there are more.
        let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        if let Err(error) = read {
            return Err(RemoteError::Unreachable {
                method: "Get",
                url: self.url,
                cause: body_cause(error),
            });
        }
        match bytes.len() as u64 > limit {
            true => Err(RemoteError::TooLong {
                url: self.url,
                limit,
            }),
            false => Ok(bytes),
        }
    }

    /// As much of a failure's body as is looked at. It may break off: it is a failure anyway.
    pub(crate) fn complaint_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let reader = self.response.into_body().into_reader();
        let _broken_off = reader.take(MAX_COMPLAINT).read_to_end(&mut bytes);
        bytes
    }

    pub(crate) fn reader(self) -> Box<dyn Read + Send> {
        Box::new(self.response.into_body().into_reader())
    }
}

/// Sends requests; one agent a host, each with what is trusted there.
pub(crate) struct Wire {
    remote: Remote,
    endpoint: Endpoint,
    cancel: Cancel,
    agents: Mutex<HashMap<String, Agent>>,
}

impl Wire {
    pub(crate) fn new(remote: &Remote, endpoint: &Endpoint, cancel: &Cancel) -> Wire {
        Wire {
            remote: remote.clone(),
            endpoint: endpoint.clone(),
            cancel: cancel.clone(),
            agents: Mutex::default(),
        }
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(crate) fn run(
        &self,
        call: &Call<'_>,
        authorization: Option<&str>,
    ) -> Result<Answer, RemoteError> {
        if self.cancel.is_cancelled() {
            return Err(RemoteError::Cancelled);
        }
        let nonsense = |why: String| RemoteError::Nonsense {
            url: call.url.clone(),
            why,
        };
        let uri: Uri = call
            .url
            .parse()
            .map_err(|error| nonsense(format!("not an address: {error}")))?;
        let agent = self.agent(&uri).map_err(|error| match error {
            Missing::Host => nonsense("not an address: it has no host".to_owned()),
            Missing::Trust(error) => error,
        })?;
        let mut request = Request::builder().method(call.method.clone()).uri(uri);
        let headers = call.headers.iter().map(|(name, value)| (name, &**value));
        let authorization = authorization.map(|value| (&ureq::http::header::AUTHORIZATION, value));
        for (name, value) in headers.chain(authorization) {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| nonsense(format!("header {name} cannot have that value")))?;
            value.set_sensitive(*name == ureq::http::header::AUTHORIZATION);
            request = request.header(name, value);
        }
        let invalid = |error: ureq::http::Error| nonsense(error.to_string());
        let outcome = match &call.payload {
            Payload::None => agent.run(request.body(()).map_err(invalid)?),
            Payload::Bytes(bytes) if call.method == Method::PUT => {
                let answer = Some(self.remote.options.patience.answer);
                let request = agent.configure_request(request.body(*bytes).map_err(invalid)?);
                let patient = request
                    .timeout_recv_response(answer)
                    .timeout_per_read(answer);
                agent.run(patient.build())
            }
            Payload::Bytes(bytes) => agent.run(request.body(*bytes).map_err(invalid)?),
            Payload::Stream { open, length } => {
                let mut reader = open().map_err(|error| nonsense(error.to_string()))?;
                let request = request.header(CONTENT_LENGTH, *length);
                let body = SendBody::from_reader(&mut reader);
                agent.run(request.body(body).map_err(invalid)?)
            }
        };
        match outcome {
            Ok(response) => Ok(Answer {
                url: call.url.clone(),
                response,
            }),
            Err(_) if self.cancel.is_cancelled() => Err(RemoteError::Cancelled),
            Err(error) => Err(RemoteError::Unreachable {
                method: word(&call.method),
                url: call.url.clone(),
                cause: cause(&error, &call.url),
            }),
        }
    }

    fn agent(&self, uri: &Uri) -> Result<Agent, Missing> {
        let host = uri.authority().ok_or(Missing::Host)?.as_str();
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(host) {
            return Ok(agent.clone());
        }
        // A token server or a store of blobs is trusted by its own name, not by the registry's.
        let endpoint = match host == self.endpoint.host {
            true => self.endpoint.clone(),
            false => Endpoint {
                base: String::new(),
                host: host.to_owned(),
                verified: !self.remote.is_insecure(host),
                mirror: false,
            },
        };
        let options = &self.remote.options;
        let tls = tls::config(&endpoint, &options.certificates).map_err(Missing::Trust)?;
        let patience = &options.patience;
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEADERS)
            .user_agent(options.user_agent.as_str())
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.idle))
            .timeout_per_read(Some(patience.idle))
            .timeout_per_write(Some(patience.idle))
            .tls_config(tls)
            .proxy(proxy(host).filter(|_| options.proxies))
            .build()
            .into();
        self.cancel.covers(&agent);
        agents.insert(host.to_owned(), agent.clone());
        Ok(agent)
    }
}

/// What the environment names (`HTTPS_PROXY`, `NO_PROXY`); this machine is asked directly.
pub(crate) fn proxy(host: &str) -> Option<Proxy> {
    match is_here(host) {
        true => None,
        false => Proxy::try_from_env(),
    }
}

enum Missing {
    Host,
    Trust(RemoteError),
}

/// As Go writes methods in its errors.
pub(crate) fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "Get",
        Method::HEAD => "Head",
        Method::POST => "Post",
        Method::PUT => "Put",
        Method::PATCH => "Patch",
        _ => "Delete",
    }
}

/// Why a body broke off, shortly.
pub(crate) fn body_cause(error: io::Error) -> String {
    match ureq::Error::from(error) {
        ureq::Error::Timeout(_) => "net/http: timeout awaiting response body".to_owned(),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "unexpected EOF".to_owned()
        }
        error => clean(&error.to_string()),
    }
}

/// The words that Go's client has for it, which people search for.
pub(super) fn cause(error: &ureq::Error, url: &str) -> String {
    match error {
        ureq::Error::HostNotFound => no_such_host(url),
        ureq::Error::Timeout(Timeout::Resolve) => {
            format!("dial tcp: lookup {}: i/o timeout", name(url))
        }
        ureq::Error::Timeout(Timeout::Connect) => format!("dial tcp{}: i/o timeout", address(url)),
        ureq::Error::Timeout(_) => "net/http: timeout awaiting response headers".to_owned(),
        ureq::Error::Rustls(error) => tls_cause(error),
        ureq::Error::Io(error) => io_cause(error, url),
        other => clean(&other.to_string()),
    }
}

fn io_cause(error: &io::Error, url: &str) -> String {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_cause(error);
    }
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::UnexpectedEof => return "EOF".to_owned(),
        io::ErrorKind::ConnectionReset => return "read: connection reset by peer".to_owned(),
        // The resolver's failures have no kind of their own.
        _ if error.raw_os_error().is_none() && address(url).is_empty() => {
            return no_such_host(url);
        }
        _ => return clean(&error.to_string()),
    };
    format!("dial tcp{}: connect: {reason}", address(url))
}

fn tls_cause(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    let x509 = |why: &str| format!("tls: failed to verify certificate: x509: {why}");
    match error {
        Error::InvalidMessage(_) => "http: server gave HTTP response to HTTPS client".to_owned(),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            x509("certificate signed by unknown authority")
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => x509("certificate has expired or is not yet valid"),
        Error::InvalidCertificate(why) => x509(&why.to_string()),
        other => format!("tls: {other}"),
    }
}

fn no_such_host(url: &str) -> String {
    format!("dial tcp: lookup {}: no such host", name(url))
}

fn name(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.and_then(|uri| Some(uri.host()?.to_owned()));
    host.unwrap_or_default()
}

/// ` 127.0.0.1:5000`: the address that was tried first.
fn address(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else {
        return String::new();
    };
    let usual = if uri.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let (name, port) = split_port(authority);
    let found = (name, port.unwrap_or(usual)).to_socket_addrs();
    let first = found.ok().and_then(|mut found| found.next());
    first.map(|first| format!(" {first}")).unwrap_or_default()
}
