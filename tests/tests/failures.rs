//! Bad input and bad luck: a clear error, the right exit code, nothing left behind.

use std::fs;

use hull_tests::{Daemon, eventually};

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let hull = Daemon::with_busybox();
    let before = hull.traces();
    hull.hull(["run", "--rm", "nosuch:1"])
        .fails(125, "Unable to find image 'nosuch:1' locally");
    hull.hull(["run", "--rm", "UPPER"])
        .fails(125, "must be lowercase");
    hull.hull(["run", "--rm", "-m", "1m", "busybox"])
        .fails(125, "memory");
    hull.hull(["run", "--rm", "-u", "stranger", "busybox"])
        .fails(125, "unable to find user stranger");
    hull.hull(["run", "--rm", "-v", "/etc:/host", "busybox"])
        .fails(125, "not ");
    hull.hull(["run", "--rm", "-p", "80:80", "busybox"])
        .fails(125, "not ");
    hull.hull(["ps", "--nosuch"])
        .fails(125, "unknown flag: --nosuch");
    hull.hull(["exec", "nosuch", "true"])
        .fails(1, "No such container: nosuch");
    assert_eq!(hull.hull(["ps", "-aq"]).ok(), "");
    eventually("nothing is left", || hull.traces() == before);
}

#[test]
fn corrupt_archives_are_refused_and_leave_nothing() {
    let hull = Daemon::with_busybox();
    let count = || hull.hull(["images", "-q"]).ok().lines().count();
    assert_eq!(count(), 1);
    assert_ne!(hull.hull_with(["load"], b"this is no archive").code, 0);
    assert_ne!(hull.hull_with(["load"], b"").code, 0);
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/busybox.tar");
    let mut cut = fs::read(root).unwrap();
    cut.truncate(cut.len() / 2);
    assert_ne!(hull.hull_with(["load"], &cut).code, 0);
    let mut flipped = fs::read(root).unwrap();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    assert_ne!(hull.hull_with(["load"], &flipped).code, 0);
    assert_eq!(count(), 1, "nothing was added");
    hull.hull(["run", "--rm", "busybox", "echo", "fine"])
        .expect(0, "fine\n");
}

#[test]
fn a_guest_that_dies_costs_its_own_container_only() {
    let hull = Daemon::with_busybox();
    let before = hull.traces();
    hull.hull([
        "run",
        "-d",
        "--name",
        "bystander",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    hull.hull(["run", "-d", "--name", "victim", "busybox", "sleep", "1000"])
        .ok();
    let pid = hull
        .hull(["inspect", "-f", "{{.State.Pid}}", "victim"])
        .ok()
        .to_owned();
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let status = || {
        hull.hull(["inspect", "-f", "{{.State.Status}}", "victim"])
            .stdout
    };
    eventually("its end is noticed", || status().trim() == "exited");
    let code = hull.hull(["inspect", "-f", "{{.State.ExitCode}}", "victim"]);
    assert_eq!(code.ok(), "137");
    hull.hull(["exec", "bystander", "echo", "alive"])
        .expect(0, "alive\n");
    hull.hull(["rm", "-f", "victim", "bystander"]).ok();
    eventually("nothing is left", || hull.traces() == before);
}

#[test]
fn memory_beyond_the_limit_is_not_there() {
    let hull = Daemon::with_busybox();
    // tail keeps a line until it ends, and this one does not.
    let greedy = [
        "run",
        "--name",
        "glutton",
        "-m",
        "64m",
        "busybox",
        "sh",
        "-c",
        "tail /dev/zero",
    ];
    let out = hull.hull(greedy);
    assert_eq!(out.code, 137, "{out}");
    let oom = hull.hull(["inspect", "-f", "{{.State.OOMKilled}}", "glutton"]);
    assert_eq!(oom.ok(), "true");
}
