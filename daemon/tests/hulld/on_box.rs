//! The registry inside the daemon: on its images, and there again after a restart.

use std::process::Command;

use crate::harness::Daemon;

pub(crate) fn import(daemon: &Daemon, name: &str) {
    std::fs::write(daemon.dir().join("file"), name).unwrap();
    let tar = Command::new("tar")
        .args(["-cf", "-", "-C"])
        .arg(daemon.dir())
        .arg("file")
        .output();
    daemon
        .docker_with(&["import", "-", name], &tar.unwrap().stdout)
        .ok();
}

/// Asks the daemon itself; says the status and the body.
pub(crate) fn ask(
    daemon: &Daemon,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, serde_json::Value) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let answer = daemon.exchange(&request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Starts it on a free port; says where it is.
fn start(daemon: &Daemon) -> String {
    let (status, body) = ask(
        daemon,
        "POST",
        "/hull/registry/start",
        r#"{"Listen":"127.0.0.1:0"}"#,
    );
    assert_eq!(
        (status, body["Running"].as_bool()),
        (200, Some(true)),
        "{body}"
    );
    body["Address"].as_str().unwrap().to_owned()
}

fn curl(url: &str) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "20", url])
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn a_push_of_a_local_image_sends_nothing() {
    let daemon = Daemon::start();
    let address = start(&daemon);
    let name = format!("{address}/devenv");
    import(&daemon, &name);
    let pushed = daemon.docker(&["push", &name]).ok();
    assert!(pushed.contains("Layer already exists"), "{pushed}");
    assert!(pushed.contains("latest: digest: sha256:"), "{pushed}");
    let catalog = curl(&format!("http://{address}/v2/_catalog"));
    assert_eq!(catalog, "{\"repositories\":[\"devenv\"]}\n");
    // The image goes, the registry's stays, and comes back whole.
    let id = daemon.docker(&["inspect", "-f", "{{.Id}}", &name]).ok();
    daemon.docker(&["rmi", &name]).ok();
    let target = format!("dir:{}", daemon.dir().join("copy").display());
    let copied = Command::new("skopeo")
        .args([
            "--insecure-policy",
            "copy",
            "--quiet",
            "--src-tls-verify=false",
        ])
        .args([&format!("docker://{name}:latest"), &target])
        .output()
        .unwrap();
    assert!(
        copied.status.success(),
        "{}",
        String::from_utf8_lossy(&copied.stderr)
    );
    daemon.docker(&["pull", &name]).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.Id}}", &name]).ok(), id);
}

#[test]
fn a_stranger_gets_no_blob_of_an_image() {
    let daemon = Daemon::start();
    let address = start(&daemon);
    import(&daemon, "secret");
    let id = daemon.docker(&["inspect", "-f", "{{.Id}}", "secret"]).ok();
    let id = id.trim();
    let mount = |more: &[&str]| {
        let output = Command::new("curl")
            .args(["--silent", "--include", "--request", "POST"])
            .args(more)
            .arg(format!("http://{address}/v2/x/blobs/uploads/?mount={id}"))
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(mount(&[]).starts_with("HTTP/1.1 202"));
    let header = format!("Hull-Local-Blob: {}", "0".repeat(64));
    assert!(mount(&["--header", &header]).starts_with("HTTP/1.1 202"));
}

#[test]
fn the_registry_is_up_again_after_a_restart_until_it_is_stopped() {
    let daemon = Daemon::start();
    let (_, status) = ask(&daemon, "GET", "/hull/registry", "");
    assert_eq!(status["Running"], false);
    let address = start(&daemon);
    let name = format!("{address}/kept");
    import(&daemon, &name);
    daemon.docker(&["push", &name]).ok();
    // Idempotent, and not another thing without a word.
    assert_eq!(ask(&daemon, "POST", "/hull/registry/start", "").0, 200);
    let other = r#"{"Listen":"127.0.0.1:1"}"#;
    assert_eq!(ask(&daemon, "POST", "/hull/registry/start", other).0, 409);
    let mut daemon = daemon;
    daemon.kill();
    let daemon = daemon.again();
    let (_, status) = ask(&daemon, "GET", "/hull/registry", "");
    assert_eq!(status["Running"], true, "{status}");
    let address = status["Address"].as_str().unwrap();
    let tags = curl(&format!("http://{address}/v2/kept/tags/list"));
    assert_eq!(tags, "{\"name\":\"kept\",\"tags\":[\"latest\"]}\n");
    let (code, stopped) = ask(&daemon, "POST", "/hull/registry/stop", "");
    assert_eq!((code, &stopped["Stopped"]), (200, &true.into()));
    assert_eq!(curl(&format!("http://{address}/")), "");
    let mut daemon = daemon;
    daemon.kill();
    let daemon = daemon.again();
    let (_, status) = ask(&daemon, "GET", "/hull/registry", "");
    assert_eq!(status["Running"], false);
}

#[test]
fn a_registry_that_cannot_start_says_why() {
    let daemon = Daemon::start();
    let start = |body: &str| {
        let (status, body) = ask(&daemon, "POST", "/hull/registry/start", body);
        (
            status,
            body["message"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (status, message) = start(r#"{"Config":"nosuch = 1"}"#);
    assert_eq!(status, 400);
    assert!(
        message.starts_with("invalid registry configuration"),
        "{message}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (status, message) = start(&format!("{{\"Listen\":\"{address}\"}}"));
    assert_eq!(status, 500);
    assert!(message.contains("cannot listen on"), "{message}");
    assert_eq!(
        ask(&daemon, "GET", "/hull/registry", "").1["Running"],
        false
    );
}
