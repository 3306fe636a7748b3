//! Pulling: what is there can be had, whole and in parts.

use crate::harness::{Server, noise, sha256, sha512};

#[test]
fn the_root_says_that_a_registry_is_up() {
    let server = Server::start();
    let response = server.get("/");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("cache-control"), "no-cache");
    assert_eq!(response.header("content-length"), "0");
}

#[test]
fn the_api_says_that_it_is_there() {
    let server = Server::start();
    let response = server.get("/v2/");
    assert_eq!((response.status, &response.body[..]), (200, &b"{}"[..]));
    assert_eq!(
        response.header("docker-distribution-api-version"),
        "registry/2.0"
    );
    let response = server.get("/v2");
    assert_eq!(
        (response.status, response.header("location")),
        (301, "/v2/")
    );
    server.post("/v2/").refused(405, "UNSUPPORTED");
    assert_eq!(server.get("/nosuch").status, 404);
}

#[test]
fn blobs_come_whole() {
    let server = Server::start();
    for blob in [
        noise(10, 1),
        noise(70_000, 2),
        noise(3 << 20, 3),
        Vec::new(),
    ] {
        let digest = server.push_blob("a/b", &blob);
        let path = format!("/v2/a/b/blobs/{digest}");
        let response = server.get(&path);
        assert_eq!(response.status, 200);
        assert!(response.body == blob);
        assert_eq!(response.header("docker-content-digest"), digest);
        assert_eq!(response.header("etag"), format!("\"{digest}\""));
        assert_eq!(response.header("content-type"), "application/octet-stream");
        let response = server.head(&path);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-length"), blob.len().to_string());
        assert_eq!(response.header("docker-content-digest"), digest);
        let escaped = path.replace("sha256:", "sha256%3A");
        assert_eq!(server.head(&escaped).status, 200);
    }
}

#[test]
fn a_missing_blob_is_unknown() {
    let server = Server::start();
    let digest = sha256(b"nothing");
    server
        .get(&format!("/v2/a/blobs/{digest}"))
        .refused(404, "BLOB_UNKNOWN");
    assert_eq!(server.head(&format!("/v2/a/blobs/{digest}")).status, 404);
    server.push_blob("a", b"x");
    server
        .get(&format!("/v2/a/blobs/{digest}"))
        .refused(404, "BLOB_UNKNOWN");
    server
        .get("/v2/a/blobs/sha256:abc")
        .refused(400, "DIGEST_INVALID");
    server
        .get("/v2/a/blobs/md5:0123")
        .refused(400, "DIGEST_INVALID");
}

#[test]
fn a_blob_is_not_seen_through_another_repository() {
    let server = Server::start();
    let digest = server.push_blob("private", b"secret");
    server.push_blob("mine", b"x");
    server
        .get(&format!("/v2/mine/blobs/{digest}"))
        .refused(404, "BLOB_UNKNOWN");
}

#[test]
fn blobs_come_in_parts() {
    let server = Server::start();
    for blob in [noise(2048, 1), noise(200_000, 2)] {
        let size = blob.len();
        let digest = server.push_blob("a", &blob);
        let path = format!("/v2/a/blobs/{digest}");
        let check = |range: &str, start: usize, end: usize| {
            let response = server.ask("GET", &path, &[("Range", range)], b"");
            assert_eq!(response.status, 206, "{range}");
            assert!(response.body == blob[start..=end], "{range}");
            let expected = format!("bytes {start}-{end}/{size}");
            assert_eq!(response.header("content-range"), expected);
        };
        check("bytes=500-1499", 500, 1499);
        check("bytes=500-", 500, size - 1);
        check("bytes=-500", size - 500, size - 1);
        check("bytes=2000-5000000", 2000, size - 1);
        check("bytes=0-0", 0, 0);
        for bad in ["bytes=500-0", "bytes=5000000-"] {
            let response = server.ask("GET", &path, &[("Range", bad)], b"");
            response.refused(416, "RANGE_INVALID");
            assert_eq!(response.header("content-range"), format!("bytes */{size}"));
        }
        let tag = format!("\"{digest}\"");
        let range = ("Range", "bytes=0-1");
        let asked = server.ask("GET", &path, &[range, ("If-Range", &tag)], b"");
        assert_eq!(asked.status, 206);
        let asked = server.ask("GET", &path, &[range, ("If-Range", "\"other\"")], b"");
        assert_eq!(asked.status, 200);
        let head = server.ask("HEAD", &path, &[range], b"");
        assert_eq!(head.header("content-length"), "2");
    }
}

#[test]
fn what_a_client_has_does_not_come_again() {
    let server = Server::start();
    let digest = server.push_blob("a", b"x");
    let pushed = server.push_image("a", "latest", b"layer");
    for (path, digest) in [
        (format!("/v2/a/blobs/{digest}"), &digest),
        ("/v2/a/manifests/latest".to_owned(), &pushed.digest),
    ] {
        let tag = format!("\"{digest}\"");
        for method in ["GET", "HEAD"] {
            let response = server.ask(method, &path, &[("If-None-Match", &tag)], b"");
            assert_eq!(response.status, 304, "{method} {path}");
            assert_eq!(response.header("etag"), tag);
            let response = server.ask(method, &path, &[("If-None-Match", "\"x\"")], b"");
            assert_eq!(response.status, 200);
        }
        let response = server.ask("GET", &path, &[("If-Match", "\"x\"")], b"");
        assert_eq!(response.status, 412);
    }
}

#[test]
fn manifests_come_by_tag_and_digest() {
    let server = Server::start();
    let pushed = server.push_image("a/b", "v1", b"layer");
    for key in ["v1", &pushed.digest] {
        let path = format!("/v2/a/b/manifests/{key}");
        let response = server.get(&path);
        assert_eq!(response.status, 200);
        assert_eq!(response.body, pushed.bytes);
        assert_eq!(
            response.header("content-type"),
            crate::harness::OCI_MANIFEST
        );
        assert_eq!(response.header("docker-content-digest"), pushed.digest);
        let response = server.head(&path);
        assert_eq!(response.status, 200);
        assert_eq!(
            response.header("content-length"),
            pushed.bytes.len().to_string()
        );
        assert_eq!(response.header("docker-content-digest"), pushed.digest);
    }
}

#[test]
fn a_missing_manifest_is_unknown() {
    let server = Server::start();
    let digest = sha256(b"nothing");
    for _ in 0..2 {
        server
            .get("/v2/a/manifests/nosuch")
            .refused(404, "MANIFEST_UNKNOWN");
        server
            .get("/v2/a/manifests/.INVALID")
            .refused(404, "MANIFEST_UNKNOWN");
        let by_digest = server.get(&format!("/v2/a/manifests/{digest}"));
        by_digest.refused(404, "MANIFEST_UNKNOWN");
        assert_eq!(by_digest.json()["errors"][0]["detail"]["Revision"], digest);
        assert_eq!(server.head("/v2/a/manifests/nosuch").status, 404);
        server.push_image("a", "latest", b"layer");
    }
    server
        .get("/v2/a/manifests/sha256:bad")
        .refused(400, "DIGEST_INVALID");
    server
        .get("/v2/A/manifests/latest")
        .refused(400, "NAME_INVALID");
}

#[test]
fn sha512_is_a_digest_too() {
    let server = Server::start();
    let blob = noise(1000, 4);
    let digest = sha512(&blob);
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(server.ask("POST", &path, &[], &blob).status, 201);
    let response = server.get(&format!("/v2/a/blobs/{digest}"));
    assert_eq!((response.status, response.body == blob), (200, true));
    assert_eq!(response.header("docker-content-digest"), digest);
    // It is known by the name that it was given.
    assert_eq!(
        server
            .head(&format!("/v2/a/blobs/{}", sha256(&blob)))
            .status,
        404
    );
}
