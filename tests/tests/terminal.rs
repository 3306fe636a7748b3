//! Interactive use, on a terminal.

use hull_tests::{Daemon, Pty};

#[test]
fn a_shell_has_a_terminal_of_the_right_size_that_follows_the_window() {
    let hull = Daemon::with_busybox();
    let mut pty = Pty::start(hull.command(["run", "--rm", "-it", "busybox", "sh"]));
    pty.wait_for("# ");
    pty.send("tty; stty size\r");
    pty.wait_for("/dev/pts/");
    pty.wait_for("24 80");
    pty.resize(31, 97);
    pty.send("while [ \"$(stty size)\" != '31 97' ]; do sleep 0.1; done; echo resi''zed\r");
    pty.wait_for("resized");
    pty.send("exit 9\r");
    assert_eq!(pty.wait(), 9);
}

#[test]
fn control_c_reaches_the_program() {
    let hull = Daemon::with_busybox();
    let script = "trap 'echo caught; exit 3' INT; echo rea''dy; while :; do sleep 0.1; done";
    let mut pty = Pty::start(hull.command(["run", "--rm", "-it", "busybox", "sh", "-c", script]));
    pty.wait_for("ready");
    pty.send("\x03");
    pty.wait_for("caught");
    assert_eq!(pty.wait(), 3);
}

#[test]
fn detach_keys_leave_the_container_running() {
    let hull = Daemon::with_busybox();
    let mut pty = Pty::start(hull.command(["run", "-it", "--name", "moored", "busybox", "sh"]));
    pty.wait_for("# ");
    pty.send("\x10\x11");
    assert_eq!(pty.wait(), 0);
    let state = hull.hull(["inspect", "-f", "{{.State.Status}}", "moored"]);
    assert_eq!(state.ok(), "running");
    let mut again = Pty::start(hull.command(["attach", "moored"]));
    again.send("\r");
    again.wait_for("# ");
    again.send("exit 4\r");
    assert_eq!(again.wait(), 4);
}

#[test]
fn exec_has_a_terminal_too() {
    let hull = Daemon::with_busybox();
    hull.hull(["run", "-d", "--name", "hulk", "busybox", "sleep", "1000"])
        .ok();
    let mut pty = Pty::start(hull.command(["exec", "-it", "hulk", "sh"]));
    pty.wait_for("# ");
    pty.send("stty size; echo $PPID; exit 6\r");
    pty.wait_for("24 80");
    assert_eq!(pty.wait(), 6);
}

#[test]
fn a_terminal_needs_a_terminal() {
    let hull = Daemon::with_busybox();
    let out = hull.hull(["run", "--rm", "-it", "busybox", "true"]);
    assert_ne!(out.code, 0, "{out}");
    assert!(
        out.stderr.contains("not a T") || out.stderr.contains("not a terminal"),
        "{out}"
    );
}
