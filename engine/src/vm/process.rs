//! A VM's process, found and watched without being its parent.
//!
//! A pid may be another's tomorrow, so a process is known by pid, start time and boot; and once
//! there is a pidfd, by that alone.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Who a process is, for as long as the host's disk remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// Clock ticks from boot to its start.
    pub(crate) start_ticks: u64,
    /// The boot it lives in.
    pub(crate) boot: String,
}

/// A process that can be waited for and killed.
#[derive(Debug)]
pub(crate) struct VmProcess {
    pub(crate) identity: Identity,
    pidfd: AsyncFd<OwnedFd>,
}

impl VmProcess {
    /// Takes hold of a process that cannot have been reaped yet.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let pidfd = open(pid)?;
        let start_ticks = start_ticks(pid)?;
        let identity = Identity {
            pid,
            start_ticks,
            boot: boot()?,
        };
        Ok(Self {
            identity,
            pidfd: watched(pidfd)?,
        })
    }

    /// Finds it again; `None` if it has ended.
    pub(crate) fn find(identity: &Identity) -> io::Result<Option<Self>> {
        if identity.boot != boot()? {
            return Ok(None);
        }
        let pidfd = match open(identity.pid) {
            Ok(fd) => fd,
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
            Err(e) => return Err(e),
        };
        // Read after the pidfd is held: if it matches, the pidfd is of that process.
        match start_ticks(identity.pid) {
            Ok(ticks) if ticks == identity.start_ticks => {}
            _ => return Ok(None),
        }
        let pidfd = watched(pidfd)?;
        Ok(Some(Self {
            identity: identity.clone(),
            pidfd,
        }))
    }

    /// Until it has ended.
    pub(crate) async fn ended(&self) {
        // A pidfd is readable from the process's end on; there is no way for the wait to fail
        // that would not mean that the runtime is going down.
        let _ = self.pidfd.readable().await;
    }

    pub(crate) fn kill(&self) {
        // That it is gone already is as good.
        let _ = pidfd_send_signal(self.pidfd.get_ref(), Signal::KILL);
    }
}

fn watched(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor is the same, and open, until it is dropped with the watch.
    let watched = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
    watched.map_err(Into::into)
}

fn open(pid: u32) -> io::Result<OwnedFd> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = raw.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    Ok(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Field 22 of `/proc/PID/stat`. The second is the program's name in brackets and may hold anything.
fn start_ticks(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(19));
    ticks
        .and_then(|t| t.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "malformed /proc stat"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_found_again_until_it_ends() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let process = VmProcess::of(child.id()).unwrap();
        let again = VmProcess::find(&process.identity).unwrap().unwrap();
        let other = Identity {
            start_ticks: 1,
            ..process.identity.clone()
        };
        assert!(
            VmProcess::find(&other).unwrap().is_none(),
            "another process of that pid"
        );
        let earlier = Identity {
            boot: "before".into(),
            ..process.identity.clone()
        };
        assert!(VmProcess::find(&earlier).unwrap().is_none(), "another boot");
        again.kill();
        process.ended().await;
        child.wait().unwrap();
        assert!(VmProcess::find(&process.identity).unwrap().is_none());
    }
}
