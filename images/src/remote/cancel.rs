//! Ends a transfer from another thread: at once, also where it waits for a registry.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ureq::Agent;

/// Clones are the same.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    /// Their sockets are closed when it comes to it.
    agents: Vec<Agent>,
    /// Parts of this, cancelled with it.
    parts: Vec<Weak<Inner>>,
}

impl Cancel {
    pub fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        let agents = std::mem::take(&mut state.agents);
        let parts = std::mem::take(&mut state.parts);
        drop(state);
        self.0.changed.notify_all();
        for agent in agents {
            agent.shutdown();
        }
        for part in parts.iter().filter_map(Weak::upgrade) {
            Cancel(part).cancel();
        }
    }

    /// A part that can be cancelled by itself, and ends with the whole.
    pub(crate) fn part(&self) -> Cancel {
        let part = Cancel::default();
        let mut state = self.state();
        if state.cancelled {
            part.cancel();
        }
        // A whole may live for as long as a daemon: what has ended makes room for what begins.
        if state.parts.len() == state.parts.capacity() {
            state.parts.retain(|part| part.strong_count() > 0);
        }
        state.parts.push(Arc::downgrade(&part.0));
        part
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// Closes this agent's sockets, too.
    pub(crate) fn covers(&self, agent: &Agent) {
        let mut state = self.state();
        match state.cancelled {
            true => agent.clone().shutdown(),
            false => state.agents.push(agent.clone()),
        }
    }

    /// Waits; `false` if it was cancelled meanwhile.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.state(), time, |state| !state.cancelled);
        !waited.unwrap_or_else(PoisonError::into_inner).0.cancelled
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cancelled = self.is_cancelled();
        f.debug_struct("Cancel")
            .field("cancelled", &cancelled)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_cancellation() {
        let cancel = Cancel::default();
        assert!(cancel.wait(Duration::ZERO));
        let other = cancel.clone();
        let waiting = std::thread::spawn(move || other.wait(Duration::from_secs(600)));
        cancel.cancel();
        assert!(!waiting.join().unwrap());
        assert!(!cancel.wait(Duration::from_secs(600)));
    }

    #[test]
    fn parts_that_have_ended_are_forgotten() {
        let whole = Cancel::default();
        let kept = whole.part();
        for _ in 0..10_000 {
            drop(whole.part());
        }
        assert!(whole.state().parts.len() < 100);
        whole.cancel();
        assert!(kept.is_cancelled());
    }

    #[test]
    fn a_part_ends_alone_or_with_the_whole() {
        let whole = Cancel::default();
        let (one, two) = (whole.part(), whole.part());
        one.cancel();
        assert!(one.is_cancelled() && !two.is_cancelled() && !whole.is_cancelled());
        whole.cancel();
        assert!(two.is_cancelled() && whole.part().is_cancelled());
    }
}
