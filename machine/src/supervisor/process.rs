//! A child process that does not outlive the supervisor, given one descriptor by number.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Signal, set_parent_process_death_signal};

/// Where its output goes.
#[derive(Clone, Copy)]
pub(super) enum Output {
    /// With the supervisor's own messages.
    Log,
    /// To be taken; its errors go to the log.
    Pipe,
}

/// The number that a descriptor has here and in the child.
pub(super) fn number(fd: &impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}

/// Killed when it goes out of scope, and by the kernel when the supervisor dies.
pub(super) struct Guarded {
    child: Child,
}

impl Guarded {
    /// Must be called on the supervisor's first thread: the kernel's guard is for the
    /// thread that starts the child, not for the process.
    pub(super) fn spawn(
        program: &OsStr,
        arguments: &[OsString],
        hand_over: &OwnedFd,
        output: Output,
    ) -> io::Result<Self> {
        fcntl_setfd(hand_over, FdFlags::empty())?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        match output {
            Output::Log => command.stdout(io::stderr()),
            Output::Pipe => command.stdout(Stdio::piped()),
        };
        let prepare = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
        // SAFETY: one plain system call between fork and exec.
        unsafe { command.pre_exec(prepare) };
        Ok(Self {
            child: command.spawn()?,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        self.child
            .try_wait()
            .ok()
            .flatten()
            .map(|status| status.to_string())
    }

    pub(super) fn wait(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Kills it if it lives; says how it ended.
    pub(super) fn end(&mut self) -> String {
        // It may have ended just now.
        let _ = self.child.kill();
        self.wait()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.end();
    }
}
