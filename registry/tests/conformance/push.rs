//! Pushing blobs: at once, in two requests, in chunks, as a stream, from another repository.

use crate::harness::{Server, noise, sha256, sha512};

/// A blob that was pushed can be had where the answer says.
#[track_caller]
fn is_there(server: &Server, response: &crate::harness::Response, blob: &[u8], digest: &str) {
    assert_eq!(response.status, 201, "{response:?}");
    assert_eq!(response.header("docker-content-digest"), digest);
    let found = server.get(response.header("location"));
    assert_eq!(found.status, 200);
    assert!(found.body == blob);
}

#[test]
fn a_blob_is_pushed_at_once() {
    let server = Server::start();
    for (seed, size) in [(1, 512), (2, 1 << 20)] {
        let blob = noise(size, seed);
        for digest in [sha256(&blob), sha512(&blob)] {
            let path = format!("/v2/a/blobs/uploads/?digest={digest}");
            is_there(
                &server,
                &server.ask("POST", &path, &[], &blob),
                &blob,
                &digest,
            );
        }
    }
}

#[test]
fn a_blob_is_pushed_by_post_and_put() {
    let server = Server::start();
    let blob = noise(512, 1);
    let digest = sha256(&blob);
    let response = server.post("/v2/a/blobs/uploads/");
    assert_eq!(response.status, 202);
    assert_eq!(response.header("range"), "0-0");
    assert_eq!(response.header("content-length"), "0");
    let location = response.header("location");
    assert!(location.ends_with(response.header("docker-upload-uuid")));
    let path = format!("{location}?digest={digest}");
    is_there(
        &server,
        &server.ask("PUT", &path, &[], &blob),
        &blob,
        &digest,
    );
    // It is finished: nobody can go on with it.
    server.get(location).refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_blob_is_pushed_in_chunks() {
    let server = Server::start();
    let blob = noise(3000, 1);
    let digest = sha256(&blob);
    for last_by_put in [false, true] {
        let mut location = server.begin("a");
        let patched = if last_by_put { 2 } else { 3 };
        for part in 0..patched {
            let (start, end) = (part * 1000, part * 1000 + 999);
            let range = format!("{start}-{end}");
            let headers = [("Content-Range", range.as_str())];
            let response = server.ask("PATCH", &location, &headers, &blob[start..=end]);
            assert_eq!(response.status, 202);
            assert_eq!(response.header("range"), format!("0-{end}"));
            location = response.header("location").to_owned();
            let status = server.get(&location);
            assert_eq!(status.status, 204);
            assert_eq!(status.header("range"), format!("0-{end}"));
        }
        let path = format!("{location}?digest={digest}");
        let response = match last_by_put {
            true => server.ask(
                "PUT",
                &path,
                &[("Content-Range", "2000-2999")],
                &blob[2000..],
            ),
            false => server.ask("PUT", &path, &[], b""),
        };
        is_there(&server, &response, &blob, &digest);
    }
}

#[test]
fn a_chunk_out_of_order_is_refused_and_the_upload_goes_on() {
    let server = Server::start();
    let blob = noise(30, 1);
    let digest = sha256(&blob);
    let location = server.begin("a");
    let send = |method: &str, path: &str, range: &str, bytes: &[u8]| {
        server.ask(method, path, &[("Content-Range", range)], bytes)
    };
    let early = send("PATCH", &location, "10-19", &blob[10..20]);
    early.refused(416, "RANGE_INVALID");
    assert_eq!(early.header("location"), location);
    assert_eq!(early.header("range"), "0-0");
    assert_eq!(send("PATCH", &location, "0-9", &blob[..10]).status, 202);
    send("PATCH", &location, "0-9", &blob[..10]).refused(416, "RANGE_INVALID");
    let last = format!("{location}?digest={digest}");
    send("PUT", &last, "20-29", &blob[20..]).refused(416, "RANGE_INVALID");
    let status = server.get(&location);
    assert_eq!((status.status, status.header("range")), (204, "0-9"));
    assert_eq!(send("PATCH", &location, "10-19", &blob[10..20]).status, 202);
    is_there(
        &server,
        &send("PUT", &last, "20-29", &blob[20..]),
        &blob,
        &digest,
    );
}

#[test]
fn a_chunk_is_as_long_as_it_says() {
    let server = Server::start();
    let location = server.begin("a");
    let send = |range: &str| server.ask("PATCH", &location, &[("Content-Range", range)], b"12345");
    send("0-9").refused(400, "SIZE_INVALID");
    send("x").refused(416, "RANGE_INVALID");
    send("5-1").refused(416, "RANGE_INVALID");
    assert_eq!(server.get(&location).header("range"), "0-0");
    assert_eq!(send("0-4").status, 202);
}

#[test]
fn a_blob_is_pushed_as_a_stream() {
    let server = Server::start();
    let blob = noise(100_000, 1);
    let digest = sha256(&blob);
    let location = server.begin("a");
    let response = server.stream(
        "PATCH",
        &location,
        &[&blob[..10], &blob[10..60_000], &blob[60_000..]],
    );
    assert_eq!(response.status, 202);
    assert_eq!(response.header("range"), "0-99999");
    let path = format!("{location}?digest={digest}");
    is_there(&server, &server.ask("PUT", &path, &[], b""), &blob, &digest);
}

#[test]
fn a_wrong_digest_is_refused_and_nothing_is_kept() {
    let server = Server::start();
    let (blob, other) = (noise(512, 1), sha256(b"other"));
    let at_once = format!("/v2/a/blobs/uploads/?digest={other}");
    server
        .ask("POST", &at_once, &[], &blob)
        .refused(400, "DIGEST_INVALID");
    let location = server.begin("a");
    let path = format!("{location}?digest={other}");
    server
        .ask("PUT", &path, &[], &blob)
        .refused(400, "DIGEST_INVALID");
    server.get(&location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    let location = server.begin("a");
    assert_eq!(server.stream("PATCH", &location, &[&blob]).status, 202);
    let path = format!("{location}?digest={other}");
    server
        .ask("PUT", &path, &[], b"")
        .refused(400, "DIGEST_INVALID");
    let long = format!("/v2/a/blobs/uploads/?digest={}", sha512(b"other"));
    server
        .ask("POST", &long, &[], &blob)
        .refused(400, "DIGEST_INVALID");
    for digest in [other, sha256(&blob)] {
        assert_eq!(server.head(&format!("/v2/a/blobs/{digest}")).status, 404);
    }
}

#[test]
fn a_digest_is_needed_and_must_be_one() {
    let server = Server::start();
    let location = server.begin("a");
    server
        .ask("PUT", &location, &[], b"x")
        .refused(400, "DIGEST_INVALID");
    for bad in ["x", "sha256:abc", "md5:00"] {
        let path = format!("{location}?digest={bad}");
        server
            .ask("PUT", &path, &[], b"x")
            .refused(400, "DIGEST_INVALID");
        let path = format!("/v2/a/blobs/uploads/?digest={bad}");
        server
            .ask("POST", &path, &[], b"x")
            .refused(400, "DIGEST_INVALID");
    }
    // It was a slip of the request, not of the content.
    let path = format!("{location}?digest={}", sha256(b"x"));
    assert_eq!(server.ask("PUT", &path, &[], b"x").status, 201);
}

#[test]
fn an_upload_can_be_cancelled() {
    let server = Server::start();
    let location = server.begin("a");
    assert_eq!(server.delete(&location).status, 204);
    server.get(&location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    server.delete(&location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    server
        .ask("PATCH", &location, &[], b"x")
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn an_upload_is_its_repository_s() {
    let server = Server::start();
    let location = server.begin("a");
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    server.get(&elsewhere).refused(404, "BLOB_UPLOAD_UNKNOWN");
    server
        .get("/v2/a/blobs/uploads/nosuch")
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_blob_is_mounted_from_another_repository() {
    let server = Server::start();
    let blob = noise(512, 1);
    let digest = server.push_blob("from/here", &blob);
    let path = format!("/v2/to/blobs/uploads/?mount={digest}&from=from/here");
    is_there(&server, &server.post(&path), &blob, &digest);
    let path = format!("/v2/anonymous/blobs/uploads/?mount={digest}");
    is_there(&server, &server.post(&path), &blob, &digest);
}

#[test]
fn a_blob_that_cannot_be_mounted_is_uploaded() {
    let server = Server::start();
    let blob = noise(512, 1);
    let digest = sha256(&blob);
    server.push_blob("other", b"x");
    for from in ["&from=other", "&from=nosuch", "&from=NO", ""] {
        let response = server.post(&format!("/v2/to/blobs/uploads/?mount={digest}{from}"));
        assert_eq!(response.status, 202, "{from}");
        let path = format!("{}?digest={digest}", response.header("location"));
        is_there(
            &server,
            &server.ask("PUT", &path, &[], &blob),
            &blob,
            &digest,
        );
        assert_eq!(server.delete(&format!("/v2/to/blobs/{digest}")).status, 202);
    }
    server
        .post("/v2/to/blobs/uploads/?mount=x&from=other")
        .refused(400, "DIGEST_INVALID");
}

#[test]
fn names_are_checked() {
    let server = Server::start();
    for bad in ["A", "a..b", "a___b", "-a", "a//b", "a%2F%2Fb"] {
        server
            .post(&format!("/v2/{bad}/blobs/uploads/"))
            .refused(400, "NAME_INVALID");
    }
    let long = "a/".repeat(127) + "ab";
    server
        .post(&format!("/v2/{long}/blobs/uploads/"))
        .refused(400, "NAME_INVALID");
    for good in ["a", "a/b-c/d.e/f__g", "a/blobs/uploads", "0--1"] {
        server.push_blob(good, b"x");
    }
}
