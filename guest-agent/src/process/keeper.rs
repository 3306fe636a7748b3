//! The thread that looks after one process: its output into the journal, its exit status out of
//! the kernel.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use hull_protocol::agent::Exit;
use hull_protocol::stream::Output;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::cgroup::OomCounter;
use crate::clock;
use crate::journal;
use crate::process::Process;

/// How long after a process's end its output may stay open in the hands of others (a background
/// child of an exec) before it is cut off. Docker waits as long.
const LINGER: Duration = Duration::from_secs(2);

/// An open output of the process.
pub(crate) struct Source {
    pub(crate) fd: OwnedFd,
    pub(crate) output: Output,
    /// The process's side of a terminal, held open while the process lives: an init that closes
    /// its terminal and opens it again has not ended its output.
    pub(crate) held: Option<OwnedFd>,
}

/// Runs until the process has ended and its output is drained.
pub(crate) fn keep(process: &Process, mut sources: Vec<Source>, oom: OomCounter) {
    let mut buffer = vec![0; journal::READ];
    let mut end: Option<(Status, Instant)> = None;
    while end.is_none() || !sources.is_empty() {
        let room = process.outlet.has_room();
        let ready = wait(process, &sources, room, end.map(|(_, at)| at));
        if ready.room {
            process.outlet.clear_room();
        }
        if room {
            let mut index = 0;
            sources.retain(|source| {
                let open = !ready.sources.get(index).copied().unwrap_or(false)
                    || pump(process, source, &mut buffer);
                index += 1;
                open
            });
            let quiet = !ready.sources.contains(&true);
            if quiet && end.is_some_and(|(_, at)| at.elapsed() >= LINGER) {
                sources.clear();
            }
        }
        if ready.ended && end.is_none() {
            end = reap(process.pid).map(|status| (status, Instant::now()));
            sources.iter_mut().for_each(|s| s.held = None);
        }
    }
    let Some((status, _)) = end else { return };
    let oom_killed = oom.killed(status.signal == Some(libc::SIGKILL));
    // Whoever hears of the end may find the control group unused.
    drop(oom);
    process.finish(Exit {
        code: status.code,
        oom_killed,
        time: clock::now(),
    });
}

struct Ready {
    sources: Vec<bool>,
    room: bool,
    ended: bool,
}

fn wait(process: &Process, sources: &[Source], room: bool, end: Option<Instant>) -> Ready {
    let interest = if room {
        PollFlags::IN
    } else {
        PollFlags::empty()
    };
    let mut fds = Vec::with_capacity(sources.len() + 2);
    let bell = process.outlet.room();
    fds.push(PollFd::from_borrowed_fd(bell, PollFlags::IN));
    if room {
        fds.extend(
            sources
                .iter()
                .map(|s| PollFd::from_borrowed_fd(s.fd.as_fd(), interest)),
        );
    }
    if end.is_none() {
        let pidfd = process.pidfd().as_fd();
        fds.push(PollFd::from_borrowed_fd(pidfd, PollFlags::IN));
    }
    let timeout = end.filter(|_| room).map(|at| {
        let left = LINGER.saturating_sub(at.elapsed()) + Duration::from_millis(1);
        Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        }
    });
    // An interrupted poll reports nothing and is repeated by the caller's loop.
    let polled = poll(&mut fds, timeout.as_ref()).is_ok();
    let hit = |fd: &PollFd<'_>| polled && !fd.revents().is_empty();
    let mut results = fds.iter().map(hit);
    let bell_rung = results.next().unwrap_or(false);
    let ready: Vec<bool> = if room {
        results.by_ref().take(sources.len()).collect()
    } else {
        Vec::new()
    };
    Ready {
        sources: ready,
        room: bell_rung,
        ended: results.next().unwrap_or(false),
    }
}

/// Takes what there is, once; false when no more can come.
fn pump(process: &Process, source: &Source, buffer: &mut [u8]) -> bool {
    match rustix::io::read(&source.fd, &mut *buffer) {
        Ok(0) => false,
        Ok(n) => {
            let bytes = buffer.get(..n).unwrap_or_default();
            process.outlet.push(source.output, clock::now(), bytes);
            true
        }
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => true,
        // A terminal whose last user is gone says EIO.
        Err(_) => false,
    }
}

#[derive(Clone, Copy)]
struct Status {
    code: u8,
    signal: Option<i32>,
}

impl Status {
    fn new(code: Option<i32>, signal: Option<i32>) -> Self {
        let number = code.or(signal.map(|s| 128 + s));
        Self {
            code: number.and_then(|n| u8::try_from(n).ok()).unwrap_or(255),
            signal,
        }
    }
}

fn reap(pid: u32) -> Option<Status> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                let signal = status.terminating_signal();
                return Some(Status::new(status.exit_status(), signal));
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            // Nobody else waits for it; should it be lost all the same, it counts as killed.
            Err(_) => return Some(Status::new(None, Some(libc::SIGKILL))),
        }
    }
}
