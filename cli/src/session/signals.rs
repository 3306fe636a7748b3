//! What signals to this process mean while it is tied to a container.
//!
//! With a signal proxy they are the container's. Without one they mean what they always do,
//! except that a terminal in raw mode has to be given back first.

use std::future::pending;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use bollard::query_parameters::KillContainerOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::Client;
use crate::failure::Failure;

/// Those that are passed on: all that a user or a supervisor sends. SIGWINCH is the size,
/// SIGCHLD and SIGPIPE are about this process.
const PROXIED: [(i32, &str); 9] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (18, "CONT"),
    (20, "TSTP"),
];

/// Interrupts after which this process ends whatever the container does.
const PATIENCE: u8 = 3;

const FATAL: [(i32, &str); 4] = [(1, "HUP"), (2, "INT"), (3, "QUIT"), (15, "TERM")];

/// Signals that have been taken over from their default action.
pub(crate) struct Caught {
    received: mpsc::UnboundedReceiver<(i32, &'static str)>,
    _watchers: JoinSet<()>,
}

impl Caught {
    /// Those that are meant for the container.
    pub(crate) fn proxied() -> Caught {
        Caught::new(PROXIED.iter())
    }

    /// Those that would end this process.
    pub(crate) fn fatal() -> Caught {
        Caught::new(FATAL.iter())
    }

    fn new(signals: impl Iterator<Item = &'static (i32, &'static str)>) -> Caught {
        let (sender, received) = mpsc::unbounded_channel();
        let mut watchers = JoinSet::new();
        for caught in signals.copied() {
            // One that cannot be caught keeps its default action.
            let Ok(mut stream) = signal(SignalKind::from_raw(caught.0)) else {
                continue;
            };
            let sender = sender.clone();
            watchers.spawn(async move {
                while stream.recv().await.is_some() && sender.send(caught).is_ok() {}
            });
        }
        Caught {
            received,
            _watchers: watchers,
        }
    }

    /// Sends each to the container. One that comes too early or too late is refused by the
    /// daemon, which is what Docker makes of it as well.
    ///
    /// Returns only for a user who insists: a container that does not listen, or a daemon
    /// that does not answer, must not hold the terminal for ever.
    pub(crate) async fn forward(mut self, client: &Client, container: &str) -> Failure {
        let mut insisted = 0;
        let mut sending = FuturesUnordered::new();
        loop {
            tokio::select! {
                received = self.received.recv() => {
                    let Some((_, name)) = received else { return pending().await };
                    insisted += u8::from(matches!(name, "INT" | "TERM"));
                    if insisted == PATIENCE {
                        return Failure::new("\ngot 3 SIGTERM/SIGINTs, forcefully exiting");
                    }
                    let options = KillContainerOptions { signal: name.to_owned() };
                    sending.push(client.docker().kill_container(container, Some(options)));
                }
                Some(_refused_or_not) = sending.next() => {}
            }
        }
    }

    /// The status of a process that the first of them ended.
    pub(crate) async fn status(mut self) -> u8 {
        match self.received.recv().await {
            Some((number, _)) => 128_u8.saturating_add(u8::try_from(number).unwrap_or(0)),
            None => pending().await,
        }
    }
}
