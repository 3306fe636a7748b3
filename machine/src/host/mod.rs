//! What commands do with a machine: start, stop, remove, run things in it.
//!
//! Everything here blocks; an asynchronous caller puts it on a thread for that.

mod daemon;
mod launch;

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

pub use daemon::ensure;
pub use launch::start;

use crate::exec::Request as Command;
use crate::exec::client::{self, ExecError};
use crate::settings::{Options, OptionsError, Paths};
use crate::supervisor::STOP_DEADLINE;
use crate::supervisor::control::{self, Answer, Request, Status};
use crate::target::Target;

/// Why something with a machine did not work.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error("the emulated machine needs root, to give it the host's files")]
    NotRoot,
    #[error("cannot {operation} {path}: {source}")]
    File {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "the machine {0} runs with another clock: stop it first, or give this one another name"
    )]
    Clock(String),
    #[error("cannot start the machine's supervisor {program}: {source}")]
    Launch { program: PathBuf, source: io::Error },
    #[error("{0}")]
    Boot(String),
    #[error("the machine's supervisor ended without a word; see {0}")]
    Silent(PathBuf),
    #[error("the machine {0} is not running: start it with `hull machine start`")]
    NotRunning(String),
    #[error("the machine {0} is running: stop it first with `hull machine stop`")]
    Running(String),
    #[error("the machine's supervisor does not answer: {0}")]
    Control(io::Error),
    #[error("{0}")]
    Refused(String),
    #[error("the machine {0} did not end in time")]
    Deadline(String),
    #[error("there is no {0}: build it with `cargo xtask build`")]
    NoDaemon(PathBuf),
    #[error("hulld did not answer in the machine within {} seconds{log}", deadline.as_secs())]
    Daemon { deadline: Duration, log: String },
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// Told what is going on while something takes its time.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// The machine's state, if it runs.
pub fn status(options: &Options) -> Result<Option<Status>, MachineError> {
    let paths = options.paths();
    let Some(socket) = connect(&paths)? else {
        return Ok(None);
    };
    match ask(&socket, &Request::Status)? {
        Answer::Status(status) => Ok(Some(status)),
        other => Err(unexpected(other)),
    }
}

/// Turns the machine off, cleanly if it lets us; whether it was running.
pub fn stop(options: &Options) -> Result<bool, MachineError> {
    let paths = options.paths();
    if !paths.run.is_dir() {
        return Ok(false);
    }
    let _starting = lock(&paths.start_lock())?;
    let running = match connect(&paths)? {
        Some(socket) => match ask(&socket, &Request::Stop)? {
            Answer::Done => true,
            other => return Err(unexpected(other)),
        },
        None => false,
    };
    await_end(options, &paths)?;
    // Whatever state a killed machine left, it is stopped now.
    remove(&paths.spec())?;
    Ok(running)
}

/// Removes a stopped machine, with its disk.
pub fn remove_machine(options: &Options) -> Result<(), MachineError> {
    let paths = options.paths();
    let name = options.name.to_string();
    make_private(&paths.run)?;
    let _starting = lock(&paths.start_lock())?;
    if connect(&paths)?.is_some() {
        return Err(MachineError::Running(name));
    }
    await_end(options, &paths)?;
    for folder in [&paths.state, &paths.run] {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file("remove", folder)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Runs a command in the machine with this process's streams; gives its exit status.
pub fn exec(options: &Options, request: Command) -> Result<u8, MachineError> {
    let socket = tunnel(&options.paths(), &Target::Exec)?
        .ok_or_else(|| MachineError::NotRunning(options.name.to_string()))?;
    Ok(client::run(&socket, request)?)
}

/// Makes `machine`, an address inside, reachable at `host`, a loopback address here, for as
/// long as the machine runs. Gives the address, as the port may be 0.
pub fn publish(
    options: &Options,
    host: SocketAddr,
    machine: SocketAddr,
) -> Result<SocketAddr, MachineError> {
    match ask_running(options, &Request::Publish { host, machine })? {
        Answer::Published { host } => Ok(host),
        other => Err(unexpected(other)),
    }
}

/// Ends what [`publish`] began.
pub fn unpublish(options: &Options, host: SocketAddr) -> Result<(), MachineError> {
    match ask_running(options, &Request::Unpublish { host })? {
        Answer::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn ask_running(options: &Options, request: &Request) -> Result<Answer, MachineError> {
    let socket = connect(&options.paths())?
        .ok_or_else(|| MachineError::NotRunning(options.name.to_string()))?;
    ask(&socket, request)
}

/// A stream to `target` in the machine, if it runs.
fn tunnel(paths: &Paths, target: &Target) -> Result<Option<UnixStream>, MachineError> {
    let Some(socket) = connect(paths)? else {
        return Ok(None);
    };
    match ask(
        &socket,
        &Request::Tunnel {
            target: target.to_string(),
        },
    )? {
        Answer::Done => Ok(Some(socket)),
        other => Err(unexpected(other)),
    }
}

/// The control socket, if a supervisor listens on it.
fn connect(paths: &Paths) -> Result<Option<UnixStream>, MachineError> {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    let path = paths.control();
    match UnixStream::connect(&path) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => Ok(None),
        Err(error) => Err(file("connect to", &path)(error)),
    }
}

fn ask(socket: &UnixStream, request: &Request) -> Result<Answer, MachineError> {
    control::send(socket, request).map_err(MachineError::Control)?;
    control::receive(socket).map_err(MachineError::Control)
}

fn unexpected(answer: Answer) -> MachineError {
    match answer {
        Answer::Failed { reason } => MachineError::Refused(reason),
        other => MachineError::Refused(format!("the machine's supervisor answers {other:?}")),
    }
}

/// Waits until no supervisor holds the machine.
fn await_end(options: &Options, paths: &Paths) -> Result<(), MachineError> {
    let path = paths.alive_lock();
    let lock = File::create(&path).map_err(file("open", &path))?;
    let until = Instant::now() + STOP_DEADLINE + Duration::from_secs(5);
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(MachineError::Deadline(options.name.to_string()));
            }
            Err(TryLockError::Error(error)) => return Err(file("lock", &path)(error)),
        }
    }
}

fn lock(path: &Path) -> Result<File, MachineError> {
    let lock = File::create(path).map_err(file("open", path))?;
    lock.lock().map_err(file("lock", path))?;
    Ok(lock)
}

/// A folder for its owner only, with those above it.
fn make_private(folder: &Path) -> Result<(), MachineError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(file("make", folder))
}

fn remove(path: &Path) -> Result<(), MachineError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file("remove", path)(error)),
        _ => Ok(()),
    }
}

fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MachineError {
    let path = path.to_owned();
    move |source| MachineError::File {
        operation,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Clock, Name};

    fn options(folder: &Path) -> Options {
        let mut options = Options::new(Name::default()).unwrap();
        options.state = folder.join("state");
        options.run = folder.join("run");
        options
    }

    #[test]
    fn machine_that_never_was_is_not_running() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path());
        assert_eq!(status(&options).unwrap(), None);
        assert!(!stop(&options).unwrap());
        remove_machine(&options).unwrap();
        let error = exec(&options, Command::default()).unwrap_err();
        assert!(matches!(error, MachineError::NotRunning(_)), "{error}");
    }

    #[test]
    fn removal_takes_disk_and_state_of_this_machine_only() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path());
        let mut other = options.clone();
        other.name = "other".parse().unwrap();
        for machine in [&options, &other] {
            fs::create_dir_all(&machine.paths().state).unwrap();
            fs::write(machine.paths().disk(), "disk").unwrap();
        }
        remove_machine(&options).unwrap();
        assert!(!options.paths().state.exists());
        assert!(other.paths().disk().exists());
    }

    #[test]
    fn counting_machine_is_not_taken_for_one_with_the_hosts_clock() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = options(folder.path());
        running.cpus = 1;
        running.clock = Clock::Instructions;
        make_private(&running.paths().run).unwrap();
        let spec = serde_json::to_vec(&running).unwrap();
        fs::write(running.paths().spec(), spec).unwrap();
        let _supervisor =
            std::os::unix::net::UnixListener::bind(running.paths().control()).unwrap();
        start(&running, &mut |_| {}).unwrap();
        let wanted = Options {
            clock: Clock::Host,
            ..running
        };
        let error = start(&wanted, &mut |_| {}).unwrap_err();
        assert!(matches!(error, MachineError::Clock(_)), "{error}");
    }

    #[test]
    fn socket_of_a_killed_supervisor_is_no_machine() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path());
        make_private(&options.paths().run).unwrap();
        drop(std::os::unix::net::UnixListener::bind(options.paths().control()).unwrap());
        assert_eq!(status(&options).unwrap(), None);
    }
}
