//! Changes that are committed together.
//!
//! A commit waits for the disk, and waits as long for one change as for a hundred. So a change is
//! queued, and whoever finds nobody at work takes all that wait into one transaction:
//!
//! ```text
//!   change ─┐                     ┌─ savepoint: change
//!   change ─┼─► waiting ─► leader ┼─ savepoint: change ─► one commit ─► each one's answer
//!   change ─┘                     └─ savepoint: change
//! ```
//!
//! What comes while the leader waits for the disk is the next batch. Nobody is answered before
//! the commit; a change that fails takes none of the others with it.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use super::{Repositories, RepositoryError};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::fault;
use crate::lease::sync_parent;
use crate::store::Inner;

/// What a change did to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    Nothing,
    /// A blob got its name. Its bytes are in the transaction.
    Small(Digest),
    /// A blob got its name, which must be durable before the commit.
    Synced(Digest),
}

type Answer = Result<(), RepositoryError>;
type Work = Box<dyn FnOnce(&Connection, &Inner) -> Result<Placed, RepositoryError> + Send>;

struct Change {
    work: Work,
    answer: SyncSender<Answer>,
}

/// The changes that wait.
#[derive(Default)]
pub(super) struct Batch {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Change>,
    led: bool,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

impl Batch {
    /// Changes that wait for one who leads already.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        let state = self.lock();
        if state.led { state.waiting.len() } else { 0 }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an answer, or for being the one who leads: then, with the changes to make.
    fn wait(&self, answer: &Receiver<Answer>) -> Result<Answer, Vec<Change>> {
        let mut state = self.lock();
        loop {
            match answer.try_recv() {
                Ok(answer) => return Ok(answer),
                Err(TryRecvError::Disconnected) => return Ok(Err(StoreError::GivenUp.into())),
                Err(TryRecvError::Empty) => {}
            }
            if !state.led {
                state.led = true;
                return Err(std::mem::take(&mut state.waiting));
            }
            state = self
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Ends with the leader, however he ends.
struct Lead<'a>(&'a Batch);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.lock().led = false;
        self.0.done.notify_all();
    }
}

impl Repositories {
    /// Makes a change, durably, in one transaction with those that others want meanwhile. Nothing
    /// else writes or collects beside.
    pub(super) fn write_together(
        &self,
        work: impl FnOnce(&Connection, &Inner) -> Result<Placed, RepositoryError> + Send + 'static,
    ) -> Result<(), RepositoryError> {
        let (answer, own) = sync_channel(1);
        let work = Box::new(work);
        self.batch.lock().waiting.push(Change { work, answer });
        let changes = match self.batch.wait(&own) {
            Ok(answer) => return answer,
            Err(changes) => changes,
        };
        let lead = Lead(&self.batch);
        make(&self.store, changes);
        drop(lead);
        own.recv()
            .unwrap_or_else(|_| Err(StoreError::GivenUp.into()))
    }
}

/// Makes changes and answers each.
fn make(store: &Inner, changes: Vec<Change>) {
    let mut made = Vec::with_capacity(changes.len());
    let committed = commit(store, changes, &mut made);
    let failure = committed.err().map(Arc::new);
    for (answer, result) in made {
        let result = match &failure {
            Some(failure) => Err(StoreError::Together(failure.clone()).into()),
            None => result,
        };
        // Who asked waits for it, or has gone.
        let _ = answer.send(result);
    }
}

fn commit(
    store: &Inner,
    changes: Vec<Change>,
    made: &mut Vec<(SyncSender<Answer>, Answer)>,
) -> Result<(), StoreError> {
    let mut placed = Vec::new();
    let committed = (|| {
        let mut db = store.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate);
        // Also those that were not begun are to be answered.
        let mut tx = match tx {
            Ok(tx) => tx,
            Err(error) => {
                made.extend(changes.into_iter().map(|change| (change.answer, Ok(()))));
                return Err(error.into());
            }
        };
        for Change { work, answer } in changes {
            let result = one(&mut tx, store, work);
            let result = result.map(|file| placed.push(file));
            made.push((answer, result));
        }
        // After some errors, as of a full disk, SQLite rolls back by itself: nothing was done.
        if tx.is_autocommit() {
            return Err(StoreError::GivenUp);
        }
        let synced = placed.iter().find_map(|placed| match placed {
            Placed::Synced(blob) => Some(blob),
            _ => None,
        });
        if let Some(blob) = synced {
            sync_parent(&store.layout.blob(blob))?;
        }
        fault::point();
        tx.commit()?;
        fault::point();
        Ok(())
    })();
    if committed.is_err() {
        sync_unreferred(store, &placed);
    }
    committed
}

fn one(
    tx: &mut rusqlite::Transaction<'_>,
    store: &Inner,
    work: Work,
) -> Result<Placed, RepositoryError> {
    let savepoint = tx.savepoint()?;
    let placed = work(&savepoint, store)?;
    savepoint.commit()?;
    Ok(placed)
}

/// Files that got names but no commit are garbage. But somebody may find one, and takes it for
/// durable as every file that has its name.
fn sync_unreferred(store: &Inner, placed: &[Placed]) {
    for placed in placed {
        let Placed::Small(blob) = placed else {
            continue;
        };
        let path = store.layout.blob(blob);
        let synced = std::fs::File::open(&path).and_then(|file| file.sync_all());
        if let Err(error) = synced {
            tracing::warn!(%error, %blob, "cannot sync");
        }
    }
}
