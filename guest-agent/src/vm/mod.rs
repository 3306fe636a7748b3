//! The agent as init of a real guest.
//!
//! The order is by what the host waits for: first listen, then say so, and only when a container
//! is asked for make the guest ready for one.

mod kmsg;
mod power;
mod root;
mod system;
mod vsock;

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use hull_protocol::agent::RootFs;
use hull_protocol::{VsockPort, power as wire};
use rustix::mount::MountFlags;

use crate::agent::Agent;
use crate::files::Trees;
use crate::platform::{Platform, PlatformError};
use crate::server::{Port, Server};
use crate::thread;

/// Runs the guest until it is powered off. Never returns: a kernel panics without its init.
pub fn run() -> ! {
    kmsg::report_panics();
    let server = Server::new(Agent::new(Vm::default()));
    match listen(&server) {
        Ok(never) => match never {},
        Err(e) => {
            kmsg::write(&format!("cannot listen on vsock: {e}"));
            power::off();
        }
    }
}

fn listen(server: &Server) -> io::Result<Infallible> {
    let control = vsock::Listener::bind(VsockPort::CONTROL)?;
    let stream = vsock::Listener::bind(VsockPort::STREAM)?;
    let files = vsock::Listener::bind(VsockPort::FILES)?;
    power::tell(wire::READY)?;
    for (port, listener) in [(Port::Stream, stream), (Port::Files, files)] {
        let server = server.clone();
        thread::spawn("listener", move || accept(&server, port, &listener))?;
    }
    accept(server, Port::Control, &control)
}

fn accept(server: &Server, port: Port, listener: &vsock::Listener) -> ! {
    loop {
        let accepted = listener.accept().and_then(|c| server.accept(port, c));
        if let Err(e) = accepted {
            kmsg::write(&format!("connection lost: {e}"));
        }
    }
}

/// The machine under a guest's kernel.
#[derive(Default)]
struct Vm {
    prepared: Mutex<bool>,
}

impl Platform for Vm {
    fn prepare(&self) -> Result<(), PlatformError> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if !*prepared {
            mount_system()?;
            *prepared = true;
        }
        Ok(())
    }

    fn root(&self, root: &RootFs) -> Result<OwnedFd, PlatformError> {
        root::assemble(root)
    }

    fn files(&self) -> Result<Trees, PlatformError> {
        root::trees()
    }

    fn cgroup(&self) -> PathBuf {
        PathBuf::from("/sys/fs/cgroup/container")
    }

    fn hidden(&self) -> &[&str] {
        &["/sys", "/proc", "/dev", "/run"]
    }

    fn set_clock(&self, time: u64) -> Result<(), PlatformError> {
        system::set_clock(time)
    }

    fn seed(&self, seed: &[u8]) -> Result<(), PlatformError> {
        system::seed(seed)
    }

    fn flush(&self) -> Result<(), PlatformError> {
        root::release()
    }

    fn power_off(&self) {
        power::off();
    }
}

/// A step of the set-up with its subject.
trait Step<T> {
    fn step(self, step: &'static str, subject: impl ToString) -> Result<T, PlatformError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str, subject: impl ToString) -> Result<T, PlatformError> {
        self.map_err(|e| PlatformError::System {
            step,
            subject: subject.to_string(),
            source: e.into(),
        })
    }
}

/// What a container needs around it. `/run` is a mount of its own so that a container can be
/// parted from everything below it at once.
fn mount_system() -> Result<(), PlatformError> {
    let usual = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let device = MountFlags::NOSUID | MountFlags::NOEXEC;
    for (kind, at, flags, data) in [
        ("proc", "/proc", usual, c""),
        ("sysfs", "/sys", usual, c""),
        ("cgroup2", "/sys/fs/cgroup", usual, c""),
        ("devtmpfs", "/dev", device, c"mode=755"),
        ("tmpfs", "/run", usual, c"mode=700"),
    ] {
        if !fs::exists(at).unwrap_or(false) {
            fs::create_dir_all(at).step("make", at)?;
        }
        rustix::mount::mount(kind, at, kind, flags, data).step("mount", at)?;
    }
    system::hurry_grace_periods();
    system::raise_limits();
    system::loopback_up()
}
