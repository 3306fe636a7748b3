//! What happens, told to whoever listens, as Docker's `/events`.

use std::collections::BTreeMap;

use tokio::sync::broadcast;

use crate::time::Timestamp;

/// How many events a slow listener may fall behind before it misses some.
const BACKLOG: usize = 1024;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `container` or `image`.
    pub kind: &'static str,
    /// `create`, `start`, `die`, `exec_create: sh`, …
    pub action: String,
    /// To whom: an id.
    pub actor: String,
    /// Name, image, labels, `exitCode`, …
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: Timestamp,
}

/// Where events are told.
#[derive(Clone, Debug)]
pub(crate) struct EventBus(broadcast::Sender<Event>);

impl EventBus {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }

    pub(crate) fn tell(&self, event: Event) {
        // Nobody listening is not a failure.
        let _ = self.0.send(event);
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        EventStream(self.0.subscribe())
    }
}

/// Events from the moment it was made.
#[derive(Debug)]
pub struct EventStream(broadcast::Receiver<Event>);

impl EventStream {
    /// The next event; `None` once the engine has closed.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a listener of events was too slow");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
