//! Forking a child into the container, and the pipe its fate comes back on.
//!
//! ```text
//!  agent ──fork──► child: cell, identity, program ──"ready"──► agent: Created
//!  agent ──"go"──► child: execve ──pipe closes─────────────────► agent: Done
//! ```
//!
//! The fork happens on a thread of its own, because the pid namespace a fork's child gets is a
//! property of the thread. The C library's `fork` makes its allocator usable in the child of a
//! process with many threads; the child takes no other lock.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use hull_protocol::agent::AgentError;
use hull_protocol::frame;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::container::blueprint::{Blueprint, ProcessPlan};
use crate::container::cell::{self, Materials};
use crate::container::persona::{self, Ready};
use crate::container::reaper;
use crate::container::setup::{SetupError, Step};
use crate::container::user::Credentials;
use crate::process::wiring::ChildEnds;
use crate::thread;

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error("cannot make a pipe to a new process")]
    Pipe(#[source] io::Error),
    #[error("cannot {step} a new process")]
    Fork {
        step: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("a new process ended before it was ready")]
    Died,
    #[error(transparent)]
    Refused(AgentError),
}

/// What the child says once it is ready.
#[derive(Serialize, Deserialize)]
struct Prepared(Result<Credentials, AgentError>);

/// A child on its way.
pub(crate) struct Child {
    pub(crate) pid: Pid,
    status: OwnedFd,
}

/// A child that waits to be let go.
pub(crate) struct Held {
    status: OwnedFd,
    go: OwnedFd,
}

/// Which pid namespace a child is born into.
enum Birth<'a> {
    New,
    Of(BorrowedFd<'a>),
}

/// Forks the container's first process; it waits for [`Held::release`].
pub(crate) fn first(
    plan: &Blueprint,
    given: &Materials<'_>,
    ends: ChildEnds,
) -> Result<(Child, OwnedFd), LaunchError> {
    let (go_read, go) = pipe()?;
    let child = fork(&Birth::New, &|status| {
        // Only the agent's end may hold the pipe open, or its going away would not show.
        // SAFETY: this process leaves by execve or _exit, so nothing closes the number again.
        unsafe { rustix::io::close(go.as_raw_fd()) };
        let go = go_read.as_fd();
        let prepared = prepare_first(plan, given, &ends);
        let ready = report(&status, prepared);
        await_go(go);
        if plan.init {
            reaper::run(ready)
        }
        ready.execute()
    });
    // Now the child's alone: the end of its output is when it closes them.
    drop(ends);
    Ok((child?, go))
}

fn prepare_first(
    plan: &Blueprint,
    given: &Materials<'_>,
    ends: &ChildEnds,
) -> Result<Ready, SetupError> {
    persona::shed()?;
    cell::enter(plan, given)?;
    persona::prepare(&plan.process, ends, true)
}

/// Forks a process into the container of the process behind `pidfd`.
pub(crate) fn exec(
    plan: &ProcessPlan,
    pidfd: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    ends: ChildEnds,
) -> Result<Child, LaunchError> {
    let child = fork(&Birth::Of(pidfd), &|status| {
        let prepared = prepare_exec(plan, pidfd, cgroup, &ends);
        report(&status, prepared).execute()
    });
    drop(ends);
    child
}

fn prepare_exec(
    plan: &ProcessPlan,
    pidfd: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    ends: &ChildEnds,
) -> Result<Ready, SetupError> {
    persona::shed()?;
    rustix::io::write(cgroup, b"0").step("join", "control group")?;
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWCGROUP;
    setns(pidfd, namespaces).step("join", "the container's namespaces")?;
    persona::prepare(plan, ends, false)
}

impl Child {
    /// Waits until the child is ready, or has said why not.
    pub(crate) fn prepared(&self) -> Result<Credentials, LaunchError> {
        let mut pipe = PipeReader(self.status.as_fd());
        match frame::read::<Prepared>(&mut pipe) {
            Ok(Prepared(Ok(credentials))) => Ok(credentials),
            Ok(Prepared(Err(refused))) => Err(LaunchError::Refused(refused)),
            Err(_) => Err(LaunchError::Died),
        }
    }

    /// The first process, held until [`Held::release`].
    pub(crate) fn held(self, go: OwnedFd) -> Held {
        Held {
            status: self.status,
            go,
        }
    }

    /// Waits until the program runs.
    pub(crate) fn running(self) {
        await_close(&self.status);
    }
}

impl Held {
    /// Lets the child go and waits until its program runs. A failing `execve` is the process's
    /// own end, with its text on the process's stderr, as with Docker.
    pub(crate) fn release(self) -> Result<(), LaunchError> {
        rustix::io::write(&self.go, b"g").map_err(|_| LaunchError::Died)?;
        await_close(&self.status);
        Ok(())
    }
}

fn fork(
    birth: &Birth<'_>,
    run: &(dyn Fn(OwnedFd) -> Infallible + Sync),
) -> Result<Child, LaunchError> {
    let (status, child_status) = pipe()?;
    let failed = |step| move |source| LaunchError::Fork { step, source };
    let forked = std::thread::scope(|scope| {
        let nursery = std::thread::Builder::new().stack_size(thread::STACK);
        let joined = nursery.spawn_scoped(scope, || {
            match birth {
                Birth::New => unshare_pid().map_err(failed("make the pid namespace of"))?,
                Birth::Of(pidfd) => setns(*pidfd, libc::CLONE_NEWPID)
                    .map_err(failed("join the pid namespace for"))?,
            }
            // SAFETY: see the module's head: the child uses only the allocator, which fork
            // makes usable, and system calls, and leaves by execve or _exit.
            match unsafe { libc::fork() } {
                -1 => Err(failed("fork")(io::Error::last_os_error())),
                0 => persona::contain(|| {
                    // A copy, as the closure cannot give away the agent's; closed by execve.
                    let status = child_status.try_clone();
                    match status {
                        Ok(status) => run(status),
                        Err(_) => persona::exit(254),
                    }
                }),
                pid => Ok(pid),
            }
        });
        match joined.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(LaunchError::Died),
            Err(source) => Err(failed("start a thread for")(source)),
        }
    })?;
    let pid = Pid::from_raw(forked).ok_or(LaunchError::Died)?;
    Ok(Child { pid, status })
}

/// In the child: says how far it got, and goes on only if it is ready.
fn report(status: &OwnedFd, prepared: Result<Ready, SetupError>) -> Ready {
    const NOT_READY: i32 = 1;
    let (said, ready) = match prepared {
        Ok(ready) => (Prepared(Ok(ready.credentials.clone())), Some(ready)),
        Err(e) => (Prepared(Err(e.into())), None),
    };
    let bytes = frame::encode(&said).unwrap_or_default();
    let mut left = bytes.as_slice();
    while !left.is_empty() {
        match rustix::io::write(status, left) {
            Ok(n) => left = left.get(n..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            // The agent has given up on this child.
            Err(_) => persona::exit(NOT_READY),
        }
    }
    match ready {
        Some(ready) => {
            close_on_exec();
            ready
        }
        None => persona::exit(NOT_READY),
    }
}

/// In the child: waits for the byte that lets it go; without one the agent wants it no more.
fn await_go(go: BorrowedFd<'_>) {
    const NOT_WANTED: i32 = 1;
    loop {
        match rustix::io::read(go, &mut [0]) {
            Ok(1) => return,
            Err(rustix::io::Errno::INTR) => {}
            _ => persona::exit(NOT_WANTED),
        }
    }
}

/// Everything but stdio ends with execve, whoever forgot to say so.
fn close_on_exec() {
    const FIRST: libc::c_uint = 3;
    let flag = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
    // SAFETY: it only sets a flag on open descriptors.
    unsafe { libc::close_range(FIRST, libc::c_uint::MAX, flag) };
}

fn await_close(status: &OwnedFd) {
    let mut byte = [0];
    loop {
        match rustix::io::read(status, &mut byte) {
            Ok(0) => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), LaunchError> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|e| LaunchError::Pipe(e.into()))
}

fn unshare_pid() -> io::Result<()> {
    let flags = rustix::thread::UnshareFlags::NEWPID;
    // SAFETY: a new pid namespace for later children touches no memory or descriptor.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

fn setns(pidfd: BorrowedFd<'_>, namespaces: libc::c_int) -> io::Result<()> {
    // SAFETY: setns takes an open descriptor and flags and touches no memory.
    match unsafe { libc::setns(pidfd.as_raw_fd(), namespaces) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

struct PipeReader<'a>(BorrowedFd<'a>);

impl io::Read for PipeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.0, buffer)?)
    }
}

/// Ends and reaps a child that did not become a process.
pub(crate) fn discard(child: &Child) {
    // It is a child nobody has reaped, so the pid is its own.
    let _ = rustix::process::kill_process(child.pid, rustix::process::Signal::KILL);
    let options = rustix::process::WaitOptions::empty();
    while let Err(rustix::io::Errno::INTR) = rustix::process::waitpid(Some(child.pid), options) {}
}
