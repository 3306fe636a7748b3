//! An image's layers: those that are missing come three at a time, and are unpacked in order.
//!
//! ```text
//!   workers (3)        queue ─► download ─► verify ─┐ slot i
//!   this thread        layer 0 ─► layer 1 ─► … each waits for its slot, then unpacks on the last
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::digest::{ChainId, DiffId, Digest};
use crate::layers::Progress;
use crate::lease::{Lease, Spooled};
use crate::manifest::Descriptor;
use crate::remote::{Connection, RemoteError};
use crate::transfer::{Audience, Down, Pace, Transfer};

use super::PullError;

/// As many as dockerd.
const AT_ONCE: usize = 3;

/// What to fetch, and for whom.
pub(super) struct Fetch<'a> {
    pub(super) lease: &'a Lease,
    pub(super) connection: &'a Connection,
    pub(super) path: &'a str,
    /// Bottom first, as many as `diffs`.
    pub(super) layers: &'a [Descriptor],
    pub(super) diffs: &'a [DiffId],
    pub(super) audience: Audience<'a>,
}

/// What the workers and the unpacking thread share.
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Indexes of layers that nobody has begun with, the next one last.
    queue: Vec<usize>,
    done: BTreeMap<Digest, Spooled>,
    failure: Option<RemoteError>,
    /// The unpacking failed: nothing more is wanted.
    given_up: bool,
}

/// Fetches and unpacks; gives the layers' blobs, bottom first.
pub(super) fn fetch(fetch: &Fetch<'_>) -> Result<Vec<Spooled>, PullError> {
    let limit = fetch.lease.store.options.stream_bytes;
    if let Some(layer) = fetch.layers.iter().find(|layer| layer.size > limit) {
        let (digest, size) = (layer.digest, layer.size);
        return Err(PullError::TooLarge {
            digest,
            size,
            limit,
        });
    }
    let mut desk = Desk {
        state: Mutex::new(State {
            queue: Vec::new(),
            done: BTreeMap::new(),
            failure: None,
            given_up: false,
        }),
        changed: Condvar::new(),
    };
    let known = fetch.sort(&mut desk)?;
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| fetch.work(&desk));
        }
        let outcome = fetch.unpack(&desk, known);
        if outcome.is_err() {
            desk.state().given_up = true;
            desk.changed.notify_all();
            // Others may wait for the registry.
            fetch.connection.cancel().cancel();
        }
        outcome
    })
}

impl Fetch<'_> {
    /// Says of each layer whether it is here, and queues those that are not. Gives how many of
    /// the lowest are here, unpacked.
    fn sort(&self, desk: &mut Desk) -> Result<usize, PullError> {
        let mut known = 0;
        let mut below = None;
        let mut missing: Vec<usize> = Vec::new();
        for (index, (layer, diff)) in self.layers.iter().zip(self.diffs).enumerate() {
            let chain = ChainId::of(below.as_ref(), diff);
            let blob = self.here(layer)?;
            below = Some(chain);
            if known == index
                && self.lease.has_layer(&chain, &layer.digest, diff)?
                && let Some(blob) = blob.clone()
            {
                known += 1;
                desk.state().done.insert(layer.digest, blob);
                self.tell(layer, Down::AlreadyExists);
                continue;
            }
            self.tell(layer, Down::Queued);
            let first = |at: &usize| self.layers[*at].digest == layer.digest;
            match blob {
                Some(blob) => {
                    desk.state().done.insert(layer.digest, blob);
                    self.tell(layer, Down::Downloaded);
                }
                None if missing.iter().any(first) => {}
                None => missing.push(index),
            }
        }
        for index in missing.iter().skip(AT_ONCE) {
            self.tell(&self.layers[*index], Down::Waiting);
        }
        missing.reverse();
        desk.state().queue = missing;
        Ok(known)
    }

    /// A layer's blob, if it is in the store; kept until the lease ends.
    fn here(&self, layer: &Descriptor) -> Result<Option<Spooled>, PullError> {
        self.lease.pin(&layer.digest)?;
        let path: PathBuf = self.lease.store.layout.blob(&layer.digest);
        let Ok(metadata) = path.metadata() else {
            return Ok(None);
        };
        if metadata.len() != layer.size {
            let (digest, expected) = (layer.digest, layer.size);
            return Err(RemoteError::BlobSize { digest, expected }.into());
        }
        Ok(Some(Spooled {
            path,
            digest: layer.digest,
            size: layer.size,
        }))
    }

    /// A worker: one layer after the other, until none is left or one failed.
    fn work(&self, desk: &Desk) {
        loop {
            let mut state = desk.state();
            if state.failure.is_some() || state.given_up {
                return;
            }
            let Some(index) = state.queue.pop() else {
                return;
            };
            drop(state);
            let layer = &self.layers[index];
            let outcome = self.download(layer);
            let mut state = desk.state();
            match outcome {
                Ok(blob) => {
                    state.done.insert(layer.digest, blob);
                }
                Err(error) => {
                    state.failure.get_or_insert(error);
                }
            }
            desk.changed.notify_all();
        }
    }

    fn download(&self, layer: &Descriptor) -> Result<Spooled, RemoteError> {
        // What was put together of several answers is fetched once more if it is wrong.
        let mut again = true;
        loop {
            let mut download = self.connection.download(self.path, layer);
            let (pace, total) = (Pace::default(), layer.size);
            let spooled = self.lease.spool(|buffer| {
                let count = download.read(buffer, &mut |seconds| {
                    self.tell(layer, Down::Retrying { seconds });
                })?;
                let done = download.done();
                if count > 0 && pace.lets(done == total) {
                    self.tell(layer, Down::Downloading { done, total });
                }
                Ok::<_, RemoteError>(count)
            })?;
            self.tell(layer, Down::Verifying);
            if spooled.digest == layer.digest {
                self.tell(layer, Down::Downloaded);
                return Ok(spooled);
            }
            if !(again && download.resumed) {
                return Err(RemoteError::BlobDigest(layer.digest));
            }
            again = false;
        }
    }

    /// Unpacks each layer on the ones below, as they come.
    fn unpack(&self, desk: &Desk, known: usize) -> Result<Vec<Spooled>, PullError> {
        let mut blobs = Vec::new();
        let mut below = None;
        for (index, (layer, diff)) in self.layers.iter().zip(self.diffs).enumerate() {
            let blob = desk.wait(&layer.digest)?;
            if index < known {
                below = Some(ChainId::of(below.as_ref(), diff));
                blobs.push(blob);
                continue;
            }
            let pace = Pace::default();
            let mut watcher = |Progress { done, total, .. }: Progress| {
                if pace.lets(done == total) {
                    self.tell(layer, Down::Extracting { done, total });
                }
            };
            let source = self.lease.where_it_is(&blob);
            let chain = self
                .lease
                .ensure_layer(below.as_ref(), *diff, &source, &mut watcher)?;
            self.lease.adopt(&source)?;
            self.tell(layer, Down::Complete);
            below = Some(chain);
            blobs.push(blob);
        }
        Ok(blobs)
    }

    fn tell(&self, layer: &Descriptor, state: Down) {
        (self.audience)(Transfer::Down {
            blob: layer.digest,
            state,
        });
    }
}

impl Desk {
    /// Waits for a blob.
    fn wait(&self, digest: &Digest) -> Result<Spooled, RemoteError> {
        let waiting =
            |state: &mut State| state.failure.is_none() && !state.done.contains_key(digest);
        let state = self.changed.wait_while(self.state(), waiting);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        match (state.done.get(digest).cloned(), state.failure.take()) {
            (Some(blob), failure) => {
                state.failure = failure;
                Ok(blob)
            }
            (None, failure) => {
                state.given_up = true;
                Err(failure.unwrap_or(RemoteError::Cancelled))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
