//! Lets one thread at a time work on what a digest names; the others wait and then find it done.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::digest::Digest;

#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<HashSet<Digest>>,
    left: Condvar,
}

/// Ends with the value.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    digest: Digest,
}

impl Turns {
    /// Waits until nobody else works on `digest`.
    pub(crate) fn enter(&self, digest: Digest) -> Turn<'_> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self
            .left
            .wait_while(taken, |taken| taken.contains(&digest))
            .unwrap_or_else(PoisonError::into_inner);
        taken.insert(digest);
        Turn {
            turns: self,
            digest,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self
            .turns
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.digest);
        self.turns.left.notify_all();
    }
}
