//! `attach/ws` byte for byte, on a container that has not been started.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::harness::Daemon;

/// A created container with an open stdin.
fn created(daemon: &Daemon) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "x").unwrap();
    let tar = std::process::Command::new("tar")
        .arg("-C")
        .arg(dir.path())
        .args(["-cf", "-", "file"])
        .output();
    let tar = tar.unwrap().stdout;
    daemon.docker_with(&["import", "-", "img"], &tar).ok();
    let id = daemon.docker(&["create", "-it", "img", "cat"]).ok();
    id.trim().to_owned()
}

fn handshake(daemon: &Daemon, id: &str, key: &str) -> (UnixStream, String) {
    let mut socket = UnixStream::connect(daemon.socket()).unwrap();
    let request = format!(
        "GET /v1.51/containers/{id}/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (socket, String::from_utf8(head).unwrap())
}

#[test]
fn a_client_shakes_hands_pings_and_closes() {
    let daemon = Daemon::start();
    let id = created(&daemon);
    let (mut socket, head) = handshake(&daemon, &id, "dGhlIHNhbXBsZSBub25jZQ==");
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{head}"
    );
    // A ping of "hi" with a mask of zeros, and a close.
    socket
        .write_all(&[0x89, 0x82, 0, 0, 0, 0, b'h', b'i'])
        .unwrap();
    let mut pong = [0; 4];
    socket.read_exact(&mut pong).unwrap();
    assert_eq!(pong, [0x8a, 2, b'h', b'i']);
    socket.write_all(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [0x88, 2, 3, 232]);
}

#[test]
fn what_is_no_handshake_is_refused() {
    let daemon = Daemon::start();
    let id = created(&daemon);
    let (_, head) = handshake(&daemon, &id, "short");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let plain = format!("GET /v1.51/containers/{id}/attach/ws HTTP/1.1\r\nHost: d\r\n\r\n");
    let answer = daemon.exchange(&plain);
    assert!(answer.contains("not a WebSocket handshake"), "{answer}");
    let (_, head) = handshake(&daemon, "nosuch", "dGhlIHNhbXBsZSBub25jZQ==");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}
