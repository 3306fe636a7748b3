//! The real `docker` against our socket.

use hull_tests::Daemon;

#[test]
fn docker_runs_lists_and_removes() {
    let hull = Daemon::with_busybox();
    hull.docker(["run", "--rm", "busybox", "echo", "hello world"])
        .expect(0, "hello world\n");
    let id = hull.docker(["run", "-d", "--name", "tug", "busybox", "sleep", "1000"]);
    let id = id.ok().to_owned();
    let table = hull.docker(["ps", "--format", "{{.ID}} {{.Image}} {{.Names}} {{.State}}"]);
    assert_eq!(table.ok(), format!("{} busybox tug running", &id[..12]));
    hull.docker(["exec", "tug", "sh", "-c", "echo in; exit 3"])
        .expect(3, "in\n");
    hull.docker(["exec", "tug", "nosuch"])
        .fails(127, "executable file not found in $PATH");
    let inspected = hull.docker(["inspect", "-f", "{{.Id}} {{.State.Running}}", "tug"]);
    assert_eq!(inspected.ok(), format!("{id} true"));
    assert_eq!(hull.docker(["kill", "tug"]).ok(), "tug");
    assert_eq!(hull.docker(["wait", "tug"]).ok(), "137");
    assert_eq!(hull.docker(["rm", "tug"]).ok(), "tug");
    assert_eq!(hull.docker(["ps", "-aq"]).ok(), "");
}

#[test]
fn docker_passes_exit_codes_and_words_errors() {
    let hull = Daemon::with_busybox();
    assert_eq!(
        hull.docker(["run", "--rm", "busybox", "sh", "-c", "exit 42"])
            .code,
        42
    );
    let missing = hull.docker(["run", "--rm", "busybox", "nosuch"]);
    missing.fails(127, "exec: \"nosuch\": executable file not found in $PATH");
    hull.docker(["run", "--rm", "busybox", "/etc"])
        .fails(126, "permission denied");
    hull.docker(["inspect", "nosuch"]).fails(1, "nosuch");
    hull.docker(["logs", "nosuch"])
        .fails(1, "No such container: nosuch");
}

#[test]
fn docker_loads_lists_tags_and_removes_images() {
    let hull = Daemon::with_busybox();
    let list = hull.docker(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(list.ok(), "busybox:latest");
    hull.docker(["tag", "busybox", "other:v1"]).expect(0, "");
    hull.docker(["run", "--rm", "other:v1", "true"])
        .expect(0, "");
    hull.docker(["rmi", "other:v1"])
        .expect(0, "Untagged: other:v1\n");
    let config = hull.docker([
        "image",
        "inspect",
        "-f",
        "{{.Os}}/{{.Architecture}}",
        "busybox",
    ]);
    assert_eq!(config.ok(), "linux/amd64");
}

#[test]
fn docker_sees_the_engine() {
    let hull = Daemon::empty();
    let version = hull.docker(["version", "--format", "{{.Server.APIVersion}}"]);
    assert_eq!(version.ok(), "1.51");
    let info = hull.docker([
        "info",
        "--format",
        "{{.OSType}} {{.Containers}} {{.Images}}",
    ]);
    assert_eq!(info.ok(), "linux 0 0");
}
