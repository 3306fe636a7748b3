//! What files say, read again when one of them changes.
//!
//! The files' dates are looked at when somebody asks, at most once a second. What cannot be used
//! changes nothing, and the log says why: half a change is a common thing.

use std::fmt::{self, Debug, Display};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const LOOK: Duration = Duration::from_secs(1);

type Load<T, E> = Box<dyn Fn() -> Result<T, E> + Send + Sync>;

pub(crate) struct Watched<T, E> {
    paths: Vec<PathBuf>,
    load: Load<T, E>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    written: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl<T, E> Debug for Watched<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

impl<T, E: Display> Watched<T, E> {
    /// What `load` makes of these files.
    pub(crate) fn open(
        paths: &[&Path],
        load: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Watched<T, E>, E> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
        // The dates first: a change while it is read is read again.
        let written = written(&paths);
        let state = State {
            value: Arc::new(load()?),
            written,
            looked: Instant::now(),
        };
        Ok(Watched {
            paths,
            load: Box::new(load),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn current(&self) -> Arc<T> {
        let mut state = self.state();
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            let written = written(&self.paths);
            if written != state.written {
                match (self.load)() {
                    Ok(value) => {
                        tracing::info!(paths = ?self.paths, "read what has changed");
                        (state.value, state.written) = (Arc::new(value), written);
                    }
                    Err(error) => tracing::warn!(%error, "what was read before stays"),
                }
            }
        }
        state.value.clone()
    }

    /// As if it had not been looked at for a while.
    #[cfg(test)]
    pub(crate) fn look_again(&self) {
        self.state().looked = Instant::now() - LOOK;
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn written(paths: &[PathBuf]) -> Vec<Option<SystemTime>> {
    let date = |path: &PathBuf| fs::metadata(path).and_then(|found| found.modified()).ok();
    paths.iter().map(date).collect()
}
