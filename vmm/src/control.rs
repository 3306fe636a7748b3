//! The main thread: answers the control socket until the VM ends.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};

use hull_protocol::frame::{self, Decoder};
use hull_protocol::vmm::{Control, ControlReply, ExitReason};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::signal::block_signal;

use crate::machine::{Machine, ended_fd};

const ENDED: u64 = 0;
const LISTENER: u64 = 1;
const SIGNAL: u64 = 2;
const FIRST_CONNECTION: u64 = 16;
/// Engines that talk at once; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 8;

struct Connection {
    token: u64,
    stream: UnixStream,
    decoder: Decoder,
}

/// Holds SIGTERM back until somebody takes it. To be called before the VM is announced, as the
/// engine may end it from then on, and before there are threads: they inherit the blocked signal.
///
/// # Errors
/// The signal cannot be blocked.
pub fn hold_termination() -> io::Result<()> {
    block_signal(libc::SIGTERM).map_err(|e| io::Error::other(format!("{e:?}")))
}

/// The descriptor by which SIGTERM arrives, one that was held back before too.
#[derive(Debug)]
pub struct Termination(std::os::fd::OwnedFd);

impl Termination {
    /// Turns SIGTERM, which is held back, into a descriptor.
    ///
    /// # Errors
    /// No descriptor can be had.
    pub fn new() -> io::Result<Self> {
        use std::os::fd::FromRawFd;
        // SAFETY: an all-zero set is valid, and is initialised by the next call.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set lives for the call.
        unsafe { libc::sigemptyset(&raw mut set) };
        // SAFETY: as above.
        unsafe { libc::sigaddset(&raw mut set, libc::SIGTERM) };
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        // SAFETY: as above.
        let fd = unsafe { libc::signalfd(-1, &raw const set, flags) };
        crate::jail::check(fd.into())?;
        // SAFETY: the descriptor was just made and is nobody else's.
        Ok(Self(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) }))
    }
}

/// Runs the VM to its end.
///
/// # Errors
/// The loop itself cannot go on; the VM is then to be stopped.
pub fn serve(machine: &mut Machine, listener: &UnixListener, term: &Termination) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    let watch = |fd, token| {
        epoll.ctl(
            ControlOperation::Add,
            fd,
            EpollEvent::new(EventSet::IN, token),
        )
    };
    watch(ended_fd(machine), ENDED)?;
    watch(listener.as_raw_fd(), LISTENER)?;
    watch(term.0.as_raw_fd(), SIGNAL)?;
    let mut connections: Vec<Connection> = Vec::new();
    let mut next_token = FIRST_CONNECTION;
    let mut events = [EpollEvent::default(); 16];
    loop {
        let count = match epoll.wait(-1, &mut events) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        for event in events.iter().take(count) {
            match event.data() {
                ENDED => return Ok(()),
                SIGNAL => machine
                    .ending()
                    .end(ExitReason::Stopped, "stopped by SIGTERM"),
                LISTENER => {
                    let Ok((stream, _)) = listener.accept() else {
                        continue;
                    };
                    if connections.len() == MAX_CONNECTIONS || stream.set_nonblocking(true).is_err()
                    {
                        continue;
                    }
                    if watch(stream.as_raw_fd(), next_token).is_ok() {
                        let decoder = Decoder::default();
                        connections.push(Connection {
                            token: next_token,
                            stream,
                            decoder,
                        });
                        next_token += 1;
                    }
                }
                token => {
                    let Some(at) = connections.iter().position(|c| c.token == token) else {
                        continue;
                    };
                    if !receive(&mut connections[at], machine) {
                        connections.swap_remove(at);
                    }
                }
            }
        }
    }
}

/// Handles what a connection has sent; `false` once it is over.
fn receive(connection: &mut Connection, machine: &mut Machine) -> bool {
    let mut buffer = [0; 1024];
    match connection.stream.read(&mut buffer) {
        Ok(0) => return false,
        Ok(n) => connection.decoder.push(&buffer[..n]),
        Err(e) => return e.kind() == io::ErrorKind::WouldBlock,
    }
    loop {
        match connection.decoder.take::<Control>() {
            Ok(Some(request)) => {
                let reply = answer(&request, machine);
                // Replies are far smaller than a socket's buffer: one that does not fit means
                // that the engine does not read, and is dropped with its connection.
                let sent = frame::encode(&reply)
                    .is_ok_and(|bytes| connection.stream.write_all(&bytes).is_ok());
                if !sent {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn answer(request: &Control, machine: &mut Machine) -> ControlReply {
    match request {
        Control::Pause => machine.pause(),
        Control::Resume => machine.resume(),
        Control::Stop => machine
            .ending()
            .end(ExitReason::Stopped, "stopped by the engine"),
        Control::Info => return ControlReply::Info(machine.info()),
        Control::Metrics => return ControlReply::Metrics(machine.metrics()),
    }
    ControlReply::Done
}
