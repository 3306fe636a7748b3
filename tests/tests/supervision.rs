//! Containers that look after themselves: restart policies and health checks, over daemons.

use hull_tests::{Daemon, eventually};

fn kill_vm(hull: &Daemon, name: &str) {
    let pid = hull.hull(["inspect", "-f", "{{.State.Pid}}", name]);
    let pid = rustix::process::Pid::from_raw(pid.ok().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_container_is_checked_and_started_again_over_daemons() {
    let mut hull = Daemon::with_busybox();
    let before = hull.traces();
    hull.docker([
        "run",
        "-d",
        "--name",
        "keeper",
        "--restart=always",
        "--health-cmd=test ! -e /ill",
        "--health-interval=1s",
        "--health-retries=1",
        "busybox",
        "sleep",
        "100000",
    ])
    .ok();
    let is = |hull: &Daemon, wanted: &str| {
        let format = "{{.State.Status}} {{.RestartCount}} {{.State.Health.Status}}";
        let shown = hull.hull(["inspect", "-f", format, "keeper"]);
        shown.ok() == wanted
    };
    eventually("it is healthy", || is(&hull, "running 0 healthy"));
    let listed = hull.docker([
        "ps",
        "--filter",
        "health=healthy",
        "--format",
        "{{.Status}}",
    ]);
    assert!(listed.ok().ends_with(" (healthy)"), "{listed}");
    hull.hull(["exec", "keeper", "touch", "/ill"]).ok();
    eventually("it is ill", || is(&hull, "running 0 unhealthy"));
    hull.hull(["exec", "keeper", "rm", "/ill"]).ok();

    hull.kill_and_restart();
    eventually("it is checked again", || is(&hull, "running 0 healthy"));
    kill_vm(&hull, "keeper");
    eventually("it runs again", || is(&hull, "running 1 healthy"));

    hull.docker(["update", "--restart=no", "keeper"])
        .expect(0, "keeper\n");
    kill_vm(&hull, "keeper");
    eventually("it stays down", || is(&hull, "exited 1 unhealthy"));
    hull.hull(["rm", "keeper"]).ok();

    let gives_up = [
        "run",
        "--restart=on-failure:1",
        "--name",
        "quitter",
        "busybox",
    ];
    let run = hull.hull([&gives_up[..], &["sh", "-c", "echo run; exit 3"]].concat());
    run.expect(3, "run\n");
    let format = "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}";
    eventually("it is given up", || {
        hull.hull(["inspect", "-f", format, "quitter"]).ok() == "exited 1 3"
    });
    hull.hull(["logs", "quitter"]).expect(0, "run\nrun\n");
    hull.hull(["rm", "quitter"]).ok();
    eventually("nothing is left", || hull.traces() == before);
}
