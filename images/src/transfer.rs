//! What pulls and pushes tell while they go on.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::digest::{DiffId, Digest};
use crate::reference::Reference;

/// Something to show to whoever waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transfer {
    /// A tag or a digest of a repository's path (`library/busybox`) comes.
    Pulling { version: String, path: String },
    /// A layer's blob comes.
    Down { blob: Digest, state: Down },
    /// A manifest has come.
    Pulled(Digest),
    /// All has come: the name as it was asked for, and whether it brought something new.
    Status { name: Reference, newer: bool },
    /// Something that is not as it was asked for.
    Warning(String),
    /// A repository's whole name (`docker.io/library/busybox`) is pushed to.
    Pushing { repository: String },
    /// A layer goes.
    Up { layer: DiffId, state: Up },
    /// A tag's manifest has gone.
    Pushed {
        tag: String,
        digest: Digest,
        size: u64,
    },
}

/// How far a layer that comes has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    AlreadyExists,
    Queued,
    Waiting,
    Retrying { seconds: u64 },
    Downloading { done: u64, total: u64 },
    Verifying,
    Downloaded,
    Extracting { done: u64, total: u64 },
    Complete,
}

/// How far a layer that goes has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Up {
    Preparing,
    /// Of a plain layer.
    Compressing {
        done: u64,
        total: u64,
    },
    Waiting,
    Pushing {
        done: u64,
        total: u64,
    },
    /// From another repository's path.
    Mounted(String),
    AlreadyExists,
    Pushed,
}

/// Told of each, from several threads.
pub type Audience<'a> = &'a (dyn Fn(Transfer) + Sync);

/// Lets through a first report, one now and then, and a last one.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    const STEP: Duration = Duration::from_millis(100);

    pub(crate) fn lets(&self, last: bool) -> bool {
        let mut told = match self.0.lock() {
            Ok(told) => told,
            Err(poisoned) => poisoned.into_inner(),
        };
        let due = told.is_none_or(|told| told.elapsed() >= Self::STEP);
        if due || last {
            *told = Some(Instant::now());
        }
        due || last
    }
}
