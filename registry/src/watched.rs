//! What a file says, read again when the file changes.
//!
//! The file's date is looked at when it is asked for, at most once a second. One that cannot be
//! used changes nothing, and the log says why.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watched<T, E> {
    path: PathBuf,
    load: fn(&Path) -> Result<T, E>,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    value: Arc<T>,
    written: Option<SystemTime>,
    looked: Instant,
}

impl<T, E: Display> Watched<T, E> {
    pub(super) fn open(path: &Path, load: fn(&Path) -> Result<T, E>) -> Result<Watched<T, E>, E> {
        // The date first: a change while it is read is read again.
        let written = written(path);
        let state = State {
            value: Arc::new(load(path)?),
            written,
            looked: Instant::now(),
        };
        Ok(Watched {
            path: path.to_owned(),
            load,
            state: Mutex::new(state),
        })
    }

    pub(super) fn current(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            let written = written(&self.path);
            if written != state.written {
                match (self.load)(&self.path) {
                    Ok(value) => {
                        tracing::info!(path = %self.path.display(), "read a file that has changed");
                        (state.value, state.written) = (Arc::new(value), written);
                    }
                    Err(error) => tracing::warn!(%error, "what the file said before stays"),
                }
            }
        }
        state.value.clone()
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|found| found.modified()).ok()
}
