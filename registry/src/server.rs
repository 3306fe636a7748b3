//! Connections: accepts them, as many as it may, and serves the registry on each.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::registry::Registry;
use crate::stall::Impatient;

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

/// Serves until `stop` is cancelled and the requests that were at work then are answered.
pub async fn serve(
    registry: Registry,
    listener: TcpListener,
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
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((socket, _)) => {
                let connection = connection(registry.clone(), socket, connections, stop.clone());
                tasks.spawn(async move {
                    let _place = place;
                    if let Err(error) = connection.await {
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
    drop(listener);
    tasks.close();
    if tokio::time::timeout(connections.grace, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(connections = tasks.len(), "requests were still at work");
    }
}

async fn connection(
    registry: Registry,
    socket: TcpStream,
    connections: Connections,
    stop: CancellationToken,
) -> io::Result<()> {
    // Answers are written whole; waiting for more would only delay them.
    socket.set_nodelay(true)?;
    let socket = Impatient::new(socket, connections.stall);
    let service = service_fn(|request| registry.clone().answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(connections.idle)
        .max_buf_size(BUFFER)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            end = connection.as_mut() => return end.map_err(io::Error::other),
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
