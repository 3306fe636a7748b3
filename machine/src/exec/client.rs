//! The caller's side of an `exec`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use super::terminal::{self, Raw};
use super::wire::{self, Frame, Message, Request, Size};

/// Why an `exec` ended without its command's status.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    #[error("{reason}")]
    Refused { reason: String, status: u8 },
    #[error("the machine ended before the command did: {0}")]
    Lost(io::Error),
    #[error("cannot take over the terminal: {0}")]
    Terminal(io::Error),
    #[error("cannot pass signals on: {0}")]
    Signals(io::Error),
    #[error("cannot write the command's output: {0}")]
    Output(io::Error),
}

/// The size of the caller's terminal, if stdin is one.
pub fn terminal_size() -> Option<Size> {
    terminal::size()
}

/// Runs a command with this process's standard streams and signals; gives its exit status.
///
/// The thread that reads stdin is left behind: this is for a process that ends soon after.
pub(crate) fn run(stream: &UnixStream, request: Request) -> Result<u8, ExecError> {
    let tty = request.tty.is_some();
    let detached = request.detach.is_some();
    let sender = Sender(Arc::new(Mutex::new(
        stream.try_clone().map_err(ExecError::Lost)?,
    )));
    let ahead = Arc::new(Ahead::default());
    sender
        .message(&Message::Request(request))
        .map_err(ExecError::Lost)?;
    let _raw = if tty {
        Some(Raw::enter().map_err(ExecError::Terminal)?)
    } else {
        None
    };
    if !detached {
        forward_signals(sender.clone(), tty).map_err(ExecError::Signals)?;
        let ahead = Arc::clone(&ahead);
        thread::spawn(move || forward_input(&sender, &ahead));
    }
    receive(stream, &ahead)
}

fn receive(stream: &UnixStream, ahead: &Ahead) -> Result<u8, ExecError> {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    loop {
        match Frame::read(stream).map_err(ExecError::Lost)? {
            Frame::Output(bytes) => emit(&mut out, &bytes)?,
            Frame::ErrorOutput(bytes) => emit(&mut err, &bytes)?,
            Frame::Message(Message::InputTaken(count)) => ahead.taken(count as usize),
            Frame::Message(Message::Exited(status)) => return Ok(status),
            Frame::Message(Message::Refused { reason, status }) => {
                return Err(ExecError::Refused { reason, status });
            }
            Frame::Input(_) | Frame::Message(_) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, "frame out of turn");
                return Err(ExecError::Lost(error));
            }
        }
    }
}

fn emit(writer: &mut impl Write, bytes: &[u8]) -> Result<(), ExecError> {
    writer
        .write_all(bytes)
        .and_then(|()| writer.flush())
        .map_err(ExecError::Output)
}

/// The sending half, shared by the threads that have something to say.
#[derive(Clone)]
struct Sender(Arc<Mutex<UnixStream>>);

impl Sender {
    fn message(&self, message: &Message) -> io::Result<()> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wire::write_message(&*stream, message)
    }

    fn input(&self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wire::write_bytes(&*stream, wire::INPUT, bytes)
    }
}

/// Input sent that the command has not taken: bounded, so that a command which does not
/// read stops its caller's pipe and not the tunnel.
#[derive(Default)]
struct Ahead {
    bytes: Mutex<usize>,
    changed: Condvar,
}

impl Ahead {
    const LIMIT: usize = 128 * 1024;

    fn sending(&self, count: usize) {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = self
            .changed
            .wait_while(bytes, |bytes| *bytes + count > Self::LIMIT)
            .unwrap_or_else(PoisonError::into_inner);
        *bytes += count;
    }

    fn taken(&self, count: usize) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *bytes = bytes.saturating_sub(count);
        self.changed.notify_all();
    }
}

fn forward_input(sender: &Sender, ahead: &Ahead) {
    let mut stdin = io::stdin().lock();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let sent = match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                ahead.sending(count);
                sender.input(&buffer[..count])
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(_) => break,
        };
        if sent.is_err() {
            return;
        }
    }
    // Whoever receives the output sees it if the machine is gone.
    let _ = sender.message(&Message::InputEnd);
}

/// With a terminal, its own control characters make the signals, in the machine.
fn forward_signals(sender: Sender, tty: bool) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let message = match (signal, tty.then(terminal::size).flatten()) {
                (SIGWINCH, Some(size)) => Message::Resize(size),
                (SIGWINCH, None) => continue,
                (signal, _) => Message::Signal(signal),
            };
            if sender.message(&message).is_err() {
                break;
            }
        }
    });
    Ok(())
}
