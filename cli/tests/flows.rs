//! `run`, `exec`, `attach` and `start` against the fake daemon: streams, statuses, signals and
//! the order of requests.

mod fake;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};

use fake::{Daemon, ID};
use serde_json::json;

fn hull(daemon: &Daemon, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hull"));
    command
        .args(["-H", &daemon.host()])
        .args(arguments)
        .stdin(Stdio::null());
    command.env_remove("HULL_HOST").env_remove("DOCKER_HOST");
    command.env("DOCKER_CONFIG", daemon.directory());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(daemon: &Daemon, arguments: &[&str]) -> (String, String, i32) {
    outcome(hull(daemon, arguments).output().expect("hull runs"))
}

fn outcome(output: Output) -> (String, String, i32) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code().expect("an exit"),
    )
}

fn with_input(daemon: &Daemon, arguments: &[&str], input: &[u8]) -> (String, String, i32) {
    let mut child = hull(daemon, arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("hull runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let outcome = outcome(child.wait_with_output().expect("hull ends"));
    writer
        .join()
        .expect("the writer ends")
        .expect("all input is taken");
    outcome
}

fn expect(stdout: &str, stderr: &str, status: i32) -> (String, String, i32) {
    (stdout.to_owned(), stderr.to_owned(), status)
}

#[test]
fn a_containers_output_is_ours_and_its_status_too() {
    let daemon = Daemon::start();
    assert_eq!(
        output(&daemon, &["run", "busybox", "echo", "hello", "world"]),
        expect("hello world\n", "", 0)
    );
    assert_eq!(
        output(&Daemon::start(), &["run", "busybox", "both"]),
        expect("out\n", "err\n", 7)
    );
    assert_eq!(
        output(
            &Daemon::start(),
            &["container", "run", "busybox", "exit", "42"]
        ),
        expect("", "", 42)
    );
}

#[test]
fn attach_and_wait_come_before_start() {
    let daemon = Daemon::start();
    output(&daemon, &["run", "--rm", "busybox", "echo"]);
    let expected = [
        "POST /containers/create?platform=".to_owned(),
        format!("POST /containers/{ID}/attach?stream=1&stdout=1&stderr=1"),
        format!("POST /containers/{ID}/wait?condition=removed"),
        format!("POST /containers/{ID}/start"),
    ];
    assert_eq!(daemon.lines(), expected);
}

#[test]
fn a_detached_container_is_an_id_and_no_streams() {
    let daemon = Daemon::start();
    let arguments = ["run", "-d", "-it", "--name=web", "busybox", "cat"];
    assert_eq!(
        output(&daemon, &arguments),
        expect(&format!("{ID}\n"), "", 0)
    );
    let create = "POST /containers/create?name=web&platform=";
    assert_eq!(
        daemon.lines(),
        [create.to_owned(), format!("POST /containers/{ID}/start")]
    );
    let body = daemon.body(create);
    assert_eq!(
        (&body["AttachStdin"], &body["OpenStdin"]),
        (&json!(false), &json!(true))
    );
}

#[test]
fn only_the_named_streams_are_shown() {
    let daemon = Daemon::start();
    assert_eq!(
        output(&daemon, &["run", "-a", "stdout", "busybox", "both"]),
        expect("out\n", "", 7)
    );
    let attach = format!("POST /containers/{ID}/attach?stream=1&stdout=1");
    assert!(daemon.lines().contains(&attach));
}

#[test]
fn input_reaches_the_container_to_its_end() {
    let arguments = ["run", "-i", "busybox", "count"];
    let input = vec![b'x'; 300_000];
    // The answer comes after our end of input: closing one way does not close the other.
    assert_eq!(
        with_input(&Daemon::start(), &arguments, &input),
        expect("300000\n", "", 0)
    );
    assert_eq!(
        with_input(&Daemon::start(), &arguments, b""),
        expect("0\n", "", 0)
    );
    let silent = ["run", "busybox", "count"];
    assert_eq!(output(&Daemon::start(), &silent), expect("0\n", "", 0));
}

#[test]
fn a_large_output_arrives_whole() {
    let (stdout, stderr, status) = output(&Daemon::start(), &["run", "busybox", "large"]);
    assert_eq!((stdout.len(), stderr.as_str(), status), (3_000_000, "", 0));
    assert!(stdout.bytes().all(|byte| byte == b'x'));
}

#[test]
fn a_terminals_bytes_are_not_taken_for_frames() {
    let arguments = ["run", "-t", "busybox", "bytes"];
    assert_eq!(
        output(&Daemon::start(), &arguments),
        expect("\x01\0\x02 raw", "", 0)
    );
}

const MORE: &str = "\n\nRun 'hull run --help' for more information\n";

#[test]
fn commands_that_cannot_start_have_dockers_statuses() {
    for (command, reason, status) in [
        (
            "nosuchcmd",
            "exec: \"nosuchcmd\": executable file not found in $PATH",
            127,
        ),
        (
            "/etc/passwd",
            "exec: \"/etc/passwd\": permission denied",
            126,
        ),
        ("broken", "the virtual machine did not start", 125),
    ] {
        let text = format!("hull: Error response from daemon: {reason}{MORE}");
        let daemon = Daemon::start();
        assert_eq!(
            output(&daemon, &["run", "--rm", "busybox", command]),
            expect("", &text, status)
        );
        let detached = output(&Daemon::start(), &["run", "-d", "busybox", command]);
        assert_eq!(detached, expect(&format!("{ID}\n"), &text, status));
    }
}

#[test]
fn a_missing_image_is_fetched_and_told_on_stderr() {
    let told = "Unable to find image 'later:latest' locally\nlatest: Pulling from library/later\n\
                6395d8d3391a: Pulling fs layer\n6395d8d3391a: Pull complete\n\
                Status: Downloaded newer image for later:latest\n";
    let daemon = Daemon::start();
    assert_eq!(
        output(&daemon, &["run", "later", "echo", "hi"]),
        expect("hi\n", told, 0)
    );
    let pull = "POST /images/create?fromImage=docker.io%2Flibrary%2Flater&tag=latest";
    assert!(daemon.lines().iter().any(|line| line == pull));
    let quiet = "Unable to find image 'later:latest' locally\n";
    assert_eq!(
        output(&Daemon::start(), &["run", "-q", "later", "echo", "hi"]),
        expect("hi\n", quiet, 0)
    );
}

#[test]
fn an_image_that_cannot_be_had_is_125_for_run_and_1_for_create() {
    let missing = "Unable to find image 'nosuch:1' locally\n";
    let refused = "Error response from daemon: no registry can be reached";
    let run = format!("{missing}hull: {refused}{MORE}");
    assert_eq!(
        output(&Daemon::start(), &["run", "nosuch:1"]),
        expect("", &run, 125)
    );
    let create = format!("{missing}{refused}\n");
    assert_eq!(
        output(&Daemon::start(), &["create", "nosuch:1"]),
        expect("", &create, 1)
    );
    let never = format!("hull: Error response from daemon: No such image: nosuch:1:latest{MORE}");
    let arguments = ["run", "--pull=never", "nosuch:1"];
    assert_eq!(
        output(&Daemon::start(), &arguments),
        expect("", &never, 125)
    );
}

#[test]
fn a_refused_creation_is_told_with_the_programs_name() {
    let text = format!(
        "hull: Error response from daemon: Conflict. The container name \"/x\" is already in use{MORE}"
    );
    let arguments = ["run", "--network", "none", "busybox"];
    assert_eq!(output(&Daemon::start(), &arguments), expect("", &text, 125));
}

#[test]
fn no_daemon_is_said_in_dockers_words() {
    let hull = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hull"));
        outcome(
            command
                .env("HULL_HOST", "unix:///nosuch")
                .args(arguments)
                .output()
                .expect("hull runs"),
        )
    };
    let text = "Cannot connect to the Hull daemon at unix:///nosuch. Is the hulld daemon running?";
    assert_eq!(hull(&["ps"]), expect("", &format!("{text}\n"), 1));
    assert_eq!(hull(&["rm", "a", "b"]), expect("", &format!("{text}\n"), 1));
    assert_eq!(
        hull(&["run", "busybox"]),
        expect("", &format!("hull: {text}{MORE}"), 125)
    );
    let (stdout, stderr, status) = hull(&["version"]);
    assert!(stdout.starts_with("Client:\n Version:"), "{stdout}");
    assert_eq!((stderr, status), (format!("{text}\n"), 1));
}

#[test]
fn a_cidfile_gets_the_id_and_is_never_overwritten() {
    let daemon = Daemon::start();
    let path = daemon.directory().join("cid");
    let path = path.to_str().expect("text");
    let arguments = ["run", "--cidfile", path, "busybox", "echo"];
    assert_eq!(output(&daemon, &arguments).2, 0);
    assert_eq!(std::fs::read_to_string(path).expect("written"), ID);
    let text = format!(
        "hull: container ID file found, make sure the other container isn't running or delete {path}{MORE}"
    );
    assert_eq!(output(&daemon, &arguments), expect("", &text, 125));
}

/// A child whose first line of output has come.
fn ready(daemon: &Daemon, arguments: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = hull(daemon, arguments).spawn().expect("hull runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    (child, stdout)
}

fn kill(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("it is there");
}

#[test]
fn signals_are_the_containers() {
    use rustix::process::Signal;
    for (signal, name) in [
        (Signal::INT, "INT"),
        (Signal::TERM, "TERM"),
        (Signal::USR1, "USR1"),
    ] {
        let daemon = Daemon::start();
        let (mut child, mut stdout) = ready(&daemon, &["run", "busybox", "trap"]);
        kill(&child, signal);
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).expect("text");
        let mut said = String::new();
        child
            .stderr
            .take()
            .expect("a pipe")
            .read_to_string(&mut said)
            .expect("text");
        assert_eq!((rest, said), (format!("caught {name}\n"), String::new()));
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
    }
}

#[test]
fn who_insists_gets_away_from_a_container_that_does_not_listen() {
    let daemon = Daemon::start();
    let (mut child, _stdout) = ready(&daemon, &["run", "busybox", "deaf"]);
    for sent in 1..=3 {
        kill(&child, rustix::process::Signal::INT);
        // The next one only after this one has been passed on, as two could become one.
        eventually(|| {
            let lines = daemon.lines();
            sent == 3 || lines.iter().filter(|line| line.contains("/kill")).count() == sent
        });
    }
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("text");
    assert_eq!(said, "\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

fn eventually(condition: impl Fn() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !condition() {
        assert!(std::time::Instant::now() < end, "it never came");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

#[test]
fn without_a_proxy_a_signal_ends_us_and_spares_the_container() {
    let daemon = Daemon::start();
    let (mut child, _stdout) = ready(&daemon, &["run", "--sig-proxy=false", "busybox", "trap"]);
    kill(&child, rustix::process::Signal::TERM);
    assert_eq!(child.wait().expect("it ends").code(), None);
    assert!(!daemon.lines().iter().any(|line| line.contains("/kill")));
}

#[test]
fn exec_has_streams_and_a_status_of_its_own() {
    let daemon = Daemon::start();
    let arguments = ["exec", "-e", "A=1", "-w", "/tmp", "-u", "5", "c1", "both"];
    assert_eq!(output(&daemon, &arguments), expect("out\n", "err\n", 7));
    let expected = json!({
        "AttachStdin": false, "AttachStdout": true, "AttachStderr": true, "Tty": false,
        "Env": ["A=1"], "Cmd": ["both"], "Privileged": false, "User": "5", "WorkingDir": "/tmp",
    });
    assert_eq!(daemon.body("POST /containers/c1/exec"), expected);
    let input = ["container", "exec", "-i", "c1", "count"];
    assert_eq!(
        with_input(&Daemon::start(), &input, b"12345"),
        expect("5\n", "", 0)
    );
}

#[test]
fn a_detached_exec_says_nothing() {
    let daemon = Daemon::start();
    assert_eq!(
        output(&daemon, &["exec", "-d", "c1", "-x", "--rm"]),
        expect("", "", 0)
    );
    assert_eq!(
        daemon.body("POST /containers/c1/exec")["Cmd"],
        json!(["-x", "--rm"])
    );
    let lines = daemon.lines();
    let start = lines
        .iter()
        .find(|line| line.ends_with("/start"))
        .expect("a start");
    assert_eq!(daemon.body(start)["Detach"], json!(true));
}

#[test]
fn exec_looks_for_the_container_before_the_terminal() {
    let daemon = Daemon::start();
    let missing = "Error response from daemon: No such container: nosuch\n";
    assert_eq!(
        output(&daemon, &["exec", "-it", "nosuch", "sh"]),
        expect("", missing, 1)
    );
    let no_terminal = "the input device is not a TTY\n";
    assert_eq!(
        output(&daemon, &["exec", "-it", "c1", "sh"]),
        expect("", no_terminal, 1)
    );
    assert_eq!(
        output(&daemon, &["run", "-it", "busybox", "sh"]),
        expect("", no_terminal, 1)
    );
    assert!(!daemon.lines().iter().any(|line| line.contains("create")));
}

#[test]
fn a_container_is_started_again_with_its_streams() {
    let daemon = Daemon::start();
    assert_eq!(
        output(&daemon, &["create", "busybox", "both"]),
        expect(&format!("{ID}\n"), "", 0)
    );
    assert_eq!(
        output(&daemon, &["start", "-a", "c1"]),
        expect("out\n", "err\n", 7)
    );
    let two = "you cannot start and attach multiple containers at once\n";
    assert_eq!(
        output(&daemon, &["start", "-a", "c1", "c2"]),
        expect("", two, 1)
    );
    let failed =
        "Error response from daemon: No such container: x\nError: failed to start containers: x\n";
    assert_eq!(
        output(&daemon, &["start", "x", "c1"]),
        expect("c1\n", failed, 1)
    );
}

#[test]
fn attach_wants_a_container_that_runs() {
    let daemon = Daemon::start();
    output(&daemon, &["create", "busybox", "stopped"]);
    let text = "You cannot attach to a stopped container, start it first\n";
    assert_eq!(output(&daemon, &["attach", "c1"]), expect("", text, 1));
}

#[test]
fn names_are_completed_from_the_daemon_and_nobody_waits_for_one_that_is_silent() {
    let containers =
        json!([{"Id": ID, "Names": ["/web", "/web/db"]}, {"Id": ID, "Names": ["/db"]}]);
    let containers = containers.to_string();
    let daemon = Daemon::with(&[("GET /containers/json", 200, &containers)]);
    let host = daemon.host();
    let words = ["complete-names", "--", "-H", &host, "rm", "-f", "db"];
    assert_eq!(output(&daemon, &words), expect("web\n", "", 0));
    // One that takes the call and never answers.
    let silent = daemon.directory().join("silent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&silent).expect("a socket");
    let host = format!("unix://{}", silent.display());
    let words = ["complete-names", "--", "-H", &host, "rm"];
    assert_eq!(output(&daemon, &words), expect("", "", 0));
}
