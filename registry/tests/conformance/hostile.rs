//! Clients that break off, lie, go slowly, send too much, and many at once.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use hull_registry::{Connections, Limits};

use crate::harness::{OCI_MANIFEST, Server, noise, read, sha256};

/// Waits for what must become true.
#[track_caller]
fn eventually(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it did not happen"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_truncated_upload_goes_on_where_it_stopped() {
    let server = Server::start();
    let blob = noise(300_000, 1);
    let location = server.begin("a");
    let mut connection = server.connect();
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n");
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(&blob[..200_000]).unwrap();
    connection.shutdown(Shutdown::Both).unwrap();
    let range = || server.get(&location).header("range").to_owned();
    eventually(|| range() == "0-199999");
    let rest = [("Content-Range", "200000-299999")];
    let digest = sha256(&blob);
    let path = format!("{location}?digest={digest}");
    // The broken request may hold the upload for a moment still.
    eventually(
        || match server.ask("PUT", &path, &rest, &blob[200_000..]).status {
            409 => false,
            status => {
                assert_eq!(status, 201);
                true
            }
        },
    );
    assert!(server.get(&format!("/v2/a/blobs/{digest}")).body == blob);
}

#[test]
fn a_truncated_push_at_once_leaves_nothing() {
    let server = Server::start();
    let digest = sha256(b"12345");
    let mut connection = server.connect();
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    // Whether there is an answer is up to the connection.
    let _ = connection.read_to_end(&mut rest);
    assert_eq!(server.head(&format!("/v2/a/blobs/{digest}")).status, 404);
}

#[test]
fn a_client_that_goes_silent_is_given_up() {
    let server = Server::start();
    let location = server.begin("a");
    let mut connection = server.connect();
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123");
    connection.write_all(head.as_bytes()).unwrap();
    let response = read(&mut connection, false);
    response.refused(408, "SIZE_INVALID");
    assert_eq!(server.get(&location).header("range"), "0-2");
}

#[test]
fn a_client_that_sends_a_byte_at_a_time_is_given_up() {
    let server = Server::start();
    let location = server.begin("a");
    let mut connection = server.connect();
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    connection.write_all(head.as_bytes()).unwrap();
    let mut slow = connection.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        // Never silent for as long as the server's patience, and never done.
        while slow.write_all(b"x").is_ok() {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
    read(&mut connection, false).refused(408, "SIZE_INVALID");
    drop(connection);
    sender.join().unwrap();
}

#[test]
fn a_client_that_never_asks_is_given_up() {
    let connections = Connections {
        idle: Duration::from_millis(100),
        ..Connections::default()
    };
    let server = Server::with(Limits::default(), connections);
    let mut connection = server.connect();
    connection.write_all(b"GET /v2/ HTTP/1.1\r\nHo").unwrap();
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).unwrap();
    assert_eq!(server.get("/v2/").status, 200);
}

#[test]
fn connections_over_the_limit_wait() {
    let connections = Connections {
        most: 1,
        ..Connections::default()
    };
    let server = Server::with(Limits::default(), connections);
    let mut first = server.connect();
    first
        .write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    first.read_exact(&mut [0; 20]).unwrap();
    let mut second = server.connect();
    second
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    second
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(second.read(&mut [0]).is_err());
    drop(first);
    second
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(read(&mut second, false).status, 200);
}

#[test]
fn a_manifest_that_is_too_large_is_refused() {
    let server = Server::start();
    let large = vec![b' '; (4 << 20) + 1];
    let response = server.put("/v2/a/manifests/latest", OCI_MANIFEST, &large);
    response.refused(413, "SIZE_INVALID");
    let pieces: Vec<&[u8]> = large.chunks(100_000).collect();
    let response = server.stream("PUT", "/v2/a/manifests/latest", &pieces);
    response.refused(413, "SIZE_INVALID");
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = Server::start();
    let body = noise(500_000, 1);
    let response = server.ask("PATCH", "/v2/a/blobs/uploads/nosuch", &[], &body);
    response.refused(404, "BLOB_UPLOAD_UNKNOWN");
    let response = server.ask("PUT", "/v2/A/manifests/x", &[], &body);
    response.refused(400, "NAME_INVALID");
}

#[test]
fn one_upload_has_one_writer() {
    let server = Server::with(Limits::default(), Connections::default());
    let location = server.begin("a");
    let mut slow = server.connect();
    let head = format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\n123"
    );
    slow.write_all(head.as_bytes()).unwrap();
    eventually(|| server.get(&location).header("range") == "0-2");
    server
        .ask("PATCH", &location, &[], b"xxx")
        .refused(409, "BLOB_UPLOAD_INVALID");
    slow.write_all(b"456").unwrap();
    assert_eq!(read(&mut slow, false).status, 202);
    let path = format!("{location}?digest={}", sha256(b"123456"));
    assert_eq!(server.ask("PUT", &path, &[], b"").status, 201);
}

#[test]
fn the_end_of_the_server_waits_for_requests_at_work() {
    let limits = Limits::default();
    let mut server = Server::with(limits, Connections::default());
    let location = server.begin("a");
    let mut idle = server.connect();
    let mut slow = server.connect();
    let path = format!("{location}?digest={}", sha256(b"123456"));
    let head = format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n123");
    slow.write_all(head.as_bytes()).unwrap();
    eventually(|| server.get(&location).header("range") == "0-2");
    let sender = std::thread::spawn(move || {
        // The idle connection ends when the server is told to.
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).unwrap();
        slow.write_all(b"456").unwrap();
        read(&mut slow, false)
    });
    server.stop();
    assert_eq!(sender.join().unwrap().status, 201);
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn many_push_overlapping_images_and_nothing_is_lost() {
    let server = Server::start();
    let layers: Vec<Vec<u8>> = (0..16).map(|seed| noise(20_000, seed)).collect();
    let pushed: Vec<_> = std::thread::scope(|scope| {
        let pushes: Vec<_> = (0..64)
            .map(|number: usize| {
                let (server, layers) = (&server, &layers);
                scope.spawn(move || {
                    let name = format!("r{}", number % 8);
                    let tag = format!("t{number}");
                    let mut manifest = server.image(&name, &layers[number % 16]);
                    for step in 1..4 {
                        let layer = &layers[(number + step * 5) % 16];
                        let digest = server.push_blob(&name, layer);
                        let entry = serde_json::json!({
                            "mediaType": "application/x", "digest": digest, "size": layer.len(),
                        });
                        manifest["layers"].as_array_mut().unwrap().push(entry);
                    }
                    let pushed = server.push_manifest(&name, &tag, OCI_MANIFEST, &manifest);
                    (name, tag, pushed)
                })
            })
            .collect();
        pushes
            .into_iter()
            .map(|push| push.join().unwrap())
            .collect()
    });
    for (name, tag, pushed) in pushed {
        let found = server.get(&format!("/v2/{name}/manifests/{tag}"));
        assert_eq!(found.body, pushed.bytes);
        for layer in found.json()["layers"].as_array().unwrap() {
            let digest = layer["digest"].as_str().unwrap();
            let blob = server.get(&format!("/v2/{name}/blobs/{digest}"));
            assert_eq!(sha256(&blob.body), digest);
        }
    }
}
