//! Many containers: in turn, at once, and across the death of the daemon.

use hull_tests::{Daemon, eventually};

#[test]
fn ten_in_turn_leave_nothing() {
    let hull = Daemon::with_busybox();
    let before = hull.traces();
    for n in 0..10 {
        let word = format!("container {n}");
        hull.hull(["run", "--rm", "busybox", "echo", &word])
            .expect(0, &format!("{word}\n"));
    }
    assert_eq!(hull.hull(["ps", "-aq"]).ok(), "");
    eventually("nothing is left", || hull.traces() == before);
}

#[test]
fn eight_at_once_leave_nothing() {
    let hull = Daemon::with_busybox();
    let before = hull.traces();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let hull = &hull;
            scope.spawn(move || {
                let script = format!("cat; echo {n}; exit {n}");
                let out = hull.hull_with(
                    ["run", "--rm", "-i", "busybox", "sh", "-c", &script],
                    b"in\n",
                );
                out.expect(n, &format!("in\n{n}\n"));
            });
        }
    });
    assert_eq!(hull.hull(["ps", "-aq"]).ok(), "");
    eventually("nothing is left", || hull.traces() == before);
}

#[test]
fn a_killed_daemon_loses_no_container_and_no_byte() {
    let mut hull = Daemon::with_busybox();
    let script = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done; sleep 5; exit 6";
    hull.hull([
        "run", "-d", "--name", "diary", "busybox", "sh", "-c", script,
    ])
    .ok();
    for _ in 0..3 {
        hull.kill_and_restart();
    }
    assert_eq!(hull.hull(["wait", "diary"]).ok(), "6");
    let expected: String = (0..400).map(|i| format!("line {i}\n")).collect();
    hull.hull(["logs", "diary"]).expect(0, &expected);
}

#[test]
fn an_exit_while_the_daemon_is_down_is_recorded() {
    let mut hull = Daemon::with_busybox();
    hull.hull([
        "run",
        "-d",
        "-i",
        "--name",
        "sleeper",
        "busybox",
        "sh",
        "-c",
        "sleep 1; exit 5",
    ])
    .ok();
    hull.kill_and_restart();
    assert_eq!(hull.hull(["wait", "sleeper"]).ok(), "5");
}
