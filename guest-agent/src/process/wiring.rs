//! The pipes or the terminal between a process and the agent.

use std::os::fd::{AsFd, OwnedFd};

use hull_protocol::agent::{Stdio, TerminalSize};
use hull_protocol::stream::Output;
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::Winsize;

pub(crate) use crate::process::keeper::Source;
use crate::process::stdin::Sink;

/// Why stdio could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WiringError {
    #[error("cannot make a pipe for stdio")]
    Pipe(#[source] std::io::Error),
    #[error("cannot open /dev/null for stdin")]
    Null(#[source] std::io::Error),
    #[error("cannot {step} a terminal")]
    Terminal {
        step: &'static str,
        #[source]
        source: std::io::Error,
    },
}

/// What the agent keeps.
pub(crate) struct AgentEnds {
    pub(crate) outputs: Vec<Source>,
    pub(crate) stdin: Option<Sink>,
    /// The terminal's master side, for its size.
    pub(crate) terminal: Option<OwnedFd>,
}

/// What the process gets.
pub(crate) struct ChildEnds {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// The number of the pty where these are one.
    pub(crate) pty: Option<u32>,
}

/// Makes both ends. `devpts` is the container's own instance, mounted or not.
pub(crate) fn wire(stdio: Stdio, devpts: &OwnedFd) -> Result<(AgentEnds, ChildEnds), WiringError> {
    match stdio.terminal {
        None => pipes(stdio.stdin),
        Some(size) => terminal(stdio.stdin, size, devpts),
    }
}

fn pipes(with_stdin: bool) -> Result<(AgentEnds, ChildEnds), WiringError> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|e| WiringError::Pipe(e.into()));
    let (out_read, out_write) = pipe()?;
    let (err_read, err_write) = pipe()?;
    let (child_stdin, sink) = if with_stdin {
        let (read, write) = pipe()?;
        (read, Some(Sink::Pipe(write)))
    } else {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let null = rustix::fs::open("/dev/null", flags, Mode::empty())
            .map_err(|e| WiringError::Null(e.into()))?;
        (null, None)
    };
    let agent = AgentEnds {
        outputs: vec![
            Source {
                fd: out_read,
                output: Output::Stdout,
                held: None,
            },
            Source {
                fd: err_read,
                output: Output::Stderr,
                held: None,
            },
        ],
        stdin: sink,
        terminal: None,
    };
    let child = ChildEnds {
        stdin: child_stdin,
        stdout: out_write,
        stderr: err_write,
        pty: None,
    };
    Ok((agent, child))
}

fn terminal(
    with_stdin: bool,
    size: TerminalSize,
    devpts: &OwnedFd,
) -> Result<(AgentEnds, ChildEnds), WiringError> {
    let failed = |step| {
        move |source: rustix::io::Errno| WiringError::Terminal {
            step,
            source: source.into(),
        }
    };
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master =
        rustix::fs::openat(devpts, "ptmx", flags, Mode::empty()).map_err(failed("open"))?;
    rustix::pty::unlockpt(&master).map_err(failed("unlock"))?;
    let number = pty_number(&master).map_err(|source| WiringError::Terminal {
        step: "number",
        source,
    })?;
    let slave = rustix::pty::ioctl_tiocgptpeer(
        &master,
        rustix::pty::OpenptFlags::RDWR
            | rustix::pty::OpenptFlags::NOCTTY
            | rustix::pty::OpenptFlags::CLOEXEC,
    )
    .map_err(failed("open the process's side of"))?;
    set_size(&master, size).map_err(|source| WiringError::Terminal {
        step: "size",
        source,
    })?;
    let copy = |fd: &OwnedFd| {
        fd.try_clone().map_err(|source| WiringError::Terminal {
            step: "duplicate",
            source,
        })
    };
    let agent = AgentEnds {
        outputs: vec![Source {
            fd: copy(&master)?,
            output: Output::Stdout,
            held: Some(copy(&slave)?),
        }],
        stdin: match with_stdin {
            true => Some(Sink::Terminal(copy(&master)?)),
            false => None,
        },
        terminal: Some(master),
    };
    let child = ChildEnds {
        stdin: copy(&slave)?,
        stdout: copy(&slave)?,
        stderr: slave,
        pty: Some(number),
    };
    Ok((agent, child))
}

fn pty_number(master: &OwnedFd) -> std::io::Result<u32> {
    use std::os::fd::AsRawFd;
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes one unsigned int to the pointer, which outlives the call.
    let result = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number) };
    if result == 0 {
        Ok(number)
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// Sets a terminal's size; zeros leave it unknown.
pub(crate) fn set_size(terminal: &impl AsFd, size: TerminalSize) -> std::io::Result<()> {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}
