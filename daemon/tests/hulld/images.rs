//! Images as docker's command line lists, inspects, removes and prunes them.

use std::process::Command;

use crate::harness::{Daemon, Run};

fn tar(name: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), name).unwrap();
    let mut tar = Command::new("tar");
    // Twice the same bytes, also in different seconds.
    tar.args(["--mtime=@0", "-C"])
        .arg(dir.path())
        .args(["-cf", "-", name]);
    tar.output().unwrap().stdout
}

fn import(daemon: &Daemon, name: &str, changes: &[&str]) -> String {
    let mut args = vec!["import", "-m", "a note"];
    args.extend(changes.iter().flat_map(|change| ["-c", *change]));
    args.extend(["-", name]);
    let id = daemon.docker_with(&args, &tar(name)).ok();
    id.trim().to_owned()
}

fn names(daemon: &Daemon, filters: &[&str]) -> Vec<String> {
    let mut args = vec!["images", "--format", "{{.Repository}}:{{.Tag}}"];
    args.extend(filters.iter().flat_map(|filter| ["--filter", *filter]));
    daemon
        .docker(&args)
        .ok()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn short(id: &str) -> &str {
    &id["sha256:".len()..][..12]
}

fn failed(run: &Run, message: &str) {
    let expected = format!("Error response from daemon: {message}");
    assert_eq!(
        (run.code, run.stderr.trim_end()),
        (1, &expected[..]),
        "{run:?}"
    );
}

#[test]
fn lists_are_filtered_as_in_docker() {
    let daemon = Daemon::start();
    import(&daemon, "base", &["LABEL kind=base"]);
    let old = import(&daemon, "moved", &[]);
    import(&daemon, "moved", &["LABEL kind=new"]);
    import(&daemon, "top", &["CMD [\"sh\"]"]);
    let all = ["top:latest", "moved:latest", "<none>:<none>", "base:latest"];
    assert_eq!(names(&daemon, &[]), all);
    for (filters, expected) in [
        (&["dangling=true"][..], &["<none>:<none>"][..]),
        (
            &["dangling=false"],
            &["top:latest", "moved:latest", "base:latest"],
        ),
        (&["label=kind"], &["moved:latest", "base:latest"]),
        (&["label=kind=base"], &["base:latest"]),
        (&["before=moved"], &["<none>:<none>", "base:latest"]),
        (
            &[&format!("since={}", short(&old))[..]],
            &["top:latest", "moved:latest"],
        ),
        (&["reference=*o*"], &["top:latest", "moved:latest"]),
        (&["reference=[b]ase:late*"], &["base:latest"]),
        (&["until=1h"], &[]),
    ] {
        assert_eq!(names(&daemon, filters), expected, "{filters:?}");
    }
    for (filter, message) in [
        ("dangling=bogus", "invalid filter 'dangling=[bogus]'"),
        ("bogus=x", "invalid filter 'bogus'"),
        ("since=nosuch", "No such image: nosuch:latest"),
    ] {
        failed(&daemon.docker(&["images", "--filter", filter]), message);
    }
}

#[test]
fn an_image_is_inspected_and_its_history_told() {
    let daemon = Daemon::start();
    let id = import(&daemon, "x:1", &["CMD [\"sh\"]", "EXPOSE 80"]);
    let format = "{{.ID}} {{.RepoTags}} {{.Parent}} {{.Size}} {{.Config.ExposedPorts}} {{.Config.Cmd}} {{.GraphDriver.Name}} {{.RootFS.Type}} {{len .RootFS.Layers}}";
    let shown = daemon
        .docker(&["image", "inspect", "-f", format, "x:1"])
        .ok();
    assert_eq!(
        shown,
        format!("{id} [x:1]  3 map[80/tcp:{{}}] [sh] hull layers 1\n")
    );
    let times = daemon.docker(&[
        "inspect",
        "-f",
        "{{.Metadata.LastTagTime}} {{.GraphDriver.Data.UpperDir}}",
        "x:1",
    ]);
    let times = times.ok();
    assert!(
        times.starts_with("20") && times.trim_end().ends_with(".layer"),
        "{times}"
    );
    let history = daemon.docker(&[
        "history",
        "--format",
        "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}",
        "x:1",
    ]);
    assert_eq!(history.ok(), format!("{}||3B|a note\n", short(&id)));
    failed(
        &daemon.docker(&["history", "--platform", "linux/s390x", "x:1"]),
        "image with reference x:1 was found but does not provide the specified platform (linux/s390x)",
    );
}

#[test]
fn pruning_removes_what_nobody_needs() {
    let daemon = Daemon::start();
    let old = import(&daemon, "moved", &[]);
    import(&daemon, "moved", &["LABEL keep=me"]);
    let young = daemon.docker(&["image", "prune", "-f", "--filter", "until=1h"]);
    assert_eq!(young.ok(), "Total reclaimed space: 0B\n");
    // Both share their only layer.
    let first = daemon.docker(&["image", "prune", "-f"]).ok();
    assert_eq!(
        first,
        format!("Deleted Images:\ndeleted: {old}\n\nTotal reclaimed space: 0B\n")
    );
    let kept = daemon.docker(&["image", "prune", "-af", "--filter", "label!=keep"]);
    assert_eq!(kept.ok(), "Total reclaimed space: 0B\n");
    let all = daemon.docker(&["image", "prune", "-af"]).ok();
    assert!(
        all.starts_with("Deleted Images:\nuntagged: moved:latest\ndeleted: sha256:"),
        "{all}"
    );
    assert!(all.ends_with("\n\nTotal reclaimed space: 5B\n"), "{all}");
    failed(
        &daemon.docker(&["image", "prune", "-f", "--filter", "bogus=x"]),
        "invalid filter 'bogus'",
    );
}

#[test]
fn removal_is_told_line_by_line() {
    let daemon = Daemon::start();
    let id = import(&daemon, "x:1", &[]);
    daemon.docker(&["tag", "x:1", "y:2"]).ok();
    let message = format!(
        "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
        short(&id)
    );
    failed(&daemon.docker(&["rmi", short(&id)]), &message);
    assert_eq!(daemon.docker(&["rmi", "x:1"]).ok(), "Untagged: x:1\n");
    let some = daemon.docker(&["rmi", "nosuch", "y:2"]);
    assert_eq!(some.code, 1);
    assert!(
        some.stdout
            .starts_with(&format!("Untagged: y:2\nDeleted: {id}\nDeleted: sha256:")),
        "{some:?}"
    );
    assert_eq!(
        some.stderr.trim_end(),
        "Error response from daemon: No such image: nosuch:latest"
    );
    assert_eq!(daemon.docker(&["rmi", "-f", "nosuch"]).code, 0);
}

#[test]
fn disk_usage_counts_shared_layers_once() {
    let daemon = Daemon::start();
    import(&daemon, "one", &["LABEL n=1"]);
    daemon
        .docker_with(&["import", "-c", "LABEL n=2", "-", "two"], &tar("one"))
        .ok();
    let summary = daemon.docker(&[
        "system",
        "df",
        "--format",
        "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}",
    ]);
    assert_eq!(
        summary.ok(),
        "Images 2 0 3B 3B (100%)\nContainers 0 0 0B 0B\nLocal Volumes 0 0 0B 0B\nBuild Cache 0 0 0B 0B\n"
    );
    let full = daemon.docker(&["system", "df", "-v", "--format", "{{range .Images}}{{.Repository}} {{.Size}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}}\n{{end}}"]);
    assert_eq!(full.ok().trim_end(), "two 3B 3B 0B 0\none 3B 3B 0B 0");
}

#[test]
fn a_root_file_system_is_imported_from_an_address() {
    use std::io::{BufRead, BufReader, Write};

    let daemon = Daemon::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while !lines.next().unwrap().unwrap().is_empty() {}
            let (status, body) = match first.contains("/x.tar") {
                true => ("200 OK", tar("x")),
                false => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    let url = format!("http://{address}/x.tar");
    let shown = daemon
        .docker(&["import", "-c", "CMD sh", &url, "far:1"])
        .ok();
    assert!(
        shown.starts_with(&format!("Downloading from {url}\n")),
        "{shown}"
    );
    assert!(shown.contains("\nsha256:"), "{shown}");
    let comment = daemon
        .docker(&["inspect", "-f", "{{.Comment}}", "far:1"])
        .ok();
    assert_eq!(comment, format!("Imported from {url}\n"));
    let missing = daemon.docker(&["import", &format!("http://{address}/nosuch"), "x"]);
    failed(&missing, "Got HTTP status code >= 400: 404 Not Found");
    assert_eq!(names(&daemon, &[]), ["far:1"]);
}
