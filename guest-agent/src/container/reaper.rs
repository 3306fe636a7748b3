//! The small init of `--init`: PID 1 of the container, with the program as its child.
//!
//! It passes every signal on, reaps what is orphaned, and ends as its child ends. It does not
//! touch anything else: a child that ignores a signal goes on ignoring it.

use rustix::process::{Pid, WaitOptions};

use crate::container::persona::{Ready, default_signals, exit};

/// Starts the program as a child and stays as PID 1.
pub(crate) fn run(ready: Ready) -> ! {
    let all = block_all();
    // SAFETY: this process has one thread, so the child may go on as any program.
    match unsafe { libc::fork() } {
        -1 => exit(254),
        0 => {
            own_group();
            default_signals();
            ready.execute()
        }
        child => {
            drop(ready);
            close_all();
            let _ = rustix::thread::set_name(c"hull-init");
            serve(child, &all)
        }
    }
}

fn serve(child: libc::pid_t, all: &libc::sigset_t) -> ! {
    loop {
        let mut signal = 0;
        // SAFETY: both pointers are to live locals and the set is initialised.
        if unsafe { libc::sigwait(all, &raw mut signal) } != 0 {
            continue;
        }
        match signal {
            libc::SIGCHLD => reap(child),
            // The kernel sends these to a background process that touches the terminal: its
            // business is the child's.
            libc::SIGTTIN | libc::SIGTTOU => {}
            _ => {
                // SAFETY: kill takes numbers; a child that just ended is a zombie until reaped.
                unsafe { libc::kill(child, signal) };
            }
        }
    }
}

fn reap(child: libc::pid_t) {
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if Pid::from_raw(child) == Some(pid) {
            let code = status.exit_status();
            let signal = status.terminating_signal().map(|s| 128 + s);
            exit(code.or(signal).unwrap_or(255));
        }
    }
}

/// The child gets the keyboard's signals as a group of its own, in the foreground.
fn own_group() {
    // Without a terminal there is no foreground, and a child that stays in the group of its
    // parent runs all the same.
    let _ = rustix::process::setpgid(None, None);
    if rustix::termios::isatty(rustix::stdio::stdin()) {
        let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
    }
}

fn block_all() -> libc::sigset_t {
    // SAFETY: a signal set is plain bits, for which zeros are valid.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a local signal set.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: the set is initialised and the old one is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()) };
    all
}

/// Descriptors that close on exec would stay open here: among them the pipe whose end says that
/// the program runs. PID 1 also lets go of stdio, so that the program's own end of it counts.
fn close_all() {
    // SAFETY: nothing in this process uses a descriptor after this.
    unsafe { libc::close_range(0, libc::c_uint::MAX, 0) };
}
