//! Starting a machine: its supervisor, waited for until it is ready.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{MachineError, Progress, await_end, connect, file, lock, make_private, remove};
use crate::settings::{Options, Paths};
use crate::supervisor::Report;

/// Starts the machine, unless it runs. One that ended by itself is started again, which
/// `progress` is told. Any number of callers may do this at once.
pub fn start(options: &Options, progress: Progress<'_>) -> Result<(), MachineError> {
    options.check()?;
    let paths = options.paths();
    // The usual case, without waiting for anyone.
    if paths.control().exists() && connect(&paths)?.is_some() {
        return agree(options, &paths);
    }
    if !rustix::process::geteuid().is_root() {
        return Err(MachineError::NotRoot);
    }
    for folder in [
        &options.state,
        &paths.state,
        &paths.boot,
        &options.run,
        &paths.run,
    ] {
        make_private(folder)?;
    }
    let _starting = lock(&paths.start_lock())?;
    if connect(&paths)?.is_some() {
        return agree(options, &paths);
    }
    // One that is being turned off, or whose starter was killed, keeps its lock.
    await_end(options, &paths)?;
    if paths.spec().exists() {
        progress(&format!(
            "the machine {} has ended by itself: starting it again",
            options.name
        ));
    }
    prepare(options, &paths)?;
    let mut supervisor = launch(options, &paths)?;
    let result = await_ready(&mut supervisor, &paths, progress);
    if result.is_err() {
        // Nothing runs, so nothing has ended by itself.
        remove(&paths.spec())?;
    }
    result
}

/// Whether the machine that runs has the clock that is wanted: times of one mean nothing in the
/// other. Its size is its own affair.
fn agree(options: &Options, paths: &Paths) -> Result<(), MachineError> {
    let path = paths.spec();
    let spec = match fs::read(&path) {
        Ok(spec) => spec,
        // It is being turned off.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file("read", &path)(error)),
    };
    let running: Options = serde_json::from_slice(&spec)
        .map_err(io::Error::from)
        .map_err(file("read", &path))?;
    if running.clock == options.clock {
        Ok(())
    } else {
        Err(MachineError::Clock(options.name.to_string()))
    }
}

fn prepare(options: &Options, paths: &Paths) -> Result<(), MachineError> {
    let program = paths.program();
    remove(&program)?;
    symlink(&options.program, &program).map_err(file("make", &program))?;
    let spec = paths.spec();
    let written = serde_json::to_vec(options).map_err(io::Error::from);
    written
        .and_then(|bytes| fs::write(&spec, bytes))
        .map_err(file("write", &spec))
}

fn launch(options: &Options, paths: &Paths) -> Result<Child, MachineError> {
    let log = paths.supervisor_log();
    let log_file = File::create(&log).map_err(file("write", &log))?;
    let mut command = Command::new(&options.program);
    command
        .args(["machine", "role", "supervisor"])
        .arg(paths.spec())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log_file);
    let prepare = || Ok(rustix::process::setsid().map(drop)?);
    // SAFETY: one plain system call between fork and exec: the machine does not get the
    // signals of the terminal that it was started from.
    unsafe { command.pre_exec(prepare) };
    command.spawn().map_err(|source| MachineError::Launch {
        program: options.program.clone(),
        source,
    })
}

fn await_ready(
    supervisor: &mut Child,
    paths: &Paths,
    progress: Progress<'_>,
) -> Result<(), MachineError> {
    let outcome = supervisor
        .stdout
        .take()
        .map(|pipe| read_reports(pipe, progress));
    match outcome.flatten() {
        Some(Report::Ready) => Ok(()),
        Some(Report::Failed(reason)) => {
            // It ends by itself; waiting for it leaves no zombie.
            let _ = supervisor.wait();
            Err(MachineError::Boot(reason))
        }
        Some(Report::Progress(_)) | None => {
            let _ = supervisor.kill();
            let _ = supervisor.wait();
            Err(silent(&paths.supervisor_log()))
        }
    }
}

/// The report that ends the start, if there is one.
fn read_reports(pipe: impl io::Read, progress: Progress<'_>) -> Option<Report> {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Report::Progress(what)) => progress(&what),
            Ok(report) => return Some(report),
            // Not ours; the end of the pipe tells if there is nothing else.
            Err(_) => {}
        }
    }
    None
}

fn silent(log: &Path) -> MachineError {
    match fs::read_to_string(log) {
        Ok(text) if !text.trim().is_empty() => MachineError::Boot(text.trim().to_owned()),
        _ => MachineError::Silent(log.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Option<Report>) {
        let mut told = Vec::new();
        let report = read_reports(text.as_bytes(), &mut |what| told.push(what.to_owned()));
        (told, report)
    }

    #[test]
    fn progress_is_passed_on_until_the_end_is_known() {
        let (told, report) = read("{\"progress\":\"a\"}\nnoise\n{\"progress\":\"b\"}\n\"ready\"\n");
        assert_eq!(told, ["a", "b"]);
        assert!(matches!(report, Some(Report::Ready)));
        let (_, report) = read("{\"failed\":\"no QEMU\"}\n");
        assert!(matches!(report, Some(Report::Failed(reason)) if reason == "no QEMU"));
        assert!(read("{\"progress\":\"a\"}\n").1.is_none());
    }
}
