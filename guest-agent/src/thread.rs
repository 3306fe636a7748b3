//! Threads with small stacks: the agent has one for each process and connection.

use std::thread::{Builder, JoinHandle};

/// Enough for decoding a runtime specification in an unoptimised build. Only what is touched
/// costs memory.
pub(crate) const STACK: usize = 512 << 10;

/// Starts a named thread.
pub(crate) fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(run)
}
