//! Files of real containers, by the real `docker` and by `hull`: in, out, changed, kept as images.

use std::fs;

use hull_tests::Daemon;

#[test]
fn files_are_copied_in_and_out_whether_the_container_runs_or_not() {
    let hull = Daemon::with_busybox();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("in"), "from the host\n").unwrap();
    hull.docker([
        "create",
        "--name",
        "tug",
        "busybox",
        "sh",
        "-c",
        "cat /tmp/in; echo x > /made",
    ])
    .ok();
    hull.docker(["cp", &at("in"), "tug:/tmp/"]).ok();
    hull.docker(["start", "-a", "tug"])
        .expect(0, "from the host\n");
    hull.docker(["cp", "tug:/made", &at("out")]).ok();
    assert_eq!(fs::read_to_string(at("out")).unwrap(), "x\n");
    let listed = hull.docker(["cp", "tug:/etc", &at("etc")]);
    listed.ok();
    assert!(fs::metadata(at("etc/passwd")).unwrap().is_file());
    hull.docker(["cp", "tug:/nosuch", "."])
        .fails(1, "Could not find the file /nosuch in container tug");
    hull.docker(["diff", "tug"])
        .expect(0, "A /made\nC /tmp\nA /tmp/in\n");
    hull.docker(["rm", "tug"]).ok();
}

#[test]
fn a_running_container_s_changes_become_an_image() {
    let hull = Daemon::with_busybox();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.tar");
    let script = "echo hi > /root/new; rm /etc/group; echo ready; sleep 1000";
    let id = hull.docker(["run", "-d", "--name", "tug", "busybox", "sh", "-c", script]);
    let id = id.ok().to_owned();
    hull_tests::eventually("it is ready", || {
        hull.docker(["logs", "tug"]).ok() == "ready"
    });
    hull.docker(["diff", &id[..5]])
        .expect(0, "C /etc\nD /etc/group\nC /root\nA /root/new\n");
    let export = ["export", "-o", file.to_str().unwrap(), "tug"];
    hull.docker(export).ok();
    let names = std::process::Command::new("tar")
        .arg("-tf")
        .arg(&file)
        .output()
        .unwrap();
    let names = String::from_utf8(names.stdout).unwrap();
    assert!(
        names.contains("root/new\n") && !names.contains("etc/group\n"),
        "{names}"
    );
    assert!(
        names.contains(".dockerenv\n") && !names.contains("proc/1/"),
        "{names}"
    );
    let made = hull.docker([
        "commit",
        "-m",
        "why",
        "-c",
        "CMD cat /root/new",
        "tug",
        "made:v1",
    ]);
    assert!(made.ok().starts_with("sha256:"));
    hull.docker(["run", "--rm", "made:v1"]).expect(0, "hi\n");
    hull.docker(["run", "--rm", "made:v1", "ls", "/etc/group"])
        .fails(1, "No such file or directory");
    let history = hull.docker(["history", "--format", "{{.Comment}}", "made:v1"]);
    assert_eq!(history.ok().lines().next(), Some("why"));
    hull.docker(["exec", "tug", "true"]).expect(0, "");
    hull.docker(["rm", "-f", "tug"]).ok();
}
