//! One `hulld`, and clients of it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::programs::{busybox, docker, own_disk, program};
use crate::{DEADLINE, Output, Traces, eventually};

/// A daemon of the test's own. Its containers and files go with it.
#[derive(Debug)]
pub struct Daemon {
    folder: TempDir,
    process: Child,
    options: Vec<String>,
}

impl Daemon {
    /// Starts one, empty.
    pub fn empty() -> Self {
        Self::with_options(&[])
    }

    /// The same, with options of its own.
    pub fn with_options(options: &[&str]) -> Self {
        Self::prepared(options, |_| ())
    }

    /// The same, once something has been done with the folder that its data root will be in.
    pub fn prepared(options: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let parent = std::env::var_os("HULL_TEST_DIR").map_or_else(own_disk, PathBuf::from);
        let folder = tempfile::Builder::new()
            .prefix("hull-test-")
            .tempdir_in(parent)
            .unwrap();
        prepare(folder.path());
        let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        let process = spawn(folder.path(), &options);
        let daemon = Self {
            folder,
            process,
            options,
        };
        daemon.wait_ready();
        daemon
    }

    /// Starts one with the busybox image.
    pub fn with_busybox() -> Self {
        let daemon = Self::empty();
        daemon.load_busybox().ok();
        daemon
    }

    /// Loads the busybox image.
    pub fn load_busybox(&self) -> Output {
        self.hull(["load", "-q", "-i", busybox()])
    }

    /// Kills the daemon as a power cut would, and starts it again on the same state.
    pub fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(self.folder.path(), &self.options);
        self.wait_ready();
    }

    /// What could be left behind by VMs.
    pub fn traces(&self) -> Traces {
        Traces::of(self.folder.path())
    }

    /// Its state and run folders' parent.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its socket, as clients name it.
    pub fn host(&self) -> String {
        format!("unix://{}", socket(self.folder.path()).display())
    }

    /// Runs `hull` with its stdin closed.
    pub fn hull<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.run(program("hull"), arguments, b"")
    }

    /// Runs `hull` with this on stdin.
    pub fn hull_with<S: AsRef<str>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        stdin: &[u8],
    ) -> Output {
        self.run(program("hull"), arguments, stdin)
    }

    /// Runs the real `docker` with its stdin closed.
    pub fn docker<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.run(docker().into(), arguments, b"")
    }

    /// `hull` as a command, to be run some other way.
    pub fn command<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program("hull"));
        command.args(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self.address(&mut command);
        command
    }

    /// Has a command talk to this daemon.
    pub(crate) fn address(&self, command: &mut Command) {
        command
            .env_remove("HULL_HOST")
            .env("DOCKER_HOST", self.host());
        command.env("DOCKER_CONFIG", self.folder.path().join("docker-config"));
    }

    fn run<S: AsRef<str>>(
        &self,
        program: PathBuf,
        arguments: impl IntoIterator<Item = S>,
        stdin: &[u8],
    ) -> Output {
        let arguments: Vec<String> = arguments
            .into_iter()
            .map(|a| a.as_ref().to_owned())
            .collect();
        let line = format!("{} {}", program.display(), arguments.join(" "));
        let mut command = Command::new(program);
        command.args(&arguments);
        self.address(&mut command);
        finish(line, command, stdin)
    }

    fn wait_ready(&self) {
        let socket = socket(self.folder.path());
        let start = Instant::now();
        eventually("hulld answers", || {
            assert!(start.elapsed() < DEADLINE, "{}", self.log());
            UnixStream::connect(&socket).is_ok()
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("hulld.log")).unwrap_or_default()
    }

    fn print_everything(&self) {
        eprintln!("--- hulld\n{}", self.log());
        for entry in walk(self.folder.path()) {
            let name = entry
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            if ["vmm.log", "console", "console.log", "stderr", "report"].contains(&name) {
                let text = fs::read_to_string(&entry).unwrap_or_default();
                eprintln!("--- {}\n{text}", entry.display());
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_everything();
        }
        let ids = self.hull(["ps", "-aq"]).stdout;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            self.hull(["rm", "-f"].into_iter().chain(ids));
        }
        let pid = rustix::process::Pid::from_child(&self.process);
        // Gone already, if the test killed it.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

fn spawn(folder: &Path, options: &[String]) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("hulld.log"))
        .unwrap();
    Command::new(program("hulld"))
        .arg("--data-root")
        .arg(folder.join("data"))
        .arg("--run-dir")
        .arg(folder.join("run"))
        .arg("-H")
        .arg(format!("unix://{}", socket(folder).display()))
        .args(options)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Runs a command with this on its stdin to its end; one that does not end is killed with all that
/// it has started.
pub(crate) fn finish(line: String, mut command: Command, stdin: &[u8]) -> Output {
    command.stdin(Stdio::piped()).process_group(0);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{line}: {e}"));
    if let Some(mut pipe) = child.stdin.take() {
        let bytes = stdin.to_vec();
        // A client that does not read its stdin ends it: that is its business.
        std::thread::spawn(move || pipe.write_all(&bytes));
    }
    let watched = child.id();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if ended.recv_timeout(DEADLINE * 2).is_err() {
            let group = rustix::process::Pid::from_raw(watched as i32);
            let kill = rustix::process::Signal::KILL;
            group.map(|group| rustix::process::kill_process_group(group, kill));
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    guard.join().unwrap();
    Output::new(line, output)
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("hull.sock")
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
