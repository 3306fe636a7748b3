//! The host process that owns one machine: QEMU, virtiofsd, the tunnel and its sockets.
//!
//! ```text
//!   start ──► supervisor ──► virtiofsd, QEMU ──tunnel──► guest
//!                │ api.sock      each connection is a stream to hulld's socket
//!                │ control.sock  one request each: tunnel, status, publish, stop
//!                └ ports         published ones, on the host's loopback
//! ```
//!
//! It lives as long as QEMU does. Killed, it takes QEMU with it; what is left, `spec.json`,
//! tells the next start that the machine did not end by itself.

mod command;
mod console;
pub(crate) mod control;
mod disk;
mod process;
mod publish;
mod sockets;
mod tsc;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub(crate) use command::PORT;
use process::Guarded;

use crate::bootfiles::{self, BootFilesError};
use crate::mux::Mux;
use crate::parts::{self, Parts};
use crate::settings::{Clock, Options, Paths};
use crate::target::Target;

/// From QEMU's start to an answer through the tunnel, on a busy emulated machine.
const BOOT_DEADLINE: Duration = Duration::from_secs(150);

/// How often a machine whose kernel dies before it answers is booted.
const BOOT_TRIES: u32 = 3;

/// From the request to turn off to QEMU's end.
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub(crate) enum SupervisorError {
    #[error("cannot read the machine's spec {path}: {reason}")]
    Spec { path: PathBuf, reason: String },
    #[error("the emulated machine needs {missing}: {advice}")]
    Parts { missing: String, advice: String },
    #[error(transparent)]
    BootFiles(#[from] BootFilesError),
    #[error("the machine {0} runs already")]
    Alive(String),
    #[error("cannot {operation}: {source}")]
    System {
        operation: &'static str,
        source: io::Error,
    },
    #[error("cannot make the machine's disk {path}: {reason}")]
    Disk { path: PathBuf, reason: String },
    #[error("QEMU ended while the machine was booting ({0}){1}")]
    Died(String, Tail),
    #[error("the machine did not come up within {seconds} seconds{0}", seconds = BOOT_DEADLINE.as_secs())]
    Deadline(Tail),
}

/// The last of a log, below a message.
#[derive(Debug)]
pub(crate) struct Tail(pub(crate) String);

impl std::fmt::Display for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "; its console says:\n{}", self.0)
        }
    }
}

/// What the supervisor tells who started it, a line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    Progress(String),
    Ready,
    Failed(String),
}

/// Runs the machine that the file at `spec` describes, to its end.
pub(crate) fn run(spec: &Path) -> Result<(), SupervisorError> {
    let result = start(spec);
    match result {
        Ok(machine) => {
            report(&Report::Ready);
            // Whoever waits for the end of the reports need not wait for the machine's.
            detach_stdout();
            machine.attend();
            Ok(())
        }
        Err(error) => {
            report(&Report::Failed(error.to_string()));
            Err(error)
        }
    }
}

fn report(report: &Report) {
    // A starter that went away does not stop the machine.
    let _ = serde_json::to_string(report).map(|line| {
        let mut out = io::stdout();
        writeln!(out, "{line}").and_then(|()| out.flush())
    });
}

fn detach_stdout() {
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

fn system(operation: &'static str) -> impl FnOnce(io::Error) -> SupervisorError {
    move |source| SupervisorError::System { operation, source }
}

/// A machine that answers.
struct Machine {
    shared: Arc<Shared>,
    qemu: Guarded,
    virtiofsd: Guarded,
    paths: Paths,
    /// Held, not read.
    _alive: File,
}

/// What the connections' threads need.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) mux: Mux,
    pub(crate) published: publish::Published,
    pub(crate) started: Instant,
    pub(crate) qemu: u32,
    /// Set once somebody has asked for the end.
    pub(crate) stopping: Mutex<bool>,
}

fn start(spec: &Path) -> Result<Machine, SupervisorError> {
    let unreadable = |reason: String| SupervisorError::Spec {
        path: spec.to_owned(),
        reason,
    };
    let bytes = fs::read(spec).map_err(|e| unreadable(e.to_string()))?;
    let options: Options = serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
    let paths = options.paths();
    let alive = File::create(paths.alive_lock()).map_err(system("make the machine's lock"))?;
    alive
        .try_lock()
        .map_err(|_| SupervisorError::Alive(options.name.to_string()))?;

    let parts = Parts::find().map_err(|missing| SupervisorError::Parts {
        missing: missing
            .iter()
            .map(|m| m.what)
            .collect::<Vec<_>>()
            .join(", "),
        advice: parts::advice(&missing),
    })?;
    let boot = bootfiles::prepare(&parts, &paths.boot)?;
    disk::ensure(&parts.mkfs, &paths.disk(), options.disk_gib)?;
    fs::create_dir_all(crate::settings::DATA).map_err(system("make the daemon's folder"))?;
    let booted = boot_in_tries(|| boot_once(&parts, &options, &paths, &boot), &report)?;
    let machine = Machine {
        shared: Arc::new(Shared {
            options,
            mux: booted.mux,
            published: publish::Published::default(),
            started: booted.started,
            qemu: booted.qemu.id(),
            stopping: Mutex::new(false),
        }),
        qemu: booted.qemu,
        virtiofsd: booted.virtiofsd,
        paths,
        _alive: alive,
    };
    machine
        .listen()
        .map_err(system("listen for the machine's clients"))?;
    Ok(machine)
}

/// Boots again where the emulator, not the machine, was the reason that a boot failed: an
/// emulated processor may run into an instruction that another one is just rewriting, and the
/// kernel then stops.
fn boot_in_tries<B>(
    mut boot: impl FnMut() -> Result<B, SupervisorError>,
    report: &dyn Fn(&Report),
) -> Result<B, SupervisorError> {
    for next in 2..=BOOT_TRIES {
        match boot() {
            Err(error @ SupervisorError::Died(..)) => {
                eprintln!("{error}");
                report(&Report::Progress(format!(
                    "the machine died while booting: booting it again ({next} of {BOOT_TRIES})"
                )));
            }
            other => return other,
        }
    }
    boot()
}

/// QEMU with a guest that answers.
struct Booted {
    mux: Mux,
    qemu: Guarded,
    virtiofsd: Guarded,
    started: Instant,
}

fn boot_once(
    parts: &Parts,
    options: &Options,
    paths: &Paths,
    boot: &bootfiles::BootFiles,
) -> Result<Booted, SupervisorError> {
    report(&Report::Progress(format!(
        "booting the machine {}",
        options.name
    )));
    let started = Instant::now();
    let fs_socket = sockets::listen(&paths.fs()).map_err(system("listen for QEMU"))?;
    let (program, arguments) = command::virtiofsd(parts, process::number(&fs_socket));
    let virtiofsd = Guarded::spawn(
        &program,
        &arguments,
        &fs_socket.into(),
        process::Output::Log,
    )
    .map_err(system("start virtiofsd"))?;

    let (tunnel, theirs) = UnixStream::pair().map_err(system("make the tunnel"))?;
    let speed = match options.clock {
        Clock::Host => tsc::measure(),
        Clock::Instructions => tsc::COUNTING,
    };
    let number = process::number(&theirs);
    let (program, arguments) = command::qemu(parts, options, paths, boot, speed, number);
    let mut qemu = Guarded::spawn(&program, &arguments, &theirs.into(), process::Output::Pipe)
        .map_err(system("start QEMU"))?;
    if let Some(output) = qemu.take_output() {
        console::keep(output, &paths.console()).map_err(system("keep the console's log"))?;
    }
    let mux = Mux::new(tunnel.try_clone().map_err(system("use the tunnel"))?);
    let served = mux.clone();
    thread::spawn(move || served.serve(tunnel, |stream, _| stream.reset()));

    await_ready(&mux, &mut qemu, paths)?;
    Ok(Booted {
        mux,
        qemu,
        virtiofsd,
        started,
    })
}

/// Waits for the guest's first word, QEMU's end, or the deadline.
fn await_ready(mux: &Mux, qemu: &mut Guarded, paths: &Paths) -> Result<(), SupervisorError> {
    let stream = mux
        .open(&Target::Ready.to_string())
        .map_err(system("use the tunnel"))?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let word = stream.read(&mut [0; 16]);
        let _ = sender.send(matches!(word, Ok(count) if count > 0));
    });
    let tail = || Tail(console::tail(&paths.console()));
    let until = Instant::now() + BOOT_DEADLINE;
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(true) => return Ok(()),
            Ok(false) | Err(RecvTimeoutError::Disconnected) => {
                let status = qemu.end();
                return Err(SupervisorError::Died(status, tail()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(status) = qemu.ended() {
            return Err(SupervisorError::Died(status, tail()));
        }
        if Instant::now() >= until {
            return Err(SupervisorError::Deadline(tail()));
        }
    }
}

impl Machine {
    fn listen(&self) -> io::Result<()> {
        let api = sockets::listen(&self.paths.api())?;
        let control = sockets::listen(&self.paths.control())?;
        let shared = Arc::clone(&self.shared);
        spawn_acceptor(api, move |socket| sockets::to_daemon(&shared.mux, &socket));
        let shared = Arc::clone(&self.shared);
        spawn_acceptor(control, move |socket| control::serve(&shared, &socket));
        Ok(())
    }

    /// Until QEMU's end, whoever brought it about.
    fn attend(mut self) {
        let status = self.qemu.wait();
        let stopped = *self
            .shared
            .stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for socket in [self.paths.control(), self.paths.api(), self.paths.fs()] {
            let _ = fs::remove_file(socket);
        }
        if stopped {
            let _ = fs::remove_file(self.paths.spec());
        } else {
            eprintln!("QEMU ended by itself: {status}");
        }
        self.virtiofsd.end();
    }
}

fn spawn_acceptor(listener: UnixListener, serve: impl Fn(UnixStream) + Send + Sync + 'static) {
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            // Without a thread for it the connection is closed.
            let _ = thread::Builder::new().spawn(move || serve(socket));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn died() -> SupervisorError {
        SupervisorError::Died("signal: 9".into(), Tail(String::new()))
    }

    /// Boots that end as told, and what was said of them.
    fn boot(ends: Vec<Result<u32, SupervisorError>>) -> (Result<u32, SupervisorError>, u32, usize) {
        let (boots, told) = (Cell::new(0), RefCell::new(Vec::new()));
        let mut ends = ends.into_iter();
        let result = boot_in_tries(
            || {
                boots.set(boots.get() + 1);
                ends.next().unwrap_or_else(|| Err(died()))
            },
            &|report| told.borrow_mut().push(format!("{report:?}")),
        );
        (result, boots.get(), told.into_inner().len())
    }

    #[test]
    fn machine_whose_kernel_died_is_booted_again_and_that_is_told() {
        let (result, boots, told) = boot(vec![Err(died()), Ok(7)]);
        assert_eq!((result.unwrap(), boots, told), (7, 2, 1));
    }

    #[test]
    fn machine_that_always_dies_is_given_up() {
        let (result, boots, told) = boot(vec![]);
        assert!(matches!(result, Err(SupervisorError::Died(..))));
        assert_eq!((boots, told), (BOOT_TRIES, 2));
    }

    #[test]
    fn what_another_boot_cannot_mend_is_not_tried_again() {
        let (result, boots, told) = boot(vec![Err(SupervisorError::Deadline(Tail(String::new())))]);
        assert!(matches!(result, Err(SupervisorError::Deadline(_))));
        assert_eq!((boots, told), (1, 0));
    }
}
