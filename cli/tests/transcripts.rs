//! Outputs as they are seen: each file in `golden/` is a list of command lines with what they
//! print and end with. `UPDATE_GOLDEN=1` writes them anew; review the change as code.

mod fake;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use fake::Daemon;
use serde_json::json;

/// Runs the command lines of a golden file against `daemon` and compares.
fn check(name: &str, daemon: &Daemon) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let expected = std::fs::read_to_string(&path).expect(name);
    let mut got = String::new();
    for line in expected
        .lines()
        .filter_map(|line| line.strip_prefix("$ hull"))
    {
        let output = Command::new(env!("CARGO_BIN_EXE_hull"))
            .args(words(line))
            .env("HULL_HOST", daemon.host())
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .output()
            .expect("hull runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        writeln!(got, "$ hull{line}").expect("text");
        got.push_str(&without_moments(&text(&output.stdout)));
        let stderr = text(&output.stderr);
        if !stderr.is_empty() {
            write!(got, "--- stderr\n{stderr}").expect("text");
        }
        writeln!(got, "--- exit {}\n", output.status.code().expect("an exit")).expect("text");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, got).expect("written");
        return;
    }
    assert_eq!(
        got, expected,
        "{name} differs; UPDATE_GOLDEN=1 writes it anew"
    );
}

/// `2026-11-21 07:53:35 +0000 UTC` differs with every run.
fn without_moments(text: &str) -> String {
    const ZONE: &str = " +0000 UTC";
    const LENGTH: usize = "2026-11-21 07:53:35".len();
    let mut parts = text.split(ZONE).peekable();
    let mut out = String::new();
    while let Some(part) = parts.next() {
        let cut = if parts.peek().is_some() {
            part.len().saturating_sub(LENGTH)
        } else {
            part.len()
        };
        out.push_str(&part[..cut]);
        if parts.peek().is_some() {
            out.push_str("MOMENT");
        }
    }
    out
}

/// A line's words, as a shell splits them: single quotes hold together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// Unix time some minutes ago, so that ages read the same whenever this runs.
fn minutes_ago(minutes: u64) -> u64 {
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a clock")
        .as_secs();
    now - minutes * 60 - 10
}

fn containers() -> String {
    json!([
        {
            "Id": "859aa5c61b64f0263f417aa0f3a98f7ca254d30ccb93b887c2546d469f6aaae2",
            "Names": ["/hardcore_feynman"], "Image": "busybox", "Command": "echo 'hello world'",
            "ImageID": "sha256:866a1c9de79713eff27c24bb0f42937d6df887179681b427485c44c6ca0d8ef9",
            "Created": minutes_ago(5), "Ports": [], "Labels": { "a": "b" }, "State": "exited",
            "Status": "Exited (0) 4 minutes ago", "Mounts": [],
            "NetworkSettings": { "Networks": { "bridge": {} } },
        },
        {
            "Id": "b27ec311211f88a342c332546f2537ec3033632758c001f26e81c9dc323af68f",
            "Names": ["/registry2"], "Image": "registry:2",
            "ImageID": "sha256:749b5471d790d78f46227469969130a30ed068cf2a8e252be7c03073926f2ce4",
            "Command": "/entrypoint.sh /etc/docker/registry/config.yml",
            "Created": minutes_ago(125), "Labels": {}, "State": "running", "Status": "Up 2 hours",
            "Ports": [
                { "IP": "0.0.0.0", "PrivatePort": 5000, "PublicPort": 5003, "Type": "tcp" },
                { "IP": "::", "PrivatePort": 5000, "PublicPort": 5003, "Type": "tcp" },
            ],
            "Mounts": [], "NetworkSettings": { "Networks": { "bridge": {} } },
        },
    ])
    .to_string()
}

fn images() -> String {
    let image = |id: &str, tags: &[&str], digests: &[String], size: u64| {
        json!({
            "Id": format!("sha256:{id}"), "ParentId": "", "RepoTags": tags, "RepoDigests": digests,
            "Created": minutes_ago(3), "Size": size, "SharedSize": -1, "Containers": -1,
            "Labels": null,
        })
    };
    let digest = format!("localhost:5000/bb@sha256:{}", "d".repeat(64));
    json!([
        image(
            "65670c1edc0cf7188d5b8a978105f71a",
            &["busybox:latest", "localhost:5000/bb:1"],
            &[digest],
            2_066_795
        ),
        image("2f2e86bbaf2b0000000000000000aaaa", &[], &[], 27_380_000),
    ])
    .to_string()
}

#[test]
fn containers_are_listed_as_docker_lists_them() {
    let list = containers();
    check(
        "ps.txt",
        &Daemon::with(&[("GET /containers/json", 200, &list)]),
    );
}

#[test]
fn images_are_listed_as_docker_lists_them() {
    let list = images();
    check(
        "images.txt",
        &Daemon::with(&[("GET /images/json", 200, &list)]),
    );
}

#[test]
fn a_history_is_told_as_docker_tells_it() {
    let made = "/bin/sh -c #(nop) COPY file:13b803b1d53169e327083353179defcc79c8d42b in /app.py";
    let history = json!([
        {
            "Id": "sha256:3fd44cae43a11ff47e0267c3b92db7e7", "Created": minutes_ago(5),
            "CreatedBy": made, "Tags": ["x:latest"], "Size": 159, "Comment": "",
        },
        {
            "Id": "<missing>", "Created": 0, "CreatedBy": "a\tb", "Tags": null,
            "Size": 174_451_425, "Comment": "Imported from -",
        },
    ]);
    let fixed = json!([{
        "Id": "sha256:c61e1ec8d2661c9c5c68c44b43d6f768", "Created": 1_795_231_694, "CreatedBy": "",
        "Tags": [], "Size": 174_451_425, "Comment": "Imported from -",
    }]);
    let daemon = Daemon::with(&[
        ("GET /images/x/history", 200, &history.to_string()),
        ("GET /images/y/history", 200, &fixed.to_string()),
    ]);
    check("history.txt", &daemon);
    let asked = "platform=%7B%22architecture%22%3A%22arm64%22%2C%22os%22%3A%22linux%22%7D";
    assert_eq!(
        daemon.lines().last().map(String::as_str),
        Some(format!("GET /images/y/history?{asked}").as_str())
    );
}

#[test]
fn disk_usage_is_told_and_given_back_as_docker_does_it() {
    let image = |id: &str, tags: &[&str], shared: u64, containers: u64| {
        json!({
            "Id": format!("sha256:{id}"), "ParentId": "", "RepoTags": tags, "RepoDigests": [],
            "Created": minutes_ago(3), "Size": 174_451_584, "SharedSize": shared,
            "Containers": containers, "Labels": null,
        })
    };
    let usage = json!({
        "LayersSize": 209_400_000,
        "Images": [
            image("973571bad341aaaa", &["localhost:5003/user1/x:latest", "x:2"], 174_451_425, 1),
            image("c61e1ec8d2661c9c", &[], 0, 0),
        ],
        "Containers": serde_json::from_str::<serde_json::Value>(&containers()).expect("JSON"),
        "Volumes": [],
        "BuildCache": [],
    });
    let pruned =
        r#"{"ImagesDeleted":[{"Untagged":"x:1"},{"Deleted":"sha256:ff"}],"SpaceReclaimed":5}"#;
    let daemon = Daemon::with(&[
        ("GET /system/df", 200, &usage.to_string()),
        ("POST /images/prune", 200, pruned),
    ]);
    check("disk.txt", &daemon);
    let prunes: Vec<String> = daemon
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("POST /images/prune"))
        .collect();
    // Without an answer nothing is pruned.
    assert_eq!(prunes.len(), 2, "{prunes:?}");
    assert!(prunes[0].contains("dangling%22%3A%5B%22true"), "{prunes:?}");
    assert!(
        prunes[1].contains("dangling%22%3A%5B%22false"),
        "{prunes:?}"
    );
    assert!(prunes[1].contains("until"), "{prunes:?}");
}

#[test]
fn command_lines_that_make_no_sense_are_refused_as_docker_refuses_them() {
    check("usage.txt", &Daemon::start());
}

#[test]
fn help_is_laid_out_as_dockers() {
    check("help.txt", &Daemon::start());
}

#[test]
fn objects_are_inspected_as_docker_shows_them() {
    // As text: the order of fields is part of what is shown.
    let container = concat!(
        r#"{"Id":"55afcfd24cbe","Created":"2026-11-21T03:28:57.378677919Z","Path":"sh","Args":[],"#,
        r#""State":{"Status":"running","Running":true,"Pid":1334,"ExitCode":0},"Name":"/web","#,
        r#""ExecIDs":null,"HostConfig":{"Binds":null,"#,
        r#""RestartPolicy":{"Name":"always","MaximumRetryCount":0}},"#,
        r#""Config":{"Cmd":["go","run","hello.go"],"ExposedPorts":{"80/tcp":{}},"Labels":{}},"#,
        r#""NetworkSettings":{"IPAddress":"172.17.0.3","Ports":{}}}"#,
    );
    let image = r#"{"Id":"sha256:ff","RepoTags":["x:1","x:2"],"Size":5}"#;
    let daemon = Daemon::with(&[
        ("GET /containers/web/json", 200, container),
        ("GET /images/x/json", 200, image),
    ]);
    check("inspect.txt", &daemon);
}

#[test]
fn each_named_object_is_told_of() {
    let removed = r#"[{"Untagged":"x:1"},{"Deleted":"sha256:ff"}]"#;
    let conflict = r#"{"message":"conflict: unable to delete y (must be forced)"}"#;
    let waited = r#"{"StatusCode":137}"#;
    let daemon = Daemon::with(&[
        ("DELETE /images/x:1", 200, removed),
        ("DELETE /images/y", 409, conflict),
        ("POST /containers/w/wait", 200, waited),
        ("POST /images/x/tag", 201, ""),
    ]);
    check("objects.txt", &daemon);
    let lines = daemon.lines();
    for expected in [
        "POST /containers/c1/stop?signal=INT&t=3".to_owned(),
        "POST /containers/c1/restart?t=0".to_owned(),
        "POST /containers/c1/kill?signal=HUP".to_owned(),
        "DELETE /containers/c1?v=true&force=true&link=false".to_owned(),
        "POST /containers/c1/rename?name=c2".to_owned(),
        "DELETE /images/x:1?force=false&noprune=true".to_owned(),
        "POST /images/x/tag?repo=localhost%3A5000%2Fx&tag=latest".to_owned(),
    ] {
        assert!(lines.contains(&expected), "{expected} in {lines:#?}");
    }
}

#[test]
fn what_nobody_needs_is_removed() {
    let containers = r#"{"ContainersDeleted":["ff","ee"],"SpaceReclaimed":5}"#;
    let images = r#"{"ImagesDeleted":[{"Untagged":"x:1"},{"Deleted":"sha256:ff"}],"SpaceReclaimed":122400000}"#;
    let daemon = Daemon::with(&[
        ("POST /containers/prune", 200, containers),
        ("POST /images/prune", 200, images),
        ("POST /networks/prune", 200, r#"{"NetworksDeleted":["n1"]}"#),
        (
            "POST /volumes/prune",
            200,
            r#"{"VolumesDeleted":null,"SpaceReclaimed":0}"#,
        ),
        (
            "POST /build/prune",
            200,
            r#"{"CachesDeleted":["c1"],"SpaceReclaimed":1}"#,
        ),
    ]);
    check("prune.txt", &daemon);
    let lines = daemon.lines();
    for (expected, times) in [
        (
            "POST /containers/prune?filters=%7B%22until%22%3A%5B%221h%22%5D%7D",
            1,
        ),
        (
            "POST /images/prune?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D",
            2,
        ),
        (
            "POST /images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D",
            1,
        ),
        ("POST /volumes/prune?", 1),
        ("POST /build/prune?all=true", 1),
    ] {
        let seen = lines.iter().filter(|line| *line == expected).count();
        assert_eq!(seen, times, "{expected} in {lines:#?}");
    }
}

#[test]
fn processes_and_ports_are_listed() {
    let top = r#"{"Titles":["PID","CMD"],"Processes":[["1","sleep 100"],["7","sh"]]}"#;
    let web = concat!(
        r#"{"NetworkSettings":{"Ports":{"443/tcp":[{"HostIp":"0.0.0.0","HostPort":"8443"}],"#,
        r#""80/tcp":[{"HostIp":"::","HostPort":"8080"}],"9/udp":null}}}"#,
    );
    let daemon = Daemon::with(&[
        ("GET /containers/web/top", 200, top),
        (
            "GET /containers/idle/top",
            409,
            r#"{"message":"container ff is not running"}"#,
        ),
        ("GET /containers/web/json", 200, web),
    ]);
    check("processes.txt", &daemon);
    let lines = daemon.lines();
    let asked = "GET /containers/web/top?ps_args=-o+pid%2Ccmd";
    assert!(lines.iter().any(|line| line == asked), "{lines:#?}");
}

#[test]
fn the_daemon_is_described() {
    let version = json!({
        "Platform": { "Name": "" },
        "Components": [
            { "Name": "Engine", "Version": "0.1.0", "Details": { "ApiVersion": "1.51", "Arch": "amd64",
              "MinAPIVersion": "1.24", "Os": "linux" } },
            { "Name": "hull-vmm", "Version": "0.1.0", "Details": {} },
        ],
        "Version": "0.1.0", "ApiVersion": "1.51", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64",
    });
    let info = json!({
        "ID": "e2bc", "Containers": 2, "ContainersRunning": 1, "ContainersPaused": 0,
        "ContainersStopped": 1, "Images": 15, "Driver": "hull",
        "DriverStatus": [["Layers", "packed"]], "LoggingDriver": "json-file", "CgroupVersion": "2",
        "KernelVersion": "6.12", "OperatingSystem": "Debian", "OSType": "linux",
        "Architecture": "x86_64", "NCPU": 2, "MemTotal": 25_276_514_304_i64, "Name": "vm",
        "ServerVersion": "0.1.0",
        "RegistryConfig": {
            "IndexConfigs": {
                "docker.io": {"Name": "docker.io", "Secure": true},
                "reg.example:5000": {"Name": "reg.example:5000", "Secure": false},
            },
            "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
            "Mirrors": ["http://127.0.0.1:7/"],
        },
        "Warnings": ["WARNING: No swap limit support"],
    });
    let (version, info) = (version.to_string(), info.to_string());
    check(
        "about.txt",
        &Daemon::with(&[("GET /version", 200, &version), ("GET /info", 200, &info)]),
    );
}

#[test]
fn archives_are_sent_and_their_answers_told() {
    let loaded = "{\"stream\":\"Loaded image: x:latest\\n\"}\n";
    let imported = "{\"status\":\"sha256:ff\"}\r\n";
    let daemon = Daemon::with(&[
        ("POST /images/load", 200, loaded),
        ("POST /images/create", 200, imported),
    ]);
    let archive = daemon.directory().join("x.tar");
    std::fs::write(&archive, "an archive").expect("written");
    let path = archive.to_str().expect("text");
    let hull = |arguments: &[&str], stdin: Stdio| {
        let output = Command::new(env!("CARGO_BIN_EXE_hull"))
            .args(arguments)
            .env("HULL_HOST", daemon.host())
            .stdin(stdin)
            .output()
            .expect("hull runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (
            text(output.stdout),
            text(output.stderr),
            output.status.code(),
        )
    };
    let file = || Stdio::from(std::fs::File::open(&archive).expect("opened"));
    let told = |text: &str| (text.to_owned(), String::new(), Some(0));
    assert_eq!(
        hull(&["load", "-i", path], Stdio::null()),
        told("Loaded image: x:latest\n")
    );
    assert_eq!(
        hull(&["load", "-q"], file()),
        told("Loaded image: x:latest\n")
    );
    let import = ["import", "-c", "CMD [\"sh\"]", "-m", "a note", "-", "x:1"];
    assert_eq!(hull(&import, file()), told("sha256:ff\n"));
    assert_eq!(
        hull(&["image", "import", path], Stdio::null()),
        told("sha256:ff\n")
    );
    let seen: Vec<(String, String)> = daemon
        .seen()
        .into_iter()
        .map(|seen| (seen.line, seen.body))
        .collect();
    let expected = [
        "POST /images/load?quiet=1",
        "POST /images/load?quiet=1",
        "POST /images/create?fromSrc=-&repo=x%3A1&message=a+note&changes=CMD+%5B%22sh%22%5D",
        "POST /images/create?fromSrc=-",
    ];
    assert_eq!(
        seen,
        expected.map(|line| (line.to_owned(), "an archive".to_owned()))
    );
}

#[test]
fn an_error_within_a_stream_is_the_commands() {
    let broken = r#"{"errorDetail":{"message":"unexpected EOF"},"error":"unexpected EOF"}"#;
    let daemon = Daemon::with(&[("POST /images/load", 200, broken)]);
    let output = Command::new(env!("CARGO_BIN_EXE_hull"))
        .arg("load")
        .env("HULL_HOST", daemon.host())
        .stdin(Stdio::null())
        .output()
        .expect("hull runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "unexpected EOF\n");
    assert_eq!(output.status.code(), Some(1));
}
