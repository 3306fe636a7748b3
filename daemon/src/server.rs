//! Connections: hyper around the route table, and what it takes to get a connection back from
//! hyper when a handler wants it raw.
//!
//! A connection's `gone` token is cancelled when its client has left or the server ends; streams
//! break off then. A handler that is at work is left to finish: a `stop` whose client lost
//! patience still stops.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request as HttpRequest, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::body::{self, Body, Upload};
use crate::http::hijack::{Hijack, RawConnection};
use crate::http::query::Query;
use crate::http::route::{Matched, Router};
use crate::http::version::ApiVersion;
use crate::http::{ApiError, Reply, Request};
use crate::listen::Listener;
use crate::peer;
use crate::tls::Acceptor;

/// How long a client may take to show who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many may be at it at once.
const MOST_HANDSHAKES: usize = 256;
/// How long handlers at work may take when the server ends.
const GRACE: Duration = Duration::from_secs(5);

/// Serves one route table on any number of sockets.
pub(crate) struct Server<App> {
    router: Arc<Router<App>>,
    app: App,
}

impl<App: Clone + Send + Sync + 'static> Server<App> {
    pub(crate) fn new(app: App, router: Router<App>) -> Self {
        Self {
            router: Arc::new(router),
            app,
        }
    }

    /// Accepts until `stop` is cancelled, then lets handlers finish and cuts streams off.
    pub(crate) async fn serve(self, listeners: Vec<Listener>, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let server = Arc::new(self);
        for listener in listeners {
            let accepting = accept(server.clone(), listener, tasks.clone(), stop.clone());
            tasks.spawn(accepting);
        }
        stop.cancelled().await;
        tasks.close();
        if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
            tracing::warn!(connections = tasks.len(), "requests were still at work");
        }
    }

    /// Serves one connection; `hung_up` completes when its client has left.
    async fn connection(
        &self,
        socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        hung_up: impl Future<Output = io::Result<()>> + Send,
        stop: CancellationToken,
    ) {
        let gone = stop.child_token();
        let (taken, mut hijacks) = mpsc::channel(1);
        let service = service_fn(|request| self.answer(request, gone.clone(), taken.clone()));
        let mut connection = http1::Builder::new()
            .half_close(true)
            .title_case_headers(true)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(socket), service);

        let watch = async {
            let end = hung_up.await;
            gone.cancel();
            end
        };
        tokio::pin!(watch);
        let (mut watching, mut stopping) = (true, false);
        let hijack = loop {
            tokio::select! {
                biased;
                end = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                    if let Err(error) = end {
                        tracing::debug!(%error, "a connection broke");
                    }
                    return;
                }
                Some(hijack) = hijacks.recv() => break hijack,
                _ = &mut watch, if watching => watching = false,
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        let parts = connection.into_parts();
        let (reader, writer) = tokio::io::split(parts.io.into_inner());
        let raw = RawConnection {
            reader: Box::new(std::io::Cursor::new(parts.read_buf).chain(reader)),
            writer: Box::new(writer),
            gone: gone.clone(),
        };
        let headers = shared_headers();
        let session = hijack.run(&headers, raw);
        tokio::pin!(session);
        loop {
            tokio::select! {
                () = &mut session => return,
                _ = &mut watch, if watching => watching = false,
            }
        }
    }

    /// Answers one request; never returns where the answer takes the connection.
    fn answer(
        &self,
        request: HttpRequest<Incoming>,
        gone: CancellationToken,
        taken: mpsc::Sender<Hijack>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>> {
        let (router, app) = (self.router.clone(), self.app.clone());
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            tracing::debug!(method = %parts.method, path = parts.uri.path(), "request");
            if parts.method == Method::OPTIONS {
                // Of any path, as in Docker.
                let mut response = Response::new(body::empty());
                response.headers_mut().extend(shared_headers());
                return Ok(response);
            }
            let Some(route) = router.find(&parts.method, parts.uri.path()) else {
                return Ok(ApiError::page_not_found().into());
            };
            let query = Query::parse(parts.uri.query());
            let spoken = route.version.is_none_or(|version| version.check().is_ok());
            let mut response = match dispatch(route, app, query, parts.headers, body, gone).await {
                Ok(Reply::Http(response)) => response,
                Ok(Reply::Hijack(hijack)) => {
                    // The connection's task takes it up, and this future with it.
                    let _ = taken.send(hijack).await;
                    return std::future::pending().await;
                }
                Err(error) => {
                    let (status, message) = (error.status.as_u16(), error.message.as_str());
                    tracing::debug!(status, message, path = parts.uri.path(), "refused");
                    error.into()
                }
            };
            for (name, value) in &shared_headers() {
                // Who speaks another API is told only which one this is.
                if spoken || name != EXPERIMENTAL {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            Ok(response)
        })
    }
}

async fn dispatch<App>(
    route: Matched<'_, App>,
    app: App,
    query: Query,
    headers: HeaderMap,
    body: Incoming,
    gone: CancellationToken,
) -> Result<Reply, ApiError> {
    let body = Upload::begin(body)
        .await
        .map_err(|e| ApiError::bad_request(format!("failed to read request body: {e}")))?;
    let version = route.version.unwrap_or(ApiVersion::MAX).check()?;
    let request = Request {
        params: route.params,
        query,
        headers,
        body,
        version,
        gone,
    };
    (route.handler)(app, request).await
}

async fn accept<App: Clone + Send + Sync + 'static>(
    server: Arc<Server<App>>,
    listener: Listener,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let handshakes = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    loop {
        let accepted = tokio::select! {
            accepted = next(&listener) => accepted,
            () = stop.cancelled() => return,
        };
        let watched = accepted.and_then(|socket| Ok((socket.hung_up()?, socket)));
        match watched {
            Ok((hung_up, socket)) => {
                let (server, stop) = (server.clone(), stop.clone());
                let handshakes = handshakes.clone();
                tasks.spawn(async move {
                    match socket {
                        Socket::Unix(socket) => server.connection(socket, hung_up, stop).await,
                        Socket::Tls(socket, acceptor) => {
                            if let Some(socket) = greet(socket, &acceptor, &handshakes).await {
                                server.connection(socket, hung_up, stop).await;
                            }
                        }
                    }
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: give connections a moment to end.
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A connection that nothing has been said on.
enum Socket {
    Unix(UnixStream),
    Tls(TcpStream, Acceptor),
}

impl Socket {
    fn hung_up(&self) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
        match self {
            Self::Unix(socket) => peer::hung_up(socket.as_fd()),
            Self::Tls(socket, _) => peer::hung_up(socket.as_fd()),
        }
    }
}

async fn next(listener: &Listener) -> io::Result<Socket> {
    match listener {
        Listener::Unix(unix) => Ok(Socket::Unix(unix.socket.accept().await?.0)),
        Listener::Tls(socket, acceptor) => {
            let (socket, _) = socket.accept().await?;
            socket.set_nodelay(true)?;
            Ok(Socket::Tls(socket, acceptor.clone()))
        }
    }
}

/// The handshake, which anyone may begin: bounded in time and in number.
async fn greet(
    socket: TcpStream,
    acceptor: &Acceptor,
    handshakes: &Semaphore,
) -> Option<TlsStream<TcpStream>> {
    let peer = socket.peer_addr().ok();
    let Ok(_turn) = handshakes.try_acquire() else {
        tracing::debug!(?peer, "too many clients are being greeted");
        return None;
    };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
        Ok(Ok(socket)) => Some(socket),
        Ok(Err(error)) => {
            tracing::debug!(?peer, %error, "a client may not be served");
            None
        }
        Err(_) => None,
    }
}

const EXPERIMENTAL: &str = "docker-experimental";

/// On every answer of a known route, errors too.
fn shared_headers() -> HeaderMap {
    let server = concat!("Hull/", env!("CARGO_PKG_VERSION"), " (linux)");
    [
        (HeaderName::from_static("api-version"), "1.51"),
        (HeaderName::from_static(EXPERIMENTAL), "false"),
        (HeaderName::from_static("ostype"), "linux"),
        (SERVER, server),
    ]
    .into_iter()
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
    .collect()
}

#[cfg(test)]
mod tests;
