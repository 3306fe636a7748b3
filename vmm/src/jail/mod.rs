//! The cell a VM runs in, closed before anything of the guest is looked at.
//!
//! ```text
//!  root, engine's namespaces                     jailed
//!  clone into cgroup ───┬─► parent: map uid, announce pid, wait for the engine, exit
//!                       └─► child: own user, mount, pid, net, ipc, uts, cgroup namespaces
//!                             ├─ root: an empty read-only tmpfs, the old one gone
//!                             ├─ limits, no capabilities, no_new_privs, not dumpable
//!                             └─ (VM built from open descriptors) ─ seccomp on every thread
//! ```
//!
//! What is left inside is the descriptors that the configuration names and nothing else: no path,
//! no other process, no network, no right.

mod namespaces;
#[cfg(test)]
mod policy;
mod privileges;
#[cfg(test)]
mod program;
mod role;
mod root;
pub(crate) mod seccomp;

use std::io;
use std::os::fd::RawFd;

use hull_protocol::vmm::Jail;

/// Which step of locking up failed. The VM is not started then.
#[derive(Debug, thiserror::Error)]
#[error("cannot jail the VM: {step}")]
pub struct JailError {
    step: &'static str,
    source: io::Error,
}

/// Names the step that an error came from.
pub(crate) trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, JailError>;
}

impl<T> Step<T> for io::Result<T> {
    fn step(self, step: &'static str) -> Result<T, JailError> {
        self.map_err(|source| JailError { step, source })
    }
}

/// Turns a system call's -1 into its error.
pub(crate) fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Locks the process up. Returns in the jailed child only: the parent announces the child on
/// `started`, waits until the engine has closed it, and exits here.
///
/// # Errors
/// A step failed; nothing has run yet.
pub fn enter(jail: &Jail, started: RawFd, keep: &[RawFd]) -> Result<(), JailError> {
    close_all_but(keep).step("close inherited descriptors")?;
    namespaces::split(jail, started)?;
    root::empty()?;
    privileges::limit()?;
    privileges::drop_all()?;
    seccomp::arm();
    Ok(())
}

/// Confines the calling thread to what the main thread does, if the process is jailed.
pub fn confine_main_thread() {
    seccomp::enter(seccomp::Role::Main);
}

/// Closes everything above stderr that is not in the list.
fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|&fd| u32::try_from(fd).ok())
        .collect();
    keep.sort_unstable();
    let mut next = 3;
    for fd in keep.into_iter().chain([u32::MAX]) {
        if fd > next {
            let last = if fd == u32::MAX { u32::MAX } else { fd - 1 };
            // SAFETY: nothing in this process uses the descriptors that are closed: they were
            // inherited, and the ones in use are in the list.
            check(unsafe { libc::syscall(libc::SYS_close_range, next, last, 0) })?;
        }
        next = fd.saturating_add(1);
    }
    Ok(())
}
