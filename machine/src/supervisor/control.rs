//! The control socket: one request on each connection, answered once; after a tunnel's
//! answer the connection is the tunnel.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{STOP_DEADLINE, Shared};
use crate::mux::splice;
use crate::target::Target;

const MAX_LENGTH: u32 = 64 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Tunnel {
        target: String,
    },
    Status,
    Publish {
        host: SocketAddr,
        machine: SocketAddr,
    },
    Unpublish {
        host: SocketAddr,
    },
    Stop,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Done,
    Status(Status),
    Published { host: SocketAddr },
    Failed { reason: String },
}

/// A machine that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub name: String,
    pub cpus: u32,
    pub memory_mib: u32,
    /// QEMU's process on the host.
    pub pid: u32,
    pub up_seconds: u64,
}

pub(crate) fn send(mut socket: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut frame = (bytes.len() as u32).to_le_bytes().to_vec();
    frame.extend(bytes);
    socket.write_all(&frame)
}

pub(crate) fn receive<T: DeserializeOwned>(mut socket: &UnixStream) -> io::Result<T> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_LENGTH {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "message too long",
        ));
    }
    let mut bytes = vec![0; length as usize];
    socket.read_exact(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

pub(super) fn serve(shared: &Shared, socket: &UnixStream) {
    // A client that goes away needs no answer.
    let _ = receive(socket).and_then(|request| answer(shared, socket, request));
}

fn answer(shared: &Shared, socket: &UnixStream, request: Request) -> io::Result<()> {
    let done = |result: io::Result<Answer>| {
        let failed = |error: io::Error| Answer::Failed {
            reason: error.to_string(),
        };
        send(socket, &result.unwrap_or_else(failed))
    };
    match request {
        Request::Status => send(socket, &Answer::Status(status(shared))),
        Request::Publish { host, machine } => done(
            shared
                .published
                .add(&shared.mux, host, machine)
                .map(|host| Answer::Published { host }),
        ),
        Request::Unpublish { host } => done(shared.published.remove(host).map(|()| Answer::Done)),
        Request::Stop => done(stop(shared).map(|()| Answer::Done)),
        Request::Tunnel { target } => {
            // Clients have no business with the rest.
            let target: Target = match target.parse() {
                Ok(target @ (Target::Unix(_) | Target::Tcp(_) | Target::Exec)) => target,
                _ => return done(Err(io::Error::other("no such target"))),
            };
            let stream = match shared.mux.open(&target.to_string()) {
                Ok(stream) => stream,
                Err(error) => return done(Err(error)),
            };
            send(socket, &Answer::Done)?;
            splice(&stream, socket);
            Ok(())
        }
    }
}

fn status(shared: &Shared) -> Status {
    Status {
        name: shared.options.name.to_string(),
        cpus: shared.options.cpus,
        memory_mib: shared.options.memory_mib,
        pid: shared.qemu,
        up_seconds: shared.started.elapsed().as_secs(),
    }
}

/// Asks the guest to turn off. QEMU's end, awaited elsewhere, is the supervisor's; one that
/// does not come is brought about.
fn stop(shared: &Shared) -> io::Result<()> {
    let mut stopping = shared
        .stopping
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if std::mem::replace(&mut *stopping, true) {
        return Ok(());
    }
    let stream = shared.mux.open(&Target::PowerOff.to_string())?;
    let qemu = Pid::from_raw(shared.qemu as i32)
        .ok_or_else(|| io::Error::other("QEMU has no process id"))?;
    let qemu = pidfd_open(qemu, PidfdFlags::empty())?;
    thread::Builder::new()
        .name("stop-deadline".into())
        .spawn(move || {
            thread::sleep(STOP_DEADLINE.saturating_sub(Duration::from_secs(2)));
            eprintln!("the machine did not turn off in time: killing QEMU");
            // This thread only lives on while the supervisor, and so QEMU, does.
            let _ = pidfd_send_signal(qemu, Signal::KILL);
            drop(stream);
        })?;
    Ok(())
}
