//! HTTP at its edges: requests one behind the other, bodies that look like requests, heads that
//! are too large, paths that lead elsewhere.

use std::io::{Read, Write};

use crate::harness::{OCI_MANIFEST, Server, noise, sha256};

/// All that comes back for these bytes, until the server closes.
fn talk(server: &Server, request: &[u8]) -> String {
    let mut connection = server.connect();
    // A server that has seen enough may close before it has read everything.
    let _ = connection.write_all(request);
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<&str> {
    let heads = answer.split("HTTP/1.1 ").skip(1);
    heads.map(|head| &head[..3]).collect()
}

#[test]
fn requests_one_behind_the_other_are_answered_in_order() {
    let server = Server::start();
    let blob = noise(1000, 1);
    let digest = sha256(&blob);
    let mut request = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(&blob);
    request.extend_from_slice(
        format!(
            "HEAD /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .as_bytes(),
    );
    let answer = talk(&server, &request);
    assert_eq!(statuses(&answer), ["201", "200", "404", "200"], "{answer}");
}

#[test]
fn a_body_that_was_refused_is_no_request() {
    let server = Server::start();
    server.push_image("a", "kept", b"layer");
    let hidden = "DELETE /v2/a/manifests/kept HTTP/1.1\r\nHost: x\r\n\r\n";
    for head in [
        // Refused before it is read, whether it is waited for or not.
        "PUT /v2/A/manifests/x HTTP/1.1\r\nHost: x\r\n",
        "PATCH /v2/a/blobs/uploads/nosuch HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n",
        // No body is wanted at all.
        "GET /v2/a/tags/list HTTP/1.1\r\nHost: x\r\n",
    ] {
        let request = format!("{head}Content-Length: {}\r\n\r\n{hidden}", hidden.len());
        let end = "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = talk(&server, format!("{request}{end}").as_bytes());
        assert!(!statuses(&answer).contains(&"202"), "{head}: {answer}");
        assert_eq!(server.head("/v2/a/manifests/kept").status, 200, "{head}");
    }
    // Two lengths, of which the one hides a request from whoever believes the other.
    let request = format!(
        "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\
         Content-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    assert_eq!(statuses(&talk(&server, request.as_bytes())), ["400"]);
    assert_eq!(server.head("/v2/a/manifests/kept").status, 200);
}

#[test]
fn heads_have_limits() {
    let server = Server::start();
    let long = "x".repeat(200_000);
    let header = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n");
    assert_eq!(statuses(&talk(&server, header.as_bytes())), ["431"]);
    let many = "X: y\r\n".repeat(1000);
    let headers = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert_eq!(statuses(&talk(&server, headers.as_bytes())), ["431"]);
    let path = format!("GET /v2/{long}/tags/list HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = talk(&server, path.as_bytes());
    assert!(
        ["414", "431"].contains(&statuses(&answer)[0]),
        "{}",
        &answer[..200]
    );
    assert_eq!(server.get("/v2/").status, 200);
}

#[test]
fn no_path_leads_out_of_its_repository() {
    let server = Server::start();
    let digest = server.push_blob("a", b"blob");
    let hex = digest.strip_prefix("sha256:").unwrap();
    for path in [
        "/v2/../v2/a/tags/list",
        "/v2/a/../b/tags/list",
        "/v2/a%2f..%2fb/tags/list",
        "/v2/./a/tags/list",
        "/v2//a/tags/list",
        "/v2/a//tags/list",
        "/v2/a%00/tags/list",
        "/v2/a%0a/tags/list",
        "/v2/a%5cb/tags/list",
        "/v2/%ff/tags/list",
        "/v2/A/tags/list",
        "/v2/a:b/tags/list",
        "/v2/-a/tags/list",
        "/v2/a/blobs/sha256:../../../etc/passwd",
        "/v2/a/blobs/sha256%3a..%2f..%2fmeta",
        "/v2/a/blobs/uploads/..%2f..%2fblobs%2fsha256",
        "/v2/a/manifests/..%2fx",
        "/v2/a/manifests/.hidden",
    ] {
        let response = server.get(path);
        assert!(
            [400, 404].contains(&response.status),
            "{path}: {response:?}"
        );
    }
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let path = format!("/v2/a/blobs/uploads/..%2fblobs%2f{hex}?digest={digest}");
        let response = server.ask(method, &path, &[], b"x");
        assert!(
            [400, 404].contains(&response.status),
            "{method}: {response:?}"
        );
    }
    let name = format!("{}/b", "a".repeat(300));
    let response = server.post(&format!("/v2/{name}/blobs/uploads/"));
    response.refused(400, "NAME_INVALID");
    // An encoded slash is a slash, for the name as for who may what with it.
    let manifest = server.image("a/b", b"layer");
    server.push_manifest("a%2Fb", "1", OCI_MANIFEST, &manifest);
    assert_eq!(server.head("/v2/a/b/manifests/1").status, 200);
}

#[test]
fn methods_that_mean_nothing_here_are_refused() {
    let server = Server::start();
    for (request, status) in [
        ("CONNECT x:80 HTTP/1.1", "405"),
        ("OPTIONS * HTTP/1.1", "404"),
        ("TRACE /v2/ HTTP/1.1", "405"),
        ("NOSUCH /v2/ HTTP/1.1", "405"),
        ("PUT / HTTP/1.1", "405"),
        ("GET http://elsewhere/v2/ HTTP/1.1", "200"),
        ("GET /v2/ HTTP/9.9", "400"),
        ("\u{0}\u{1}\u{2}", "400"),
    ] {
        let text = format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(
            statuses(&talk(&server, text.as_bytes())),
            [status],
            "{request}"
        );
    }
}
