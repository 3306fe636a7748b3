//! Images that go out as archives and come back: through docker's command line, skopeo and buildah.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{Daemon, Run};

/// A root file system with one file, as a tar.
fn rootfs(dir: &Path, name: &str) -> Vec<u8> {
    let root = dir.join(format!("root-{name}"));
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/name"), name).unwrap();
    let root = root.to_str().unwrap();
    run("tar", &["-C", root, "-cf", "-", "etc"])
        .stdout
        .into_bytes()
}

fn run(program: &str, args: &[&str]) -> Run {
    let output = Command::new(program).args(args).output();
    let run: Run = output.expect("a package of xtask/packages.txt").into();
    assert_eq!(run.code, 0, "{program} {args:?}: {run:?}");
    run
}

/// With two images of one layer each.
fn daemon() -> Daemon {
    let daemon = Daemon::start();
    for name in ["one:1", "localhost:5000/two"] {
        let tar = rootfs(
            daemon.dir(),
            name.split(':').next().unwrap().split('/').next().unwrap(),
        );
        let args = ["import", "-c", "CMD [\"sh\"]", "-", name];
        daemon.docker_with(&args, &tar).ok();
    }
    daemon
}

fn id(daemon: &Daemon, name: &str) -> String {
    daemon.docker(&["inspect", "-f", "{{.Id}}", name]).ok()
}

#[test]
fn docker_saves_and_loads() {
    let daemon = daemon();
    let ids = ["one:1", "localhost:5000/two"].map(|name| id(&daemon, name));
    let path = daemon.dir().join("x.tar");
    let file = path.to_str().unwrap();
    daemon
        .docker(&["save", "-o", file, "one", "localhost:5000/two:latest"])
        .ok();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read(&path).unwrap();
    daemon
        .docker(&["save", "-o", file, "one", "localhost:5000/two:latest"])
        .ok();
    assert!(first == fs::read(&path).unwrap(), "the same bytes twice");
    let list = run("tar", &["tf", file]).stdout;
    let roots: Vec<&str> = list
        .lines()
        .filter(|line| !line.contains("56/") || line.ends_with('/'))
        .collect();
    assert_eq!(
        roots,
        [
            "blobs/",
            "blobs/sha256/",
            "index.json",
            "manifest.json",
            "oci-layout",
            "repositories"
        ]
    );
    assert_eq!(list.lines().count(), 6 + 2 * 3);
    daemon.docker(&["rmi", "one:1", "localhost:5000/two"]).ok();
    let loaded = daemon.docker(&["load", "-i", file]).ok();
    assert_eq!(
        loaded,
        "Loaded image: one:1\nLoaded image: localhost:5000/two:latest\n"
    );
    assert_eq!(
        ["one:1", "localhost:5000/two"].map(|name| id(&daemon, name)),
        ids
    );
    let again = daemon.docker_with(&["load"], &first).ok();
    assert_eq!(again, loaded);
    let quiet = daemon.docker_with(&["load", "-q", "--platform", "linux/amd64"], &first);
    assert_eq!(quiet.ok(), loaded);
}

#[test]
fn what_cannot_be_saved_is_said_in_docker_s_words() {
    let daemon = daemon();
    for (args, message) in [
        (
            &["save", "nosuch"][..],
            "Error response from daemon: No such image: nosuch",
        ),
        (
            &["save", "one:1", "one:2"],
            "Error response from daemon: No such image: one:2",
        ),
        (
            &["save", "--platform", "linux/s390x", "one:1"],
            "Error response from daemon: image with reference one:1 was found but does not provide the specified platform (linux/s390x)",
        ),
    ] {
        let run = daemon.docker(args);
        assert_eq!((run.code, run.stderr.trim_end()), (1, message), "{args:?}");
        assert_eq!(run.stdout, "", "{args:?}");
    }
}

#[test]
fn skopeo_reads_and_writes_our_archives() {
    let daemon = daemon();
    let expected = id(&daemon, "one:1");
    let at = |name: &str| daemon.dir().join(name).display().to_string();
    let ours = at("ours.tar");
    daemon.docker(&["save", "-o", &ours, "one:1"]).ok();
    let copy = |from: &str, to: &str| run("skopeo", &["copy", "--quiet", from, to]);
    for (source, target, loaded) in [
        (
            format!("docker-archive:{ours}"),
            format!("docker-archive:{}:s/docker:1", at("a.tar")),
            "Loaded image: s/docker:1\n".to_owned(),
        ),
        (
            format!("oci-archive:{ours}"),
            format!("oci-archive:{}:s/oci:1", at("b.tar")),
            "Loaded image: s/oci:1\n".to_owned(),
        ),
        (
            format!("docker-archive:{}:s/docker:1", at("a.tar")),
            format!("oci-archive:{}:latest", at("c.tar")),
            format!("Loaded image ID: {expected}"),
        ),
    ] {
        copy(&source, &target);
        let file = target.split(':').nth(1).unwrap();
        let run = daemon.docker(&["load", "-i", file]);
        // A configuration that skopeo wrote anew has another id.
        let run = run.ok();
        match loaded.starts_with("Loaded image ID") {
            true => assert!(run.starts_with("Loaded image ID: sha256:"), "{run}"),
            false => assert_eq!(run, loaded, "{target}"),
        }
    }
    assert_eq!(id(&daemon, "s/docker:1"), expected);
}

#[test]
fn buildah_reads_and_writes_our_archives() {
    let daemon = daemon();
    let at = |name: &str| daemon.dir().join(name).display().to_string();
    let (ours, root, runroot) = (at("ours.tar"), at("storage"), at("run-storage"));
    daemon.docker(&["save", "-o", &ours, "one:1"]).ok();
    let buildah = |args: &[&str]| {
        let mut all = vec![
            "--storage-driver",
            "vfs",
            "--root",
            &root,
            "--runroot",
            &runroot,
        ];
        all.extend(args);
        run("buildah", &all)
    };
    buildah(&["pull", "--quiet", &format!("docker-archive:{ours}")]);
    for (kind, name) in [("docker-archive", "b/docker:1"), ("oci-archive", "b/oci:1")] {
        let file = at(kind);
        buildah(&["push", "--quiet", "one:1", &format!("{kind}:{file}:{name}")]);
        let loaded = daemon.docker(&["load", "-i", &file]).ok();
        // To Docker's kind buildah adds the name that it has itself.
        let first = loaded.lines().next();
        assert_eq!(first, Some(&format!("Loaded image: {name}")[..]));
    }
}

#[test]
fn an_archive_of_before_docker_1_10_loads() {
    let daemon = Daemon::start();
    let folder = daemon.dir().join("old");
    let layer = |id: &str, parent: &str| {
        let at = folder.join(id);
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("VERSION"), "1.0").unwrap();
        fs::write(
            at.join("json"),
            format!(r#"{{"id":"{id}","parent":"{parent}","created":"2015-06-01T00:00:00Z","architecture":"amd64","os":"linux","config":{{"Cmd":["sh"]}},"container_config":{{"Cmd":["/bin/sh","-c","true"]}}}}"#),
        )
        .unwrap();
        fs::write(at.join("layer.tar"), rootfs(daemon.dir(), id)).unwrap();
    };
    layer("aa", "");
    layer("bb", "aa");
    fs::write(folder.join("repositories"), r#"{"old":{"v1":"bb"}}"#).unwrap();
    let tar = daemon.dir().join("old.tar");
    let tar = tar.to_str().unwrap();
    run("tar", &["-C", folder.to_str().unwrap(), "-cf", tar, "."]);
    assert_eq!(
        daemon.docker(&["load", "-i", tar]).ok(),
        "Loaded image: old:v1\n"
    );
    let format = "{{len .RootFS.Layers}} {{.Config.Cmd}} {{.Created}}";
    let inspect = daemon.docker(&["image", "inspect", "-f", format, "old:v1"]);
    assert_eq!(inspect.ok(), "2 [sh] 2015-06-01T00:00:00Z\n");
}
