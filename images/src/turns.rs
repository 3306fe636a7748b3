//! Lets one thread at a time work on a layer; the others wait and then find it done.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::digest::ChainId;

#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<HashSet<ChainId>>,
    left: Condvar,
}

/// Ends with the value.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    chain: ChainId,
}

impl Turns {
    /// Waits until nobody else works on `chain`.
    pub(crate) fn enter(&self, chain: ChainId) -> Turn<'_> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self
            .left
            .wait_while(taken, |taken| taken.contains(&chain))
            .unwrap_or_else(PoisonError::into_inner);
        taken.insert(chain);
        Turn { turns: self, chain }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self
            .turns
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.chain);
        self.turns.left.notify_all();
    }
}
