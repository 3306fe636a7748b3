//! A `hulld` of a test's own: its own directories, socket and process.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Ends with the test; its log is printed if the test fails.
pub(crate) struct Daemon {
    child: Child,
    /// `None` only while it is handed on.
    dir: Option<tempfile::TempDir>,
    /// Where it says that it listens.
    addresses: Vec<String>,
}

/// A command that runs `hulld` on directories below `dir`.
pub(crate) fn hulld(dir: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hulld"));
    command.env_clear().args(["--log-level", "debug"]);
    command
        .arg("--data-root")
        .arg(dir.join("data"))
        .arg("--run-dir")
        .arg(dir.join("run"));
    command
}

impl Daemon {
    /// Returns once it is ready.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more options.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), options)
    }

    /// The same, on more addresses than its own socket.
    pub(crate) fn start_on(hosts: &[&str], options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = format!("unix://{}", dir.path().join("run/hull.sock").display());
        let hosts = std::iter::once(&*own).chain(hosts.iter().copied());
        let options: Vec<&str> = hosts
            .flat_map(|host| ["-H", host])
            .chain(options.iter().copied())
            .collect();
        Self::start_in(dir, &options)
    }

    /// Where it listens, its own socket first.
    pub(crate) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    fn start_in(dir: tempfile::TempDir, options: &[&str]) -> Self {
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = hulld(dir.path())
            .args(options)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Self {
            child,
            dir: Some(dir),
            addresses: Vec::new(),
        };
        let mut line = String::new();
        let stdout = daemon.child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready = line.trim_end().strip_prefix("hulld ready: ");
        let addresses = ready.expect("it is ready").split(' ');
        daemon.addresses = addresses.map(str::to_owned).collect();
        assert_eq!(daemon.addresses[0], daemon.host());
        daemon
    }

    /// Starts it again on the same directories, once it has ended.
    pub(crate) fn again(mut self) -> Self {
        Self::start_in(self.dir.take().unwrap(), &[])
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.as_ref().unwrap().path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir().join("run/hull.sock")
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Sends a request as it is, and everything that comes back until the connection ends.
    pub(crate) fn exchange(&self, request: &str) -> String {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Runs the real docker command line against it.
    pub(crate) fn docker(&self, args: &[&str]) -> Run {
        self.docker_with(args, b"")
    }

    /// The same, with input.
    pub(crate) fn docker_with(&self, args: &[&str], input: &[u8]) -> Run {
        let mut docker = Command::new("docker");
        docker
            .env_remove("DOCKER_CONTEXT")
            .env("DOCKER_CONFIG", self.dir().join("config"));
        docker.arg("--host").arg(self.host()).args(args);
        docker
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = docker.spawn().expect("docker's command line is installed");
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A client that does not read its input makes the write fail, which is its right.
        let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        feeding.join().unwrap();
        output.into()
    }

    /// Sends a signal; gives the exit status that follows.
    pub(crate) fn end(mut self, signal: rustix::process::Signal) -> std::process::ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking()
            && let Some(dir) = &self.dir
        {
            let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            eprintln!("--- hulld\n{log}---");
        }
    }
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Run {
    /// Its output, if it went well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }
}
