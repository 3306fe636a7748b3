//! `hulld` in the machine: started when it does not answer.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{MachineError, Progress, file, lock, start, tunnel};
use crate::exec::{self, client::ExecError};
use crate::settings::{DAEMON_SOCKET, Options, Paths};
use crate::target::Target;

/// From its start to its first answer, on a busy emulated machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// What of the caller's environment the daemon gets: its own options.
const VARIABLES: [&str; 2] = ["HULL_BOOT_DEADLINE", "HULL_SCRATCH_SIZE"];

/// Lines of its log below an error message.
const LOG_LINES: usize = 15;

/// Starts the machine if it does not run, and `hulld` in it if that does not answer. Gives
/// the socket on which `hulld` can be talked to, here on the host.
pub fn ensure(options: &Options, progress: Progress<'_>) -> Result<PathBuf, MachineError> {
    start(options, progress)?;
    let paths = options.paths();
    if answers(&paths.api()) {
        return Ok(paths.api());
    }
    let _starting = lock(&paths.start_lock())?;
    // Another command may have started it meanwhile.
    if !answers(&paths.api()) {
        if !options.daemon.is_file() {
            return Err(MachineError::NoDaemon(options.daemon.clone()));
        }
        progress("starting hulld in the machine");
        launch(options, &paths)?;
        await_answer(&paths)?;
    }
    Ok(paths.api())
}

fn launch(options: &Options, paths: &Paths) -> Result<(), MachineError> {
    let log = paths.daemon_log();
    // Made here, so that it can be read whatever happens inside.
    fs::write(&log, "").map_err(file("write", &log))?;
    let address = format!("unix://{DAEMON_SOCKET}");
    let request = exec::Request {
        argv: vec![
            options.daemon.display().to_string(),
            "-H".to_owned(),
            address,
        ],
        env: VARIABLES
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect(),
        cwd: PathBuf::from("/"),
        detach: Some(log),
        ..exec::Request::default()
    };
    let stream = tunnel(paths, &Target::Exec)?
        .ok_or_else(|| MachineError::NotRunning(options.name.to_string()))?;
    let status = exec::client::run(&stream, request)?;
    // A detached command's answer is that it was started.
    if status == 0 {
        Ok(())
    } else {
        Err(lost("hulld was not started"))
    }
}

fn lost(what: &'static str) -> MachineError {
    MachineError::Exec(ExecError::Lost(io::Error::other(what)))
}

fn await_answer(paths: &Paths) -> Result<(), MachineError> {
    let until = Instant::now() + DEADLINE;
    while !answers(&paths.api()) {
        if Instant::now() >= until {
            let log = tail(&paths.daemon_log());
            return Err(MachineError::Daemon {
                deadline: DEADLINE,
                log,
            });
        }
        // Its socket appears inside the machine, which no event tells here.
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Whether `GET /_ping` is answered with success.
fn answers(api: &Path) -> bool {
    ping(api).unwrap_or(false)
}

fn ping(api: &Path) -> io::Result<bool> {
    const OK: &[u8] = b"HTTP/1.1 200";
    let mut socket = UnixStream::connect(api)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    socket.write_all(b"GET /_ping HTTP/1.1\r\nHost: hull\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; OK.len()];
    socket.read_exact(&mut status)?;
    socket.shutdown(Shutdown::Both)?;
    Ok(status == OK)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    if last.is_empty() {
        String::new()
    } else {
        format!("; it says:\n{last}")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn served(answer: &'static [u8]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.sock");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 1024]);
            let _ = socket.write_all(answer);
        });
        answers(&path)
    }

    #[test]
    fn only_success_is_an_answer() {
        assert!(served(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"));
        assert!(!served(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"));
        assert!(!served(b""));
        assert!(!answers(Path::new("/nonexistent/api.sock")));
    }
}
