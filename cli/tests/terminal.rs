//! What only happens on a terminal: raw mode and its end, sizes, the detach keys.
//!
//! `hull` runs on a pty whose other side is a script of waits and keys.

mod fake;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use fake::Daemon;
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Long enough for a loaded machine; a wait ends as soon as what it waits for is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal with `hull` on it.
struct Terminal {
    child: Child,
    keyboard: std::fs::File,
    screen: Receiver<Vec<u8>>,
    shown: String,
    /// Held open, so that its modes can be looked at after `hull` has ended.
    device: OwnedFd,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Terminal {
    fn run(daemon: &Daemon, arguments: &[&str]) -> Terminal {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
        grantpt(&controller).expect("granted");
        unlockpt(&controller).expect("unlocked");
        let name = ptsname(&controller, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let device = open(name.as_c_str(), flags, Mode::empty()).expect("its device");
        tcsetwinsize(&controller, size(24, 80)).expect("its size");
        let end = || Stdio::from(device.try_clone().expect("another end"));
        // A session of its own: the pty becomes its terminal, so it is told of new sizes.
        let child = Command::new("setsid")
            .args(["--ctty", env!("CARGO_BIN_EXE_hull"), "-H", &daemon.host()])
            .args(arguments)
            .env("DOCKER_CONFIG", daemon.directory())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("hull runs");
        let keyboard = std::fs::File::from(controller);
        let mut reader = keyboard.try_clone().expect("another end");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            child,
            keyboard,
            screen,
            shown: String::new(),
            device,
        }
    }

    /// Reads until `text` has been shown since the last wait; returns all up to its end.
    fn wait_for(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.shown.find(text) {
                let rest = self.shown.split_off(at + text.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let left = end.saturating_duration_since(Instant::now());
            let bytes = self.screen.recv_timeout(left);
            let bytes = bytes.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    fn type_keys(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).expect("typed");
    }

    fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.keyboard, size(rows, columns)).expect("resized");
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.device).expect("modes").local_modes;
        !modes.contains(LocalModes::ICANON) && !modes.contains(LocalModes::ECHO)
    }

    fn status(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(
                Instant::now() < end,
                "hull does not end; it shows {:?}",
                self.shown
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// A failed test leaves no process behind.
impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_shell_has_a_raw_terminal_of_our_size_and_gives_it_back() {
    let daemon = Daemon::start();
    let mut terminal = Terminal::run(&daemon, &["run", "-it", "--rm", "busybox", "sh"]);
    terminal.wait_for("size?h=24&w=80");
    assert!(terminal.is_raw());
    terminal.resize(50, 132);
    terminal.wait_for("size?h=50&w=132");
    // Keys are the container's, also the one that would be a signal here.
    terminal.type_keys(b"\x03a\r");
    terminal.wait_for("got \"\\u{3}a\"");
    terminal.type_keys(b"exit 3\r");
    assert_eq!(terminal.status(), Some(3));
    assert!(!terminal.is_raw());
    let body = daemon.body("POST /containers/create?platform=");
    assert_eq!(
        body["HostConfig"]["ConsoleSize"],
        serde_json::json!([24, 80])
    );
}

#[test]
fn the_detach_keys_leave_the_container_running() {
    let daemon = Daemon::start();
    let mut terminal = Terminal::run(&daemon, &["run", "-it", "busybox", "sh"]);
    terminal.wait_for("ready> ");
    // A start of the sequence that is none reaches the container.
    terminal.type_keys(b"\x10x\r");
    terminal.wait_for("got \"\\u{10}x\"");
    terminal.type_keys(b"\x10");
    terminal.type_keys(b"\x11");
    assert_eq!(terminal.status(), Some(0));
    assert!(!terminal.is_raw());
    assert!(!daemon.lines().iter().any(|line| line.contains("/kill")));
}

#[test]
fn other_keys_can_be_chosen_and_attach_says_that_it_was_left() {
    let daemon = Daemon::start();
    let mut first = Terminal::run(
        &daemon,
        &["run", "-it", "--detach-keys", "ctrl-a,q", "busybox", "sh"],
    );
    first.wait_for("ready> ");
    first.type_keys(b"\x10\x11\r");
    first.wait_for("got \"\\u{10}\\u{11}\"");
    first.type_keys(b"\x01q");
    assert_eq!(first.status(), Some(0));
    let lines = daemon.lines();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("detachKeys=ctrl-a%2Cq")),
        "{lines:?}"
    );
    let daemon = Daemon::running(serde_json::json!({ "Tty": true, "Cmd": ["sh"] }));
    let mut second = Terminal::run(&daemon, &["attach", "c1"]);
    second.wait_for("size?h=24");
    second.type_keys(b"\x10\x11");
    second.wait_for("read escape sequence");
    assert_eq!(second.status(), Some(1));
    assert!(!second.is_raw());
}

#[test]
fn an_exec_has_a_terminal_of_its_own() {
    let daemon = Daemon::start();
    let mut terminal = Terminal::run(&daemon, &["exec", "-it", "c1", "sh"]);
    // The daemon refuses sizes until the exec has started; it is asked again.
    terminal.wait_for("size?h=24&w=80");
    assert!(terminal.is_raw());
    terminal.type_keys(b"exit 5\r");
    assert_eq!(terminal.status(), Some(5));
    assert!(!terminal.is_raw());
}

#[test]
fn a_signal_from_outside_gives_the_terminal_back_first() {
    let daemon = Daemon::start();
    let mut terminal = Terminal::run(&daemon, &["exec", "-it", "c1", "sh"]);
    terminal.wait_for("ready> ");
    assert!(terminal.is_raw());
    let pid = rustix::process::Pid::from_child(&terminal.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
    assert_eq!(terminal.status(), Some(143));
    assert!(!terminal.is_raw());
}

#[test]
fn a_start_that_fails_gives_the_terminal_back() {
    let daemon = Daemon::start();
    let mut terminal = Terminal::run(&daemon, &["run", "-it", "--rm", "busybox", "nosuchcmd"]);
    terminal.wait_for("executable file not found in $PATH");
    assert_eq!(terminal.status(), Some(127));
    assert!(!terminal.is_raw());
}

#[test]
fn a_signal_is_the_containers_when_it_has_a_terminal_too() {
    let daemon = Daemon::start();
    let mut terminal = Terminal::run(&daemon, &["run", "-it", "busybox", "sh"]);
    terminal.wait_for("ready> ");
    let pid = rustix::process::Pid::from_child(&terminal.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
    terminal.wait_for("signal TERM");
    terminal.type_keys(b"exit 0\r");
    assert_eq!(terminal.status(), Some(0));
}

#[test]
fn load_does_not_read_an_archive_from_a_keyboard() {
    let daemon = Daemon::start();
    let mut terminal = Terminal::run(&daemon, &["load"]);
    terminal.wait_for("requested load from stdin, but stdin is empty");
    assert_eq!(terminal.status(), Some(1));
}

#[test]
fn loading_is_drawn_layer_by_layer() {
    let lines = concat!(
        r#"{"status":"Loading layer","progressDetail":{"current":50,"total":100},"id":"de9f"}"#,
        "\r\n",
        r#"{"status":"Loading layer","progressDetail":{"current":100,"total":100},"id":"de9f"}"#,
        "\r\n",
        r#"{"stream":"Loaded image: x:latest\n"}"#,
    );
    let daemon = Daemon::with(&[("POST /images/load", 200, lines)]);
    let archive = daemon.directory().join("x.tar");
    std::fs::write(&archive, "tar").expect("written");
    let mut terminal = Terminal::run(&daemon, &["load", "-i", archive.to_str().expect("text")]);
    let shown = terminal.wait_for("Loaded image: x:latest");
    // Eighty columns have no room for a bar.
    let full = "\x1b[1A\x1b[2K\rde9f: Loading layer     100B/100B\r";
    assert!(shown.contains(full), "{shown:?}");
    assert_eq!(terminal.status(), Some(0));
    assert_eq!(daemon.lines(), ["POST /images/load?quiet=0"]);
}

#[test]
fn a_login_asks_and_does_not_show_the_password() {
    let succeeded = r#"{"IdentityToken":"","Status":"Login Succeeded"}"#;
    let daemon = Daemon::with(&[("POST /auth", 200, succeeded)]);
    let mut terminal = Terminal::run(&daemon, &["login", "localhost:5000"]);
    terminal.wait_for("Username: ");
    terminal.type_keys(b"bob\r");
    terminal.wait_for("Password: ");
    terminal.type_keys(b"sekret\x7f\x7f\x7fcret\r");
    let shown = terminal.wait_for("Login Succeeded");
    assert!(!shown.contains("sek") && !shown.contains("cret"), "{shown}");
    assert_eq!(terminal.status(), Some(0));
    assert!(!terminal.is_raw());
    assert_eq!(daemon.body("POST /auth")["password"], "sekcret");
}

#[test]
fn a_pull_draws_each_layer_where_it_stands() {
    let lines = [
        r#"{"status":"Pulling from x","id":"latest"}"#,
        r#"{"status":"Pulling fs layer","progressDetail":{},"id":"aaa"}"#,
        r#"{"status":"Pulling fs layer","progressDetail":{},"id":"bbb"}"#,
        r#"{"status":"Downloading","progressDetail":{"current":500,"total":1000},"id":"aaa"}"#,
        r#"{"status":"Pull complete","progressDetail":{},"id":"aaa"}"#,
    ];
    let daemon = Daemon::with(&[("POST /images/create", 200, &lines.join("\r\n"))]);
    let mut terminal = Terminal::run(&daemon, &["pull", "localhost:5000/x"]);
    let shown = terminal.wait_for("localhost:5000/x:latest");
    // Too narrow for a bar: numbers have to do.
    assert!(
        shown.contains("\x1b[2A\x1b[2K\raaa: Downloading     500B/1kB"),
        "{shown:?}"
    );
    assert!(
        shown.contains("\x1b[2A\x1b[2K\raaa: Pull complete"),
        "{shown:?}"
    );
    assert_eq!(terminal.status(), Some(0));
}
