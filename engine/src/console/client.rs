//! Whoever is attached, and how far they may fall behind.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::api::{OutputFrame, StdStream};

/// How many bytes of output may wait for one client before the process is held back.
const WINDOW: usize = 1 << 20;
/// How many frames wait in the client's own channel.
const FRAMES: usize = 16;

/// One attached client, seen from the pump.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    frames: mpsc::UnboundedSender<(OutputFrame, Option<OwnedSemaphorePermit>)>,
    window: Arc<Semaphore>,
    stdout: bool,
    stderr: bool,
    gone: CancellationToken,
}

/// Whether a client may hold the process back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// While it runs.
    Wait,
    /// After its end: what is left is bounded by the guest's journal.
    Queue,
}

/// What a client gets before anything else.
pub(crate) type Prelude =
    Box<dyn FnOnce(mpsc::Sender<OutputFrame>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Makes a client and the end it reads from. `gone` is cancelled when either side has left.
pub(crate) fn client_pair(
    stdout: bool,
    stderr: bool,
    gone: &CancellationToken,
    prelude: Option<Prelude>,
) -> (Client, mpsc::Receiver<OutputFrame>) {
    let (frames, mut queue) =
        mpsc::unbounded_channel::<(OutputFrame, Option<OwnedSemaphorePermit>)>();
    let (sender, receiver) = mpsc::channel(FRAMES);
    let (leave, left) = (gone.clone().drop_guard(), gone.clone());
    tokio::spawn(async move {
        let _leave = leave;
        if let Some(prelude) = prelude {
            tokio::select! {
                () = prelude(sender.clone()) => {}
                () = sender.closed() => return,
                () = left.cancelled() => return,
            }
        }
        loop {
            let next = tokio::select! {
                next = queue.recv() => next,
                () = sender.closed() => None,
                () = left.cancelled() => None,
            };
            let Some((frame, permit)) = next else { return };
            if sender.send(frame).await.is_err() {
                return;
            }
            drop(permit);
        }
    });
    let window = Arc::new(Semaphore::new(WINDOW));
    (
        Client {
            frames,
            window,
            stdout,
            stderr,
            gone: gone.clone(),
        },
        receiver,
    )
}

impl Client {
    /// Hands over a frame; `false` once the client has left.
    pub(crate) async fn show(&self, stream: StdStream, bytes: &Bytes, patience: Patience) -> bool {
        let wanted = match stream {
            StdStream::Stdout => self.stdout,
            StdStream::Stderr => self.stderr,
        };
        if !wanted || bytes.is_empty() {
            return !self.gone.is_cancelled();
        }
        let permit = match patience {
            Patience::Queue => None,
            Patience::Wait => {
                let size = u32::try_from(bytes.len().min(WINDOW)).unwrap_or(u32::MAX);
                tokio::select! {
                    permit = self.window.clone().acquire_many_owned(size) => permit.ok(),
                    () = self.gone.cancelled() => return false,
                }
            }
        };
        self.frames
            .send((
                OutputFrame {
                    stream,
                    bytes: bytes.clone(),
                },
                permit,
            ))
            .is_ok()
    }

    pub(crate) fn has_left(&self) -> bool {
        self.gone.is_cancelled() || self.frames.is_closed()
    }
}

/// Everybody who is attached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audience(Vec<Client>);

impl Audience {
    pub(crate) fn join(&mut self, client: Client) {
        self.0.retain(|c| !c.has_left());
        self.0.push(client);
    }

    /// Lets everybody go; they still get what was shown to them.
    pub(crate) fn dismiss(&mut self) {
        self.0.clear();
    }

    /// Shows some output to all.
    pub(crate) async fn show(&self, stream: StdStream, bytes: &Bytes, patience: Patience) {
        for client in &self.0 {
            client.show(stream, bytes, patience).await;
        }
    }
}
