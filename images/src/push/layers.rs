//! An image's layers on their way out: five at a time, each blob once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::digest::{DiffId, Digest};
use crate::manifest::Descriptor;
use crate::remote::{Connection, RemoteError, Upload, Uploaded};
use crate::store::Inner;
use crate::transfer::{Audience, Pace, Transfer, Up};

use super::PushError;

/// As many as dockerd.
pub(super) const AT_ONCE: usize = 5;

/// What to send, and where.
pub(super) struct Send<'a> {
    pub(super) store: &'a Inner,
    pub(super) connection: &'a Connection,
    pub(super) path: &'a str,
    /// Bottom first, as many as `diffs` and `sources`.
    pub(super) layers: &'a [Descriptor],
    pub(super) diffs: &'a [DiffId],
    pub(super) sources: &'a [Option<String>],
    pub(super) audience: Audience<'a>,
}

/// A layer that waits, and where it may be mounted from.
#[derive(Clone, Copy)]
struct Waiting<'a> {
    layer: &'a Descriptor,
    diff: DiffId,
    from: Option<&'a str>,
}

struct State<'a> {
    /// The next one last.
    queue: Vec<Waiting<'a>>,
    failure: Option<RemoteError>,
}

pub(super) fn send(send: &Send<'_>) -> Result<(), PushError> {
    // The topmost first, as dockerd shows them.
    let mut unique: BTreeMap<Digest, ()> = BTreeMap::new();
    let mut queue: Vec<Waiting<'_>> = Vec::new();
    let described = send.layers.iter().zip(send.diffs).zip(send.sources).rev();
    for ((layer, diff), from) in described {
        if unique.insert(layer.digest, ()).is_some() {
            continue;
        }
        send.tell(*diff, Up::Preparing);
        queue.push(Waiting {
            layer,
            diff: *diff,
            from: from.as_deref(),
        });
    }
    for waiting in queue.iter().skip(AT_ONCE) {
        send.tell(waiting.diff, Up::Waiting);
    }
    queue.reverse();
    let workers = AT_ONCE.min(queue.len());
    let state = Mutex::new(State {
        queue,
        failure: None,
    });
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| send.work(&state));
        }
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failure {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// A blob that nobody watches: the configuration.
pub(super) fn send_blob(
    store: &Inner,
    connection: &Connection,
    path: &str,
    blob: &Descriptor,
) -> Result<(), PushError> {
    let file = store.layout.blob(&blob.digest);
    let upload = Upload {
        path,
        digest: blob.digest,
        file: &file,
        size: blob.size,
        from: None,
    };
    connection.upload(&upload, &|_| {})?;
    Ok(())
}

impl<'a> Send<'a> {
    fn work(&self, state: &Mutex<State<'a>>) {
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut state = lock();
            if state.failure.is_some() {
                return;
            }
            let Some(waiting) = state.queue.pop() else {
                return;
            };
            drop(state);
            if let Err(error) = self.one(&waiting) {
                lock().failure.get_or_insert(error);
                // What others are sending is in vain.
                self.connection.cancel().cancel();
            }
        }
    }

    fn one(&self, waiting: &Waiting<'_>) -> Result<(), RemoteError> {
        let Waiting { layer, diff, from } = *waiting;
        let file = self.store.layout.blob(&layer.digest);
        let upload = Upload {
            path: self.path,
            digest: layer.digest,
            file: &file,
            size: layer.size,
            from,
        };
        let (pace, total) = (Pace::default(), layer.size);
        let sending = |done: u64| {
            if pace.lets(done == total) {
                self.tell(diff, Up::Pushing { done, total });
            }
        };
        let state = match self.connection.upload(&upload, &sending)? {
            Uploaded::WasThere => Up::AlreadyExists,
            Uploaded::Mounted => Up::Mounted(from.unwrap_or_default().to_owned()),
            Uploaded::Sent => Up::Pushed,
        };
        self.tell(diff, state);
        Ok(())
    }

    fn tell(&self, layer: DiffId, state: Up) {
        (self.audience)(Transfer::Up { layer, state });
    }
}
