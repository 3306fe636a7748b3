//! Replays recordings of a real Docker against a daemon of ours.
//!
//! A flow runs in a folder that stands for the recording's `/oracle`, with a program called
//! `docker` first in the PATH: the real one, or `hull`. Each step goes through a shell as it did
//! when it was recorded. How it went is judged by `hull-transcripts`; what is known to differ is in
//! `testdata/differences.txt`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use hull_transcripts::{Client, Flow, Normal, OfFlow, Remarks, Seen, Step, judge};

use crate::programs::{busybox, docker, program};
use crate::{Daemon, Pty};

/// The recording's folder, which every path in it begins with.
const RECORDED: &str = "/oracle";
/// The recording's daemon, as its environment and its commands name it.
const RECORDED_HOST: &str = "unix:///oracle/docker.sock";
const RECORDED_DATA: &str = "/oracle/docker";
const RECORDED_SOCKET: &str = "/oracle/dockerd.sock";
/// The recording's registry, in a container with a published port.
const RECORDED_REGISTRY: &str = "localhost:5000";
/// What our own says once it can be asked, before its address.
const READY: &str = "registry ready: http://127.0.0.1:";
/// The flow that imports the base images, and the steps that do so.
const BASE: (&str, [u32; 6]) = ("00-setup", [3, 4, 5, 6, 7, 14]);
/// A terminal shows one of these when it is somebody's turn to type.
const PROMPTS: [&str; 4] = ["# ", "$ ", "[y/N] ", "\x1b[6n"];

/// A daemon, a client, and the folder that a flow works in.
#[derive(Debug)]
pub struct Replay {
    daemon: Daemon,
    client: Client,
    folder: PathBuf,
    flow: Flow,
    remarks: OfFlow,
    registry: Option<Registry>,
    complaints: Vec<String>,
}

/// A registry of ours that stands where the recording has one.
#[derive(Debug)]
struct Registry {
    process: Child,
    address: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Replay {
    /// Prepares to replay a flow, without any image.
    pub fn empty(flow: &str, client: Client) -> Self {
        let daemon = Daemon::empty();
        let folder = daemon.folder().join("oracle");
        let made = Command::new("sh")
            .arg(testdata("stand-ins.sh"))
            .args([Path::new(busybox()), &folder])
            .status()
            .unwrap();
        assert!(made.success(), "stand-ins.sh: {made}");
        let bin = folder.join("bin");
        fs::create_dir(&bin).unwrap();
        let shim = bin.join("docker");
        match client {
            // On the folder's own disk: see `docker`.
            Client::Hull => drop(fs::copy(program("hull"), shim).unwrap()),
            Client::Docker => symlink(docker(), shim).unwrap(),
        }
        let remarks = fs::read_to_string(testdata("differences.txt")).unwrap();
        let remarks: Remarks = remarks.parse().unwrap();
        Self {
            daemon,
            client,
            folder,
            flow: recording(flow),
            remarks: remarks.of(flow),
            registry: None,
            complaints: Vec::new(),
        }
    }

    /// The same, with the base images that every flow but the first begins with.
    pub fn with_images(flow: &str, client: Client) -> Self {
        let replay = Self::empty(flow, client);
        let base = recording(BASE.0);
        for number in BASE.1 {
            replay.prepare(&base.step(number).unwrap().command);
        }
        replay
    }

    /// With a registry in place of the recording's.
    ///
    /// # Panics
    /// When none can be started.
    #[must_use]
    pub fn with_registry(mut self) -> Self {
        let mut serve = Command::new(program("hull"));
        serve
            .args(["registry", "serve", "--listen", "127.0.0.1:0", "--root"])
            .arg(self.folder.join("registry"))
            .stdout(Stdio::piped());
        let mut process = serve.spawn().unwrap();
        let mut line = String::new();
        let output = process.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let port = line.trim_end().strip_prefix(READY);
        let port = port.unwrap_or_else(|| panic!("the registry said {line:?}"));
        let address = format!("localhost:{port}");
        self.registry = Some(Registry { process, address });
        self
    }

    /// Runs a command that belongs to no step, and has to succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn prepare(&self, command: &str) {
        let seen = self.shell(command);
        assert_eq!(seen.code, 0, "{command}: {seen:?}");
    }

    /// Replays every step that is to be replayed, and tells all that went otherwise.
    ///
    /// # Panics
    /// When a step went otherwise than recorded, or not as it is known to.
    pub fn run(mut self) {
        let steps = self.flow.steps.clone();
        for step in &steps {
            if !self.remarks.replayed(step.number, self.client) {
                continue;
            }
            let start = Instant::now();
            self.step(step);
            println!(
                "step {}: {:.1} s",
                step.number,
                start.elapsed().as_secs_f32()
            );
        }
        assert!(
            self.complaints.is_empty(),
            "{} steps went otherwise than recorded:\n\n{}",
            self.complaints.len(),
            self.complaints.join("\n")
        );
    }

    fn step(&mut self, step: &Step) {
        let command = match self.remarks.edited(step.number, &step.command) {
            Ok(command) => command,
            Err(missing) => {
                let number = step.number;
                self.complaints.push(format!(
                    "edit {number}: {missing:?} is not in the command\n"
                ));
                return;
            }
        };
        let seen = match &step.typed {
            Some(typed) => self.terminal(&command, typed),
            None => self.shell(&command),
        };
        let place = self.folder.display().to_string();
        let host = self.daemon.host();
        let data = self.daemon.folder().join("data").display().to_string();
        let registry = self.registry.as_ref().map(|r| r.address.as_str());
        let places = [
            (host.as_str(), RECORDED_HOST),
            (place.as_str(), RECORDED),
            (data.as_str(), RECORDED_DATA),
        ];
        let places = places
            .into_iter()
            .chain(registry.map(|ours| (ours, RECORDED_REGISTRY)));
        let ours = Normal::new(self.client, places);
        self.complaints
            .extend(judge(step, self.client, &seen, ours, &self.remarks));
    }

    fn command(&self, command: &str) -> Command {
        let host = self.daemon.host();
        let socket = host.trim_start_matches("unix://");
        let command = command.replace(RECORDED_SOCKET, socket);
        let command = command.replace(RECORDED, &self.folder.display().to_string());
        let command = match &self.registry {
            Some(registry) => command.replace(RECORDED_REGISTRY, &registry.address),
            None => command,
        };
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &command])
            .current_dir(self.folder.join("work"));
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env(
            "PATH",
            format!("{}:{path}", self.folder.join("bin").display()),
        );
        shell.env("TZ", "UTC");
        self.daemon.address(&mut shell);
        shell
    }

    fn shell(&self, command: &str) -> Seen {
        let output = crate::daemon::finish(command.to_owned(), self.command(command), b"");
        Seen {
            stdout: output.stdout,
            stderr: output.stderr,
            code: output.code,
        }
    }

    /// Runs a command on a terminal and types a line whenever it is asked for one.
    fn terminal(&self, command: &str, typed: &str) -> Seen {
        let mut pty = Pty::start(self.command(command));
        for line in typed.split_inclusive('\n') {
            pty.wait_for_end(&PROMPTS);
            pty.send(line);
        }
        let (shown, code) = pty.finish();
        Seen {
            stdout: shown,
            stderr: String::new(),
            code,
        }
    }
}

fn recording(flow: &str) -> Flow {
    let path = testdata("transcripts").join(format!("{flow}.txt"));
    let text = fs::read_to_string(&path).unwrap();
    Flow::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}
