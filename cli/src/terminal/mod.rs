//! The terminal at this end: what it is, its size, its raw mode and the keys that detach.

pub(crate) mod confirm;
pub(crate) mod detach;
pub(crate) mod prompt;
pub(crate) mod raw;
pub(crate) mod size;

use std::io::IsTerminal;

use crate::failure::Failure;

pub(crate) fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

pub(crate) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Refuses to tie a container's terminal to an input that is none: it would get no keys, no
/// size and no end.
pub(crate) fn check_input(attached: bool, tty: bool) -> Result<(), Failure> {
    if attached && tty && !stdin_is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    Ok(())
}
