//! A machine, really booted: needs root and the packages that `make bootstrap` installs.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hull_machine::Options;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

/// Stands in for `hull` and `hulld`.
fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_hull-machine-stand-in").into()
}

/// A machine of the test's own, gone with it.
struct Machine {
    options: Options,
    folder: TempDir,
}

/// How a command in the machine ended.
#[derive(Debug, PartialEq)]
struct Ended {
    out: String,
    err: String,
    status: Option<i32>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new("test".parse().unwrap()).unwrap();
        options.program = program();
        options.daemon = program();
        options.memory_mib = 1024;
        options.disk_gib = 4;
        options.state = folder.path().join("state");
        options.run = folder.path().join("run");
        Self { options, folder }
    }

    /// What was told of the start.
    fn start(&self) -> Vec<String> {
        let mut told = Vec::new();
        hull_machine::start(&self.options, &mut |what| told.push(what.to_owned()))
            .unwrap_or_else(|error| panic!("{error}\n{}", self.logs()));
        told
    }

    fn exec(&self, command: &[&str], input: &[u8]) -> Ended {
        let mut child = Command::new(program())
            .arg("exec")
            .arg(serde_json::to_string(&self.options).unwrap())
            .args(command)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writing = thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        Ended {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code(),
        }
    }

    fn shell(&self, script: &str) -> Ended {
        self.exec(&["sh", "-c", script], b"")
    }

    fn qemu(&self) -> Option<u32> {
        hull_machine::status(&self.options)
            .unwrap()
            .map(|status| status.pid)
    }

    fn logs(&self) -> String {
        let state = self.options.state.join("test");
        ["console.log", "supervisor.log", "hulld.log"]
            .map(|name| fs::read_to_string(state.join(name)).unwrap_or_default())
            .join("\n")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.logs());
        }
        if let Err(error) = hull_machine::stop(&self.options) {
            eprintln!("{error}");
        }
    }
}

/// Waits for a condition that no event tells of.
#[track_caller]
fn eventually(condition: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < until, "not within {DEADLINE:?}");
        thread::park_timeout(Duration::from_millis(50));
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(socket, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn machine_from_its_first_start_to_its_removal() {
    let machine = Machine::new();

    // Two starts at once make one machine.
    thread::scope(|scope| {
        let other = scope.spawn(|| machine.start());
        machine.start();
        other.join().unwrap();
    });
    let qemu = machine.qemu().unwrap();
    machine.start();
    assert_eq!(machine.qemu(), Some(qemu));

    commands_have_streams_status_folder_and_environment(&machine);
    machine_has_a_kvm_disk_and_cgroups(&machine);
    sockets_are_the_owners_only(&machine);
    published_port_reaches_a_server_inside(&machine);
    daemon_is_started_when_it_does_not_answer(&machine);
    killed_machine_is_started_again_with_its_data(&machine);

    hull_machine::remove_machine(&machine.options).unwrap_err();
    assert!(hull_machine::stop(&machine.options).unwrap());
    assert_eq!(machine.qemu(), None);
    // What is left of a machine that ended by itself, and only of such a one.
    assert!(!machine.options.run.join("test/spec.json").exists());
    hull_machine::remove_machine(&machine.options).unwrap();
    assert!(!machine.options.state.join("test").exists());
}

fn commands_have_streams_status_folder_and_environment(machine: &Machine) {
    let folder = machine.folder.path().display().to_string();
    fs::write(machine.folder.path().join("shared"), "from the host\n").unwrap();
    let script = "cat; cat shared; pwd; echo $COLOUR; echo problem >&2; exit 7";
    let ended = machine.exec(&["sh", "-c", script], b"from stdin\n");
    let out = format!("from stdin\nfrom the host\n{folder}\nblue\n");
    assert_eq!(
        ended,
        Ended {
            out,
            err: "problem\n".into(),
            status: Some(7)
        }
    );

    assert_eq!(machine.exec(&["/nonexistent"], b"").status, Some(127));
    assert_eq!(machine.shell("kill -9 $$").status, Some(137));
    let much = vec![b'x'; 3_000_000];
    assert_eq!(machine.exec(&["wc", "-c"], &much).out.trim(), "3000000");
    assert_eq!(
        machine
            .shell("head -c 3000000 /dev/zero | tr '\\0' y")
            .out
            .len(),
        3_000_000
    );
}

fn machine_has_a_kvm_disk_and_cgroups(machine: &Machine) {
    let ended = machine.shell(
        "test -c /dev/kvm && test -c /dev/net/tun && cat /sys/fs/cgroup/cgroup.controllers \
         && stat -f -c %T /var/lib/hull && uname -r",
    );
    for expected in ["memory", "ext2/ext3", "cloud"] {
        assert!(ended.out.contains(expected), "{ended:?}");
    }
}

fn sockets_are_the_owners_only(machine: &Machine) {
    let run = machine.options.run.join("test");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&run), 0o700);
    for socket in ["api.sock", "control.sock"] {
        assert_eq!(mode(&run.join(socket)), 0o600);
    }
}

fn published_port_reaches_a_server_inside(machine: &Machine) {
    let httpd = machine.shell("busybox httpd -p 127.0.0.1:8000 -h . && echo serving");
    assert_eq!(httpd.out, "serving\n");
    let any = "127.0.0.1:0".parse().unwrap();
    let inside = "127.0.0.1:8000".parse().unwrap();
    let address = hull_machine::publish(&machine.options, any, inside).unwrap();
    assert!(get(address, "/shared").ends_with("from the host\n"));

    hull_machine::publish(&machine.options, "0.0.0.0:0".parse().unwrap(), inside).unwrap_err();
    hull_machine::unpublish(&machine.options, address).unwrap();
    TcpStream::connect(address).unwrap_err();
}

fn daemon_is_started_when_it_does_not_answer(machine: &Machine) {
    let mut told = Vec::new();
    let mut ensure =
        || hull_machine::ensure(&machine.options, &mut |what| told.push(what.to_owned())).unwrap();
    let socket = ensure();
    assert_eq!(socket, ensure());
    let killed = machine.shell(
        "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline | grep -q '[s]tand-in -H' && \
         kill ${p#/proc/} && echo killed; done 2>/dev/null",
    );
    assert_eq!(killed.out, "killed\n");
    ensure();
    assert_eq!(
        told.iter().filter(|what| what.contains("hulld")).count(),
        2,
        "{told:?}"
    );
}

fn killed_machine_is_started_again_with_its_data(machine: &Machine) {
    machine.shell("echo kept > /var/lib/hull/kept; sync");
    let qemu = machine.qemu().unwrap();
    let pid = rustix::process::Pid::from_raw(qemu as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    eventually(|| machine.qemu().is_none());
    let told = machine.start();
    assert!(
        told.iter().any(|what| what.contains("has ended by itself")),
        "{told:?}"
    );
    assert_ne!(machine.qemu(), Some(qemu));
    assert_eq!(machine.shell("cat /var/lib/hull/kept").out, "kept\n");
}
