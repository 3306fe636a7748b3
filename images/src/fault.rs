//! Points at which a crash is tried by tests. In the real program there are none.

/// Kills the process here if a test wants it so.
#[cfg(not(test))]
pub(crate) fn point() {}

#[cfg(test)]
pub(crate) use armed::point;

#[cfg(test)]
pub(crate) mod armed {
    use std::sync::atomic::{AtomicI64, Ordering};

    static LEFT: AtomicI64 = AtomicI64::new(i64::MAX);

    /// The process dies when it reaches the `count`th point from now.
    pub(crate) fn arm(count: i64) {
        LEFT.store(count, Ordering::SeqCst);
    }

    pub(crate) fn point() {
        if LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL)
                .expect("a process may kill itself");
        }
    }
}
