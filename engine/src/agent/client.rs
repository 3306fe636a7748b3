//! Requests to the agent and their answers.
//!
//! One connection serves all callers at once. When it breaks, those that wait get
//! [`AgentFailure::Lost`], and the next call connects anew.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hull_protocol::VsockPort;
use hull_protocol::agent::{AgentError, Answer, Call, Reply, Request};
use hull_protocol::frame::{self, Decoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use super::AgentFailure;
use super::connect::connect;
use crate::time::Timestamp;

type Waiters = HashMap<u64, oneshot::Sender<Result<Answer, AgentError>>>;

/// Speaks to one VM's agent. Clones share the connection.
#[derive(Clone, Debug)]
pub(crate) struct AgentClient(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: PathBuf,
    /// Held while connecting: two callers do not connect twice.
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    /// `None` once the connection has ended.
    waiters: Arc<Mutex<Option<Waiters>>>,
    next_id: std::sync::atomic::AtomicU64,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl AgentClient {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self(Arc::new(Shared {
            socket,
            connection: tokio::sync::Mutex::new(None),
        }))
    }

    /// Connects if need be and says hello: the guest is up once this returns.
    pub(crate) async fn hello(&self, deadline: Duration) -> Result<(), AgentFailure> {
        within(deadline, self.connection()).await.map(drop)
    }

    /// Asks and waits for the answer, at most this long.
    pub(crate) async fn call(
        &self,
        call: Call,
        deadline: Duration,
    ) -> Result<Answer, AgentFailure> {
        let millis = u64::try_from(deadline.as_millis()).ok();
        within(deadline, self.ask(call, millis)).await
    }

    /// Asks for something that is done or refused.
    pub(crate) async fn order(&self, call: Call, deadline: Duration) -> Result<(), AgentFailure> {
        match self.call(call, deadline).await? {
            Answer::Done => Ok(()),
            _ => Err(AgentFailure::Unexpected),
        }
    }

    /// Asks and waits as long as it takes.
    pub(crate) async fn call_patiently(&self, call: Call) -> Result<Answer, AgentFailure> {
        self.ask(call, None).await
    }

    /// The socket by which the guest is reached.
    pub(crate) fn socket(&self) -> &std::path::Path {
        &self.0.socket
    }

    async fn ask(&self, call: Call, deadline_ms: Option<u64>) -> Result<Answer, AgentFailure> {
        let connection = self.connection().await?;
        connection.ask(call, deadline_ms).await
    }

    async fn connection(&self) -> Result<Arc<Connection>, AgentFailure> {
        let mut slot = self.0.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|c| c.is_open()) {
            return Ok(connection.clone());
        }
        let stream = connect(&self.0.socket, VsockPort::CONTROL)
            .await
            .map_err(AgentFailure::Unreachable)?;
        let (reader, writer) = stream.into_split();
        let waiters = Arc::new(Mutex::new(Some(Waiters::new())));
        let connection = Arc::new(Connection {
            writer: tokio::sync::Mutex::new(writer),
            waiters: waiters.clone(),
            next_id: 0.into(),
            reader: tokio::spawn(async move {
                if let Err(e) = read_replies(reader, &waiters).await {
                    tracing::debug!(error = %e, "the connection to an agent has ended");
                }
                // Their senders drop, so that every waiter learns.
                lock(&waiters).take();
            }),
        });
        connection.greet().await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }
}

impl Connection {
    fn is_open(&self) -> bool {
        lock(&self.waiters).is_some()
    }

    async fn greet(&self) -> Result<(), AgentFailure> {
        let mut seed = vec![0; 32];
        crate::random::fill(&mut seed).map_err(|e| AgentFailure::Unreachable(e.into()))?;
        let hello = Call::Hello {
            version: hull_protocol::VERSION,
            time: u64::try_from(Timestamp::now().0).unwrap_or_default(),
            seed,
        };
        match self.ask(hello, None).await? {
            Answer::Hello { version, .. } if version == hull_protocol::VERSION => Ok(()),
            _ => Err(AgentFailure::Unexpected),
        }
    }

    async fn ask(&self, call: Call, deadline_ms: Option<u64>) -> Result<Answer, AgentFailure> {
        let id = self
            .next_id
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let bytes = frame::encode(&Request {
            id,
            deadline_ms,
            call,
        })?;
        let (sender, receiver) = oneshot::channel();
        match lock(&self.waiters).as_mut() {
            Some(waiters) => waiters.insert(id, sender),
            None => return Err(AgentFailure::Lost),
        };
        // Who stops waiting leaves no entry behind.
        let _forget = Forget {
            waiters: &self.waiters,
            id,
        };
        self.writer
            .lock()
            .await
            .write_all(&bytes)
            .await
            .map_err(|_| AgentFailure::Lost)?;
        match receiver.await {
            Ok(answer) => answer.map_err(AgentFailure::Refused),
            Err(_) => Err(AgentFailure::Lost),
        }
    }
}

struct Forget<'a> {
    waiters: &'a Mutex<Option<Waiters>>,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(waiters) = lock(self.waiters).as_mut() {
            waiters.remove(&self.id);
        }
    }
}

async fn read_replies(
    mut reader: OwnedReadHalf,
    waiters: &Mutex<Option<Waiters>>,
) -> Result<(), AgentFailure> {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 16 << 10];
    loop {
        match reader
            .read(&mut buffer)
            .await
            .map_err(AgentFailure::Unreachable)?
        {
            0 => return Ok(()),
            n => decoder.push(&buffer[..n]),
        }
        while let Some(reply) = decoder.take::<Reply>()? {
            let waiter = lock(waiters).as_mut().and_then(|w| w.remove(&reply.id));
            if let Some(waiter) = waiter {
                // The caller may have stopped waiting.
                let _ = waiter.send(reply.result);
            }
        }
    }
}

fn lock(waiters: &Mutex<Option<Waiters>>) -> std::sync::MutexGuard<'_, Option<Waiters>> {
    waiters.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, AgentFailure>>,
) -> Result<T, AgentFailure> {
    match tokio::time::timeout(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(AgentFailure::Deadline(deadline)),
    }
}
