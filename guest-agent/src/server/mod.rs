//! Connections from the host: one thread each, few at a time.
//!
//! What arrives may be anything. A frame that makes no sense ends its connection and nothing else.

mod control;
mod stream;

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hull_protocol::frame;
use serde::de::DeserializeOwned;

use crate::agent::Agent;
use crate::{files, thread};

/// The most connections at once, of all kinds.
const MAX_CONNECTIONS: usize = 128;
/// How long a new connection may take to say what it wants.
const OPENING: Duration = Duration::from_secs(10);

/// Which port a connection came in at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Requests and replies.
    Control,
    /// Stdio of one process.
    Stream,
    /// An archive of the container's files.
    Files,
}

/// Serves connections for one agent.
#[derive(Clone)]
pub struct Server {
    agent: Arc<Agent>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// A server without connections.
    pub fn new(agent: Agent) -> Self {
        Self {
            agent: Arc::new(agent),
            connections: Arc::default(),
        }
    }

    /// Serves one connection on a thread of its own. Over the limit it is closed at once.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn accept(&self, port: Port, connection: UnixStream) -> io::Result<()> {
        let Some(slot) = Slot::take(&self.connections, MAX_CONNECTIONS) else {
            return Ok(());
        };
        let agent = self.agent.clone();
        thread::spawn("connection", move || {
            match port {
                Port::Control => control::serve(&agent, connection),
                Port::Stream => stream::serve(&agent, &connection),
                Port::Files => files::serve(&agent, &connection),
            }
            drop(slot);
        })?;
        Ok(())
    }
}

/// What a new connection is for: its first frame, if it comes in time.
pub(crate) fn opening<T: DeserializeOwned>(mut connection: &UnixStream) -> io::Result<T> {
    connection.set_read_timeout(Some(OPENING))?;
    let open = frame::read(&mut connection)?;
    connection.set_read_timeout(None)?;
    Ok(open)
}

/// One of a limited number, given back when dropped.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(count: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let add = |n: usize| (n < most).then_some(n + 1);
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add)
            .ok()?;
        Some(Self(count.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
