//! Connections: accepts them, as many as it may, and serves the registry on each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::registry::Registry;
use crate::stall::Impatient;
use crate::tls::{Identity, TlsError};

/// What connections may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// As many at once; more wait to be accepted.
    pub most: usize,
    /// For a request's head, and for a new request to begin.
    pub idle: Duration,
    /// For a client to take anything of an answer.
    pub stall: Duration,
    /// For requests at work when the server ends.
    pub grace: Duration,
}

impl Default for Connections {
    fn default() -> Connections {
        Connections {
            most: 1024,
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// The most that is read ahead of a connection: with what waits for the disk, what a client can
/// make the server hold.
const BUFFER: usize = 128 << 10;

/// Where clients connect.
pub struct Listening {
    listener: TcpListener,
    identity: Option<Identity>,
}

impl Listening {
    /// Without TLS.
    pub fn plain(listener: TcpListener) -> Listening {
        Listening {
            listener,
            identity: None,
        }
    }

    /// With TLS.
    pub fn secure(listener: TcpListener, files: &config::Tls) -> Result<Listening, TlsError> {
        Ok(Listening {
            listener,
            identity: Some(Identity::open(files)?),
        })
    }

    pub fn is_secure(&self) -> bool {
        self.identity.is_some()
    }
}

/// Serves until `stop` is cancelled and the requests that were at work then are answered.
pub async fn serve(
    registry: Registry,
    listening: Listening,
    connections: Connections,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let places = Arc::new(Semaphore::new(connections.most));
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listening.listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                let acceptor = listening.identity.as_ref().map(Identity::acceptor);
                let (registry, stop) = (registry.clone(), stop.clone());
                let connection = Connection {
                    registry,
                    peer,
                    connections,
                    stop,
                };
                tasks.spawn(async move {
                    let _place = place;
                    if let Err(error) = connection.run(socket, acceptor).await {
                        tracing::debug!(%error, "a connection broke");
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
    drop(listening);
    tasks.close();
    if tokio::time::timeout(connections.grace, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(connections = tasks.len(), "requests were still at work");
    }
}

struct Connection {
    registry: Registry,
    peer: SocketAddr,
    connections: Connections,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, socket: TcpStream, acceptor: Option<TlsAcceptor>) -> io::Result<()> {
        // Answers are written whole; waiting for more would only delay them.
        socket.set_nodelay(true)?;
        let socket = Impatient::new(socket, self.connections.stall);
        let Some(acceptor) = acceptor else {
            return self.serve(socket).await;
        };
        let greeting = tokio::time::timeout(self.connections.idle, acceptor.accept(socket));
        let socket = tokio::select! {
            greeted = greeting => greeted.map_err(io::Error::from)??,
            () = self.stop.cancelled() => return Ok(()),
        };
        self.serve(socket).await
    }

    async fn serve(
        self,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<()> {
        let service = service_fn(|request| self.registry.clone().answer(request, self.peer));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.connections.idle)
            .max_buf_size(BUFFER)
            .title_case_headers(true)
            .serve_connection(TokioIo::new(socket), service);
        tokio::pin!(connection);
        let mut stopping = false;
        loop {
            tokio::select! {
                end = connection.as_mut() => return end.map_err(io::Error::other),
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
