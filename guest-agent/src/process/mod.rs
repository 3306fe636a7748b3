//! A process the host knows, from its start to its `Forget`.
//!
//! ```text
//!              ┌── keeper thread ─────────────────────────────┐
//!  fork ──────►│ pump output ► wait for exit ► drain ► finish │──► Exit kept until Forget
//!              └──────────────────────────────────────────────┘
//! ```
//!
//! The keeper is the one owner of the process's exit status: nobody else waits for that pid.

pub(crate) mod bell;
mod keeper;
pub(crate) mod outlet;
pub(crate) mod stdin;
pub(crate) mod wiring;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hull_protocol::agent::{Exit, ProcessId, TerminalSize};
use rustix::process::{Pid, PidfdFlags};

use crate::cgroup::OomCounter;
use crate::process::outlet::Outlet;
use crate::process::stdin::Stdin;
use crate::process::wiring::AgentEnds;

/// Why a process cannot be looked after or reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("cannot watch process {pid}")]
    Watch {
        pid: u32,
        #[source]
        source: std::io::Error,
    },
    #[error("process {0} has ended")]
    Ended(ProcessId),
    #[error("process {0} has no terminal")]
    NoTerminal(ProcessId),
    #[error("process {0} has no open stdin")]
    NoStdin(ProcessId),
    #[error("process {0} still runs")]
    Running(ProcessId),
    #[error("signal {0} does not exist")]
    BadSignal(i32),
    #[error("cannot send signal {signal} to process {process}")]
    Signal {
        process: ProcessId,
        signal: i32,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot resize the terminal of process {process}")]
    Resize {
        process: ProcessId,
        #[source]
        source: std::io::Error,
    },
}

/// One process and everything kept of it.
pub(crate) struct Process {
    pub(crate) id: ProcessId,
    pub(crate) pid: u32,
    pidfd: OwnedFd,
    pub(crate) outlet: Outlet,
    stdin: Option<Stdin>,
    terminal: Option<OwnedFd>,
    end: Mutex<Option<Exit>>,
    ended: Condvar,
}

impl Process {
    /// Looks after a child that was just forked; its pid cannot have been reused, as only the
    /// keeper started here reaps it.
    pub(crate) fn adopt(
        id: ProcessId,
        pid: Pid,
        ends: AgentEnds,
        oom: OomCounter,
    ) -> Result<Arc<Self>, ProcessError> {
        let number = pid.as_raw_nonzero().get().unsigned_abs();
        let watch = |source: std::io::Error| ProcessError::Watch {
            pid: number,
            source,
        };
        let pidfd =
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|e| watch(e.into()))?;
        let AgentEnds {
            outputs,
            stdin,
            terminal,
        } = ends;
        let process = Arc::new(Self {
            id,
            pid: number,
            pidfd,
            outlet: Outlet::new().map_err(watch)?,
            stdin: stdin.map(Stdin::new).transpose().map_err(watch)?,
            terminal,
            end: Mutex::new(None),
            ended: Condvar::new(),
        });
        let keeper = process.clone();
        crate::thread::spawn("keeper", move || keeper::keep(&keeper, outputs, oom))
            .map_err(watch)?;
        Ok(process)
    }

    pub(crate) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    pub(crate) fn exit(&self) -> Option<Exit> {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end, at most `limit`.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Option<Exit> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if end.is_some() {
                return *end;
            }
            end = match deadline {
                None => self.ended.wait(end).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    let woken = self.ended.wait_timeout(end, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Waits for the end of a process that was killed.
    pub(crate) fn reaped(&self, limit: Duration) {
        // One that does not go, such as in an unkillable wait for a device, goes with the VM.
        let _ = self.wait(Some(limit));
    }

    pub(crate) fn signal(&self, signal: i32) -> Result<(), ProcessError> {
        use std::os::fd::AsRawFd;
        if !(0..=64).contains(&signal) {
            return Err(ProcessError::BadSignal(signal));
        }
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the pidfd is open and a null siginfo is allowed by pidfd_send_signal(2).
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.pidfd.as_raw_fd(),
                signal,
                no_info,
                0,
            )
        };
        if result == 0 {
            return Ok(());
        }
        let source = std::io::Error::last_os_error();
        if source.raw_os_error() == Some(libc::ESRCH) {
            return Err(ProcessError::Ended(self.id.clone()));
        }
        Err(ProcessError::Signal {
            process: self.id.clone(),
            signal,
            source,
        })
    }

    pub(crate) fn resize(&self, size: TerminalSize) -> Result<(), ProcessError> {
        let Some(terminal) = &self.terminal else {
            return Err(ProcessError::NoTerminal(self.id.clone()));
        };
        wiring::set_size(terminal, size).map_err(|source| ProcessError::Resize {
            process: self.id.clone(),
            source,
        })
    }

    pub(crate) fn stdin(&self) -> Result<&Stdin, ProcessError> {
        self.stdin
            .as_ref()
            .ok_or_else(|| ProcessError::NoStdin(self.id.clone()))
    }

    /// Whether it may be forgotten.
    pub(crate) fn check_ended(&self) -> Result<(), ProcessError> {
        match self.exit() {
            Some(_) => Ok(()),
            None => Err(ProcessError::Running(self.id.clone())),
        }
    }

    fn finish(&self, exit: Exit) {
        self.outlet.finish(exit.time);
        if let Some(stdin) = &self.stdin {
            stdin.close();
        }
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(exit);
        self.ended.notify_all();
    }
}
