//! Raw mode, undone on every way out: the end of a scope, a panic (also one that aborts) and
//! the signals that [`crate::session::signals`] turns into an orderly end.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// What to go back to; there is one terminal, so there is one of it.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Stdin is raw while this lives.
pub(crate) struct RawMode(());

impl RawMode {
    /// Makes the terminal on stdin raw.
    pub(crate) fn enter() -> io::Result<RawMode> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                next(info);
            }));
        });
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let mode = RawMode(());
        // At once: what was typed ahead is for the container.
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(mode)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // A terminal that is gone needs no restoring, and there is nobody left to tell.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Drain, &before);
    }
}
