//! A terminal for a client, with somebody typing at it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::DEADLINE;

/// How often it is looked whether a program has ended.
const POLL: Duration = Duration::from_millis(100);

/// A program on a terminal.
#[derive(Debug)]
pub struct Pty {
    child: Child,
    screen: File,
    output: Receiver<Vec<u8>>,
    /// Everything it has shown so far.
    pub seen: String,
    /// How much that was when something was typed last.
    typed_at: usize,
}

impl Pty {
    /// Starts a command on a terminal of 24 rows and 80 columns.
    pub fn start(mut command: Command) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let path = std::path::Path::new(name.to_str().unwrap());
        let mut options = File::options();
        // Not the terminal of this process, which would hang up with it.
        options.read(true).write(true).custom_flags(libc::O_NOCTTY);
        let terminal: OwnedFd = options.open(path).unwrap().into();
        resize(&controller, 24, 80);
        command.stdin(Stdio::from(terminal.try_clone().unwrap()));
        command.stdout(Stdio::from(terminal.try_clone().unwrap()));
        command.stderr(Stdio::from(terminal));
        // SAFETY: only async-signal-safe system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        let screen = File::from(controller);
        let mut reader = screen.try_clone().unwrap();
        let (send, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose last process has gone reads as an error.
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 || send.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            screen,
            output,
            seen: String::new(),
            typed_at: 0,
        }
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.typed_at = self.seen.len();
        self.screen.write_all(text.as_bytes()).unwrap();
    }

    /// Changes the window.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.screen, rows, columns);
    }

    /// Waits until this has been shown, and forgets all up to there.
    ///
    /// # Panics
    /// When it is not shown in time.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!(
                    "{text:?} was not shown; the rest of the screen:\n{}",
                    self.seen
                ),
            }
        }
    }

    /// Waits until what is shown ends with one of these, if the program does not end before.
    ///
    /// # Panics
    /// When neither happens in time.
    #[track_caller]
    pub fn wait_for_end(&mut self, endings: &[&str]) {
        let start = Instant::now();
        while self.seen.len() <= self.typed_at || !endings.iter().any(|e| self.seen.ends_with(e)) {
            let left = DEADLINE.saturating_sub(start.elapsed());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!(
                    "none of {endings:?} was shown; the rest of the screen:\n{}",
                    self.seen
                ),
            }
        }
    }

    /// Waits for the program's end; gives its exit code.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn wait(self) -> i32 {
        self.finish().1
    }

    /// Waits for the program's end; gives what has been shown and its exit code.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn finish(mut self) -> (String, i32) {
        let start = Instant::now();
        // Its terminal reads as an error once it has gone, which ends the thread that reads.
        let mut status = None;
        let mut shows = true;
        loop {
            let left = DEADLINE.saturating_sub(start.elapsed());
            assert!(
                !left.is_zero(),
                "the program did not end; the rest of the screen:\n{}",
                self.seen
            );
            if status.is_none() {
                status = self.child.try_wait().unwrap();
            }
            match (status, shows) {
                (Some(status), false) => return (self.seen, status.code().unwrap_or(-1)),
                (None, false) => std::thread::park_timeout(POLL),
                (_, true) => match self.output.recv_timeout(left.min(POLL)) {
                    Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => shows = false,
                },
            }
        }
    }
}

fn resize(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}
