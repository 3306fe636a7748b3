//! Registries through docker's own command line: Debian's `docker-registry`, and some that are
//! only told about.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::harness::{Daemon, Run};
use crate::peer::{Guard, Peer};

/// A root file system with one file, as a tar.
fn rootfs(dir: &Path, contents: &str) -> Vec<u8> {
    std::fs::write(dir.join("file"), contents).unwrap();
    let tar = Command::new("tar")
        .args(["-cf", "-", "-C"])
        .arg(dir)
        .arg("file")
        .output();
    tar.unwrap().stdout
}

fn import(daemon: &Daemon, name: &str) -> String {
    let tar = rootfs(daemon.dir(), name);
    daemon.docker_with(&["import", "-", name], &tar).ok()
}

#[track_caller]
fn fails(run: &Run, message: &str) {
    assert_eq!((run.code, run.stderr.trim_end()), (1, message), "{run:?}");
}

/// Lines with the ids of layers and manifests replaced.
fn lines(text: &str) -> Vec<String> {
    let anonymous = |line: &str| match line.split_once("sha256:") {
        Some((before, rest)) => format!("{before}sha256{}", &rest[64..]),
        None => line.to_owned(),
    };
    let short = |line: String| match line.split_once(": ") {
        Some((id, rest)) if id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("ID: {rest}")
        }
        _ => line,
    };
    text.lines().map(anonymous).map(short).collect()
}

#[test]
fn docker_pushes_and_pulls() {
    let (daemon, peer) = (Daemon::start(), Peer::start(Guard::Open));
    let name = format!("{}/some/devenv", peer.host());
    let id = import(&daemon, &name);

    let pushed = daemon.docker(&["push", &name]).ok();
    let repository = format!("The push refers to repository [{name}]");
    let size = pushed.split_whitespace().last().unwrap();
    let digest = format!("latest: digest: sha256 size: {size}");
    assert_eq!(
        lines(&pushed),
        [
            "Using default tag: latest",
            &repository,
            "ID: Preparing",
            "ID: Pushed",
            &digest,
        ]
    );
    let again = daemon.docker(&["push", "-a", &name]).ok();
    assert_eq!(
        lines(&again),
        [
            repository.as_str(),
            "ID: Preparing",
            "ID: Layer already exists",
            &digest,
        ]
    );
    let quiet = daemon.docker(&["push", "-q", &name]).ok();
    assert_eq!(quiet, format!("{name}:latest\n"));

    daemon.docker(&["push", "--platform", "linux", &name]).ok();
    // Behind a note of docker's own.
    let refused = |platform: &str, name: &str, message: &str| {
        let run = daemon.docker(&["push", "--platform", platform, name]);
        let message = format!("Error response from daemon: {message}");
        assert_eq!(run.code, 1, "{run:?}");
        assert_eq!(run.stderr.lines().last(), Some(&*message), "{run:?}");
    };
    let other = format!(
        "image with reference {name}:latest was found but does not provide the specified platform (linux/s390x)"
    );
    refused("linux/s390x", &name, &other);
    refused("linux/amd64", "nosuch", "No such image: nosuch:latest");

    let removed = daemon.docker(&["rmi", &name]).ok();
    assert!(
        removed.contains(&format!("Untagged: {name}@sha256:")),
        "{removed}"
    );
    let pulled = daemon.docker(&["pull", &name]).ok();
    assert_eq!(
        lines(&pulled),
        [
            "Using default tag: latest",
            "latest: Pulling from some/devenv",
            "ID: Pulling fs layer",
            "ID: Verifying Checksum",
            "ID: Download complete",
            "ID: Pull complete",
            "Digest: sha256",
            &format!("Status: Downloaded newer image for {name}:latest"),
            &format!("{name}:latest"),
        ]
    );
    let found = daemon.docker(&["inspect", "-f", "{{.Id}}", &name]).ok();
    assert_eq!(found, id);
    let all = daemon.docker(&["pull", "-a", &name]).ok();
    assert_eq!(
        lines(&all),
        [
            "latest: Pulling from some/devenv",
            "Digest: sha256",
            &format!("Status: Image is up to date for {name}"),
            &name,
        ]
    );
    let quiet = daemon.docker(&["pull", "-q", &name]).ok();
    assert_eq!(quiet, format!("{name}:latest\n"));

    let digests = daemon.docker(&["inspect", "-f", "{{index .RepoDigests 0}}", &name]);
    let by_digest = digests.ok().trim().to_owned();
    daemon.docker(&["rmi", &name]).ok();
    let pulled = daemon.docker(&["pull", &by_digest]).ok();
    assert!(pulled.contains(&format!("Status: Downloaded newer image for {by_digest}")));
    assert_eq!(daemon.docker(&["images", "-q"]).ok().lines().count(), 1);
}

#[test]
fn what_a_registry_has_not_is_said_in_docker_s_words() {
    let (daemon, peer) = (Daemon::start(), Peer::start(Guard::Open));
    let name = format!("{}/nosuch", peer.host());
    let pulled = daemon.docker(&["pull", &name]);
    assert_eq!(pulled.stdout, "Using default tag: latest\n");
    fails(
        &pulled,
        &format!(
            "Error response from daemon: manifest for {name}:latest not found: manifest unknown: manifest unknown"
        ),
    );
    fails(
        &daemon.docker(&["push", &name]),
        &format!("An image does not exist locally with the tag: {name}"),
    );
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    fails(
        &daemon.docker(&["pull", &format!("{address}/x")]),
        &format!(
            "Error response from daemon: Get \"http://{address}/v2/\": dial tcp {address}: connect: connection refused"
        ),
    );
    let run = daemon.docker(&["run", "--rm", &name]);
    assert_eq!(run.code, 125, "{run:?}");
    let unable = format!("Unable to find image '{name}:latest' locally\n");
    assert!(run.stderr.starts_with(&unable), "{run:?}");
}

#[test]
fn docker_logs_in_and_out() {
    let (daemon, peer) = (Daemon::start(), Peer::start(Guard::Password));
    let host = peer.host();
    let name = format!("{host}/bob/x:1");
    import(&daemon, &name);
    let refused = daemon.docker(&["push", &name]);
    fails(&refused, "no basic auth credentials");
    fails(
        &daemon.docker(&["pull", &name]),
        &format!(
            "Error response from daemon: Head \"http://{host}/v2/bob/x/manifests/1\": no basic auth credentials"
        ),
    );
    let wrong = daemon.docker(&["login", "-u", "bob", "-p", "wrong", &host]);
    assert!(
        wrong.stderr.ends_with(&format!(
            "login attempt to http://{host}/v2/ failed with status: 401 Unauthorized\n"
        )),
        "{wrong:?}"
    );
    let login = ["login", "-u", "bob", "--password-stdin", &host];
    let said = daemon.docker_with(&login, b"secret\n").ok();
    assert!(said.contains("Login Succeeded"), "{said}");
    daemon.docker(&["push", &name]).ok();
    daemon.docker(&["rmi", &name]).ok();
    daemon.docker(&["pull", &name]).ok();
    daemon.docker(&["logout", &host]).ok();
    fails(
        &daemon.docker(&["push", &name]),
        "no basic auth credentials",
    );
}

#[test]
fn a_registry_with_tls_is_taken_as_it_is_here_and_described() {
    let (daemon, peer) = (Daemon::start(), Peer::start(Guard::Tls));
    let name = format!("{}/x:1", peer.host());
    import(&daemon, &name);
    daemon.docker(&["push", &name]).ok();
    let answer = daemon.exchange(&format!(
        "GET /v1.51/distribution/{name}/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ));
    let digest = daemon.docker(&["inspect", "-f", "{{index .RepoDigests 0}}", &name]);
    let digest = digest.ok();
    let (_, digest) = digest.trim().split_once('@').unwrap();
    assert!(
        answer.contains(&format!("\"digest\":\"{digest}\"")),
        "{answer}"
    );
    assert!(answer.contains(r#""os":"linux""#), "{answer}");
}

#[test]
fn a_search_shows_what_the_index_found() {
    let index = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = index.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in index.incoming() {
            let mut stream = stream.unwrap();
            let mut start = [0; 1024];
            let length = stream.read(&mut start).unwrap();
            let request = String::from_utf8_lossy(&start[..length]).into_owned();
            let body = r#"{"results":[{"name":"busybox","description":"Busybox base image, which has a description that is longer","star_count":30,"is_official":true},{"name":"me/busybox","star_count":2}]}"#;
            // The first try is TLS's, which is not spoken here.
            if request.starts_with("GET /v1/search?q=busy&n=25 ") {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + body).as_bytes()).unwrap();
            }
        }
    });
    let daemon = Daemon::start();
    let found = daemon.docker(&["search", &format!("{host}/busy")]).ok();
    let expected = "\
NAME         DESCRIPTION                                     STARS     OFFICIAL
busybox      Busybox base image, which has a description …   30        [OK]
me/busybox                                                   2         \n";
    assert_eq!(found, expected);
    let filter = format!("{host}/busy");
    let stars = daemon.docker(&["search", "-f", "stars=3", "--format", "{{.Name}}", &filter]);
    assert_eq!(stars.ok(), "busybox\n");
    fails(
        &daemon.docker(&["search", "-f", "nosuch=1", &filter]),
        "Error response from daemon: invalid filter 'nosuch'",
    );
}

#[test]
fn the_daemon_s_options_are_shown() {
    let daemon = Daemon::start_with(&[
        "--insecure-registry",
        "reg.example:5000",
        "--insecure-registry=10.0.0.0/8",
        "--registry-mirror",
        "http://127.0.0.1:7",
    ]);
    let shown = daemon
        .docker(&["info", "-f", "{{json .RegistryConfig}}"])
        .ok();
    for part in [
        r#""InsecureRegistryCIDRs":["10.0.0.0/8","::1/128","127.0.0.0/8"]"#,
        r#""Mirrors":["http://127.0.0.1:7/"]"#,
        r#""reg.example:5000":{"Mirrors":[],"Name":"reg.example:5000","Official":false,"Secure":false}"#,
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn a_mirror_has_what_docker_hub_has() {
    let peer = Peer::start(Guard::Open);
    let mirror = format!("http://{}", peer.host());
    let daemon = Daemon::start_with(&["--registry-mirror", &mirror]);
    let pushed = format!("{}/library/hello-world", peer.host());
    let id = import(&daemon, &pushed);
    daemon.docker(&["push", &pushed]).ok();
    daemon.docker(&["rmi", &pushed]).ok();
    let pulled = daemon.docker(&["pull", "hello-world"]).ok();
    assert_eq!(
        lines(&pulled),
        [
            "Using default tag: latest",
            "latest: Pulling from library/hello-world",
            "ID: Pulling fs layer",
            "ID: Verifying Checksum",
            "ID: Download complete",
            "ID: Pull complete",
            "Digest: sha256",
            "Status: Downloaded newer image for hello-world:latest",
            "docker.io/library/hello-world:latest",
        ]
    );
    let found = daemon.docker(&["inspect", "-f", "{{.Id}}", "hello-world"]);
    assert_eq!(found.ok(), id);
    // A container that needs it pulls it, and gets as far as there being no KVM here.
    daemon.docker(&["rmi", "hello-world"]).ok();
    let created = daemon.docker(&["create", "hello-world", "x"]);
    let unable = "Unable to find image 'hello-world:latest' locally\nlatest: Pulling from library/hello-world\n";
    assert!(created.stderr.starts_with(unable), "{created:?}");
    assert_eq!(created.code, 0, "{created:?}");
}

#[test]
fn another_platform_than_asked_for_is_a_warning() {
    let (daemon, peer) = (Daemon::start(), Peer::start(Guard::Open));
    let name = format!("{}/x:1", peer.host());
    import(&daemon, &name);
    daemon.docker(&["push", &name]).ok();
    let pulled = daemon
        .docker(&["pull", "--platform", "linux/s390x", &name])
        .ok();
    let warning = format!(
        "WARNING: image with reference {name} was found but its platform (linux/{}) does not match the specified platform (linux/s390x)\n",
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            _ => "arm64",
        }
    );
    assert!(pulled.contains(&warning), "{pulled}");
    let refused = daemon.docker(&["pull", "--platform", "no/such/thing/at-all", &name]);
    assert_eq!(refused.code, 1, "{refused:?}");
}
