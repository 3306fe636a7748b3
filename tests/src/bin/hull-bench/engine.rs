//! The engines that are compared: how each is started, called and ended.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;

use hull_tests::{Daemon, eventually};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Hull,
    Docker,
    Podman,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hull => "hull",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Hull, Self::Docker, Self::Podman]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("{name}: hull, docker or podman"))
    }
}

/// One that runs, with the busybox image.
#[derive(Debug)]
pub(crate) struct Engine {
    how: How,
}

#[derive(Debug)]
enum How {
    Hull(Daemon),
    Docker(Dockerd),
    Podman(Podman),
}

impl Engine {
    pub(crate) fn start(kind: Kind, peers: Option<&Path>) -> Self {
        let how = match kind {
            Kind::Hull => How::Hull(Daemon::empty()),
            Kind::Docker => How::Docker(Dockerd::start(peers)),
            Kind::Podman => How::Podman(Podman::new(peers)),
        };
        let engine = Self { how };
        engine.run(&["load", "-q", "-i", hull_tests::busybox()]);
        engine
    }

    /// Its client with these arguments.
    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        let mut client = match &self.how {
            How::Hull(daemon) => daemon.command([""; 0]),
            How::Docker(daemon) => daemon.client(),
            How::Podman(podman) => podman.client(),
        };
        client.args(arguments);
        client
    }

    /// Words for `run` and `create` that ask for no network.
    pub(crate) fn without_network(&self) -> &'static [&'static str] {
        match self.how {
            // It has none yet.
            How::Hull(_) => &[],
            How::Docker(_) | How::Podman(_) => &["--network", "none"],
        }
    }

    /// Runs its client, which has to succeed, and returns what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.client(arguments).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|e| panic!("{arguments:?}: {e}"));
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}

/// A program of a peer, in its folder or on the PATH.
fn search_path(peers: Option<&Path>) -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    let folders = peers.map(|folder| {
        [
            "usr/sbin",
            "usr/bin",
            "usr/libexec/docker",
            "usr/lib/podman",
        ]
        .map(|sub| folder.join(sub).display().to_string())
        .join(":")
    });
    folders.map_or(own.clone(), |folders| format!("{folders}:{own}"))
}

/// Shared libraries that came with the peers.
fn libraries(peers: Option<&Path>) -> String {
    peers.map_or_else(String::new, |folder| {
        ["usr/lib", "lib"]
            .map(|lib| {
                folder
                    .join(lib)
                    .join("x86_64-linux-gnu")
                    .display()
                    .to_string()
            })
            .join(":")
    })
}

/// A folder on the machine's own disk.
fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("hull-bench-")
        .tempdir_in(hull_tests::own_disk())
        .expect("make a folder")
}

#[derive(Debug)]
struct Dockerd {
    folder: TempDir,
    /// containerd, then dockerd: the latter gives a containerd that it starts itself 15 seconds,
    /// which are few in an emulated machine.
    processes: Vec<Child>,
}

impl Dockerd {
    fn start(peers: Option<&Path>) -> Self {
        let mut daemon = Self {
            folder: folder(),
            processes: Vec::new(),
        };
        let at = |name: &str| daemon.folder.path().join(name);
        let containerd_socket = at("containerd.sock");
        let mut containerd = program("containerd", peers);
        containerd
            .arg("--address")
            .arg(&containerd_socket)
            .arg("--root")
            .arg(at("containerd"))
            .arg("--state")
            .arg(at("containerd-run"));
        let socket = at("docker.sock");
        let mut dockerd = program("dockerd", peers);
        dockerd
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--storage-driver", "overlay2"])
            .arg("--containerd")
            .arg(&containerd_socket)
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("run"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("-H")
            .arg(format!("unix://{}", socket.display()));
        daemon.spawn(containerd, peers, &containerd_socket);
        daemon.spawn(dockerd, peers, &socket);
        daemon
    }

    /// Starts one of its processes, and waits until it answers.
    fn spawn(&mut self, mut command: Command, peers: Option<&Path>, socket: &Path) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("make a log");
        let process = command
            .env("PATH", search_path(peers))
            .env("LD_LIBRARY_PATH", libraries(peers))
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a second handle"))
            .stdout(log)
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        self.processes.push(process);
        eventually(&socket.display().to_string(), || {
            UnixStream::connect(socket).is_ok()
        });
    }

    fn client(&self) -> Command {
        let mut client = Command::new(hull_tests::docker());
        let socket = self.folder.path().join("docker.sock");
        client.arg("-H").arg(format!("unix://{}", socket.display()));
        client.env("DOCKER_CONFIG", self.folder.path().join("config"));
        client
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            eprintln!("--- containerd, dockerd\n{}", log.unwrap_or_default());
        }
        for process in self.processes.iter_mut().rev() {
            let pid = rustix::process::Pid::from_child(process);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = process.wait();
        }
    }
}

/// It has no daemon.
#[derive(Debug)]
struct Podman {
    folder: TempDir,
    peers: Option<PathBuf>,
}

impl Podman {
    fn new(peers: Option<&Path>) -> Self {
        let folder = folder();
        fs::write(folder.path().join("containers.conf"), "[engine]\n").expect("write a config");
        // conmon hands on no variables, and crun may need libraries that came with it.
        let crun = program("crun", peers);
        let script = format!(
            "#!/bin/sh\nLD_LIBRARY_PATH={} exec {} \"$@\"\n",
            libraries(peers),
            crun.get_program().display()
        );
        let wrapper = folder.path().join("crun");
        fs::write(&wrapper, script).expect("write a script");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&wrapper, executable).expect("make it executable");
        Self {
            folder,
            peers: peers.map(Path::to_owned),
        }
    }

    fn client(&self) -> Command {
        let peers = self.peers.as_deref();
        let mut client = program("podman", peers);
        let at = |name: &str| self.folder.path().join(name);
        client
            .env("PATH", search_path(peers))
            .env("LD_LIBRARY_PATH", libraries(peers))
            .env("CONTAINERS_CONF", at("containers.conf"))
            .arg("--root")
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .args(["--storage-driver", "overlay", "--runtime"])
            .arg(at("crun"))
            .args(["--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        if let Some(peers) = peers {
            client.arg("--conmon").arg(peers.join("usr/bin/conmon"));
        }
        client
    }
}

/// A program of the peers' folder, or of the PATH.
fn program(name: &str, peers: Option<&Path>) -> Command {
    let inside = peers
        .into_iter()
        .flat_map(|peers| ["usr/sbin", "usr/bin"].map(|folder| peers.join(folder).join(name)));
    let found = inside.into_iter().find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| name.into()))
}
