//! The stage for end-to-end tests: a `hulld` of each test's own, and the clients that talk to it.
//!
//! Every test starts a daemon with its own state, run folder and socket, uses it through `hull` or
//! the real `docker`, and leaves nothing behind. When a test fails, what the daemon, the VMM and
//! the containers said is printed. Deadlines fit an emulated machine.

mod daemon;
mod output;
mod programs;
mod pty;
mod raw_vm;
mod replay;
mod traces;

use std::time::{Duration, Instant};

pub use daemon::Daemon;
pub use hull_transcripts::Client;
pub use output::Output;
pub use programs::{busybox, docker, near, own_disk};
pub use pty::Pty;
pub use raw_vm::{Code, RawVm, RunningVm};
pub use replay::Replay;
pub use traces::Traces;

/// How long anything may take in an emulated machine.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Waits until a condition holds.
///
/// # Panics
/// When it does not within [`DEADLINE`].
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < DEADLINE,
            "{what}: not within {DEADLINE:?}"
        );
        // What is waited for happens in other processes that have no event to offer.
        std::thread::park_timeout(Duration::from_millis(100));
    }
}
