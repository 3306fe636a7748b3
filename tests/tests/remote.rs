//! A daemon over TCP with mutual TLS, and attach over a WebSocket: streams both ways.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use hull_tests::{Daemon, eventually};

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .current_dir(folder)
        .args(arguments.split_whitespace())
        .output()
        .expect("openssl is installed");
    assert!(done.status.success(), "openssl {arguments}: {done:?}");
}

/// `ca.pem`, and Docker's names for a client's files, which the server uses as well.
fn certify(folder: &Path) {
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    std::fs::write(folder.join("names"), names).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!(
            "req -x509 {key} -keyout ca-key.pem -out ca.pem -days 3650 -subj /CN=authority \
             -addext basicConstraints=critical,CA:TRUE"
        ),
    );
    openssl(
        folder,
        &format!("req {key} -keyout key.pem -out csr.pem -subj /CN=both"),
    );
    openssl(
        folder,
        "x509 -req -in csr.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out cert.pem \
         -days 3650 -extfile names",
    );
}

#[test]
fn both_command_lines_run_containers_over_mutual_tls() {
    let certificates = tempfile::tempdir().unwrap();
    certify(certificates.path());
    let file = |name: &str| certificates.path().join(name).display().to_string();
    let hull = Daemon::with_options(&[
        "-H",
        "tcp://127.0.0.1:0",
        "--tlsverify",
        &format!("--tlscacert={}", file("ca.pem")),
        &format!("--tlscert={}", file("cert.pem")),
        &format!("--tlskey={}", file("key.pem")),
    ]);
    hull.load_busybox().ok();
    let log = std::fs::read_to_string(hull.folder().join("hulld.log")).unwrap();
    let ready = log.lines().find(|l| l.starts_with("hulld ready: "));
    let host = ready.and_then(|l| l.split(' ').find(|w| w.starts_with("tcp://")));
    let host = host.expect("it listens").to_owned();
    for program in ["hull", "docker"] {
        let mut command = match program {
            "hull" => hull.command::<&str>([]),
            _ => Command::new("docker"),
        };
        command
            .env("DOCKER_HOST", &host)
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", certificates.path())
            .args(["run", "--rm", "-i", "busybox", "sh", "-c", "cat; exit 3"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Its end is the end of the container's input: half a close, through TLS.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"through two tunnels\n").unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.as_slice()),
            (Some(3), &b"through two tunnels\n"[..]),
            "{program}"
        );
    }
    let stranger = tempfile::tempdir().unwrap();
    certify(stranger.path());
    let refused = hull
        .command(["--tlsverify", "-H", &host, "ps"])
        .env("DOCKER_CERT_PATH", stranger.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

/// A client's frame of a short payload, masked with zeros.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0x80 | kind, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[test]
fn a_websocket_carries_a_containers_streams_until_it_ends() {
    let hull = Daemon::with_busybox();
    let script = "read line; echo got $line; echo end >&2";
    let run = ["run", "-di", "--name", "ws", "busybox", "sh", "-c", script];
    hull.hull(run).ok();
    let mut socket = UnixStream::connect(hull.host().trim_start_matches("unix://")).unwrap();
    let request = "GET /containers/ws/attach/ws?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\n\
                   Host: d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    socket.write_all(&frame(2, b"hello\n")).unwrap();
    // Until the server's close: 1000, a normal end.
    let mut all = Vec::new();
    while !all.ends_with(&[0x88, 2, 3, 232]) {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        all.push(byte[0]);
    }
    socket.write_all(&frame(8, &[])).unwrap();
    let all = String::from_utf8_lossy(&all);
    assert!(all.starts_with("HTTP/1.1 101 "), "{all:?}");
    assert!(
        all.contains("got hello\n") && all.contains("end\n"),
        "{all:?}"
    );
    eventually("it has ended", || hull.hull(["ps", "-q"]).ok().is_empty());
}
