//! What this process knows of uploads that are under way: who has one in hand, and the hash of
//! what has arrived of the others.
//!
//! It is no more than a memory: an upload that is not in it is what its file says. Only an upload
//! of which nothing has arrived is nowhere else, because most small blobs come in one piece, and
//! a file made for them before would be made for nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::uploads::UploadId;

/// More uploads than this at once are hashed again where they go on.
const REMEMBERED: usize = 4096;

#[derive(Debug)]
enum State {
    InHand,
    Resting {
        hash: sha2::Sha256,
        size: u64,
        since: Instant,
    },
}

/// What is known of an upload that somebody wants in his hands.
#[derive(Debug)]
pub(super) enum Known {
    /// Somebody has it already.
    InHand,
    /// He has it now.
    Hashed(sha2::Sha256, u64),
    /// He has it now, if it exists.
    Nothing,
}

#[derive(Debug, Default)]
pub(super) struct Underway(Mutex<HashMap<UploadId, State>>);

impl Underway {
    /// Notes a new upload in somebody's hands. Says whether there was room.
    pub(super) fn begin(&self, id: UploadId) -> bool {
        let mut known = self.lock();
        let room = known.len() < REMEMBERED;
        if room {
            known.insert(id, State::InHand);
        }
        room
    }

    /// Gives an upload into somebody's hands.
    pub(super) fn take(&self, id: UploadId) -> Known {
        match self.lock().insert(id, State::InHand) {
            Some(State::InHand) => Known::InHand,
            Some(State::Resting { hash, size, .. }) => Known::Hashed(hash, size),
            None => Known::Nothing,
        }
    }

    /// Takes an upload back.
    pub(super) fn rest(&self, id: UploadId, hash: sha2::Sha256, size: u64) {
        let since = Instant::now();
        let mut known = self.lock();
        // What has a file can be read again; what has none must not be lost now.
        match known.len() <= REMEMBERED || size == 0 {
            true => drop(known.insert(id, State::Resting { hash, size, since })),
            false => drop(known.remove(&id)),
        }
    }

    pub(super) fn forget(&self, id: UploadId) {
        self.lock().remove(&id);
    }

    /// Whether an upload exists, were it without a file.
    pub(super) fn has(&self, id: UploadId) -> bool {
        match self.lock().get(&id) {
            None => false,
            Some(State::InHand) => true,
            Some(State::Resting { size, .. }) => *size == 0,
        }
    }

    /// Forgets uploads of which `exists` finds no file; those that need none only after a while.
    /// Says how many of them.
    pub(super) fn sweep(&self, grace: Duration, exists: impl Fn(&UploadId) -> bool) -> u64 {
        let mut empty = 0;
        self.lock().retain(|id, state| match state {
            State::InHand => true,
            State::Resting { size: 0, since, .. } => {
                let keep = since.elapsed() < grace || exists(id);
                empty += u64::from(!keep);
                keep
            }
            State::Resting { .. } => exists(id),
        });
        empty
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
