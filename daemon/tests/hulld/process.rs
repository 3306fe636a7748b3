//! `hulld` as a process: how it starts, refuses to, and ends. None of this needs KVM.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::harness::{Daemon, Run, hulld};
use rustix::process::Signal;

#[test]
fn sigterm_ends_it_cleanly_and_frees_the_socket() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    assert!(socket.exists());
    assert_eq!(daemon.end(Signal::TERM).code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn sighup_changes_nothing() {
    let daemon = Daemon::start();
    daemon.signal(Signal::HUP);
    let answer = daemon.exchange("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\nOK"), "{answer}");
    assert_eq!(daemon.end(Signal::TERM).code(), Some(0));
}

#[test]
fn a_killed_daemon_leaves_nothing_in_the_way() {
    let mut daemon = Daemon::start();
    daemon.kill();
    assert!(daemon.socket().exists());
    let daemon = daemon.again();
    assert!(
        daemon
            .exchange("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
            .ends_with("OK")
    );
}

#[test]
fn a_second_daemon_on_the_same_directories_is_refused() {
    let daemon = Daemon::start();
    let second: Run = hulld(daemon.dir()).output().unwrap().into();
    assert_eq!(second.code, 1, "{second:?}");
    assert!(
        second.stderr.contains("another hulld (process "),
        "{second:?}"
    );
    assert!(
        daemon
            .exchange("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
            .ends_with("OK")
    );
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused() {
    let daemon = Daemon::start();
    let other = tempfile::tempdir().unwrap();
    let second: Run = hulld(other.path())
        .args(["-H", &daemon.host()])
        .output()
        .unwrap()
        .into();
    assert_eq!(second.code, 1, "{second:?}");
    assert!(
        second.stderr.contains("another daemon answers on "),
        "{second:?}"
    );
}

#[test]
fn the_service_manager_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut child = hulld(dir.path())
        .env("NOTIFY_SOCKET", &path)
        .spawn()
        .unwrap();
    let hear = || {
        let mut state = [0; 32];
        let n = manager.recv(&mut state).unwrap();
        String::from_utf8_lossy(&state[..n]).into_owned()
    };
    assert_eq!(hear(), "READY=1");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(hear(), "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
