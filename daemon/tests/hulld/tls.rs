//! The API over TCP: with mutual TLS, or not at all.

use std::process::Command;

use crate::certificates::Authority;
use crate::harness::{Daemon, Run, hulld};

/// A daemon on its socket and on a port, for clients of this authority's.
fn listening(authority: &Authority) -> (Daemon, String) {
    let files = [
        "--tlsverify".to_owned(),
        format!("--tlscacert={}", authority.text("ca.pem")),
        format!("--tlscert={}", authority.text("server.pem")),
        format!("--tlskey={}", authority.text("server-key.pem")),
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let daemon = Daemon::start_on(&["tcp://127.0.0.1:0"], &files);
    let address = daemon.addresses()[1].clone();
    let port = address.rsplit(':').next().unwrap();
    let host = format!("localhost:{port}");
    (daemon, host)
}

fn curl(arguments: &[&str], url: &str) -> Run {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(arguments)
        .arg(url)
        .output();
    output.expect("curl is installed").into()
}

#[test]
fn dockers_command_line_works_over_mutual_tls() {
    let authority = Authority::of(&["server", "client"]);
    let (daemon, host) = listening(&authority);
    let docker = |arguments: &[&str]| -> Run {
        let mut docker = Command::new("docker");
        docker
            .env_remove("DOCKER_CONTEXT")
            .env("DOCKER_CONFIG", daemon.dir().join("config"))
            .args(["--tlsverify", "--host", &format!("tcp://{host}")])
            .args(["--tlscacert", &authority.text("ca.pem")])
            .args(["--tlscert", &authority.text("client.pem")])
            .args(["--tlskey", &authority.text("client-key.pem")])
            .args(arguments);
        docker.output().expect("docker is installed").into()
    };
    let version = docker(&["version", "--format", "{{.Server.APIVersion}}"]);
    assert_eq!(version.ok(), "1.51\n");
    // A body up, and an answer of several lines.
    let file = daemon.dir().join("file");
    std::fs::write(&file, "x").unwrap();
    let tar = daemon.dir().join("tar");
    let made = Command::new("tar")
        .arg("-C")
        .arg(daemon.dir())
        .arg("-cf")
        .arg(&tar)
        .arg("file")
        .status();
    assert!(made.unwrap().success());
    let id = docker(&["import", tar.to_str().unwrap(), "over:tls"]).ok();
    assert!(id.starts_with("sha256:"), "{id}");
    let listed = daemon.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(listed.ok(), "over:tls\n", "it is the same daemon");
}

#[test]
fn only_clients_of_the_authority_are_served() {
    let authority = Authority::of(&["server", "client"]);
    let strangers = Authority::of(&["client"]);
    let (daemon, host) = listening(&authority);
    let url = format!("https://{host}/_ping");
    let trust = authority.text("ca.pem");
    let shown = |of: &Authority| (of.text("client.pem"), of.text("client-key.pem"));
    let with = |(certificate, key): (String, String)| {
        let arguments = ["--cacert", &trust, "--cert", &certificate, "--key", &key];
        curl(&arguments, &url)
    };
    assert_eq!(with(shown(&authority)).ok(), "OK");
    let nobody = curl(&["--cacert", &trust], &url);
    assert_ne!(nobody.code, 0, "{nobody:?}");
    let stranger = with(shown(&strangers));
    assert_ne!(stranger.code, 0, "{stranger:?}");
    let plain = curl(&[], &format!("http://{host}/_ping"));
    assert!(plain.code != 0 && plain.stdout.is_empty(), "{plain:?}");
    // And it goes on serving.
    assert_eq!(with(shown(&authority)).ok(), "OK");
    drop(daemon);
}

#[test]
fn a_port_without_tls_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| -> Run {
        let output = hulld(dir.path()).args(arguments).output();
        output.unwrap().into()
    };
    let plain = run(&["-H", "tcp://127.0.0.1:0"]);
    assert_eq!(plain.code, 1, "{plain:?}");
    assert!(
        plain
            .stderr
            .contains("needs --tlsverify with --tlscacert, --tlscert and --tlskey"),
        "{plain:?}"
    );
    let half = run(&["-H", "tcp://127.0.0.1:0", "--tlsverify"]);
    assert_eq!(half.code, 2, "{half:?}");
    assert!(
        half.stderr.contains("--tlsverify needs --tlscacert"),
        "{half:?}"
    );
}
