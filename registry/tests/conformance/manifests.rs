//! Pushing manifests, and which form of them a client is given.

use hull_registry::{Connections, Limits};
use serde_json::{Value, json};

use crate::harness::{
    DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Server, sha256, sha512,
};

#[test]
fn a_manifest_is_pushed_by_tag_and_by_digest() {
    let server = Server::start();
    let manifest = server.image("a", b"layer");
    let digest = sha256(manifest.to_string().as_bytes());
    for reference in ["latest", &digest] {
        let pushed = server.push_manifest("a", reference, OCI_MANIFEST, &manifest);
        assert_eq!(pushed.response.header("docker-content-digest"), digest);
        let location = pushed.response.header("location");
        assert_eq!(server.get(location).body, pushed.bytes);
        assert_eq!(pushed.response.maybe("oci-subject"), None);
    }
}

#[test]
fn a_manifest_by_digest_may_bring_tags() {
    let server = Server::start();
    let manifest = server.image("a", b"layer");
    let bytes = manifest.to_string().into_bytes();
    for digest in [sha256(&bytes), sha512(&bytes)] {
        let path = format!("/v2/a/manifests/{digest}?tag=one&tag=two");
        let response = server.put(&path, OCI_MANIFEST, &bytes);
        assert_eq!(response.status, 201);
        let tags = response
            .headers
            .iter()
            .filter(|(name, _)| name == "oci-tag");
        let tags: Vec<_> = tags.map(|(_, value)| value.as_str()).collect();
        assert_eq!(tags, ["one", "two"]);
        for tag in tags {
            let found = server.get(&format!("/v2/a/manifests/{tag}"));
            assert_eq!(found.header("docker-content-digest"), digest);
        }
        assert_eq!(server.get(&format!("/v2/a/manifests/{digest}")).body, bytes);
    }
    let path = format!("/v2/a/manifests/{}?tag=.bad", sha256(&bytes));
    server
        .put(&path, OCI_MANIFEST, &bytes)
        .refused(400, "TAG_INVALID");
}

#[test]
fn a_tag_moves() {
    let server = Server::start();
    let first = server.push_image("a", "latest", b"one");
    let second = server.push_image("a", "latest", b"two");
    let found = server.get("/v2/a/manifests/latest");
    assert_eq!(found.header("docker-content-digest"), second.digest);
    let found = server.get(&format!("/v2/a/manifests/{}", first.digest));
    assert_eq!(found.status, 200);
}

#[test]
fn what_a_manifest_refers_to_must_be_there() {
    let server = Server::start();
    let mut manifest = server.image("a", b"layer");
    let (one, two) = (sha256(b"one"), sha256(b"two"));
    let layer = |digest: &str| json!({"mediaType": "x", "digest": digest, "size": 3});
    manifest["layers"] = json!([layer(&one), layer(&two)]);
    let bytes = manifest.to_string().into_bytes();
    let response = server.put("/v2/a/manifests/latest", OCI_MANIFEST, &bytes);
    response.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let errors = response.json()["errors"].as_array().unwrap().clone();
    let details: Vec<_> = errors.iter().map(|error| error["detail"].clone()).collect();
    assert_eq!(details, [one.clone(), two]);
    assert_eq!(server.head("/v2/a/manifests/latest").status, 404);
    let index = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [{"mediaType": OCI_MANIFEST, "digest": one, "size": 3}],
    });
    let bytes = index.to_string().into_bytes();
    let response = server.put("/v2/a/manifests/latest", OCI_INDEX, &bytes);
    response.refused(400, "MANIFEST_BLOB_UNKNOWN");
    // Another repository's blobs are not this one's.
    server.push_blob("b", b"one");
    let response = server.put("/v2/a/manifests/latest", OCI_INDEX, &bytes);
    response.refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn layers_from_elsewhere_need_not_be_there() {
    let server = Server::start();
    for media_type in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        let mut manifest = server.image("a", b"layer");
        manifest["layers"][0] = json!({
            "mediaType": media_type, "digest": sha256(b"elsewhere"), "size": 9,
            "urls": ["https://example.com/layer"],
        });
        server.push_manifest("a", "latest", OCI_MANIFEST, &manifest);
    }
}

#[test]
fn images_indexes_and_artifacts_of_all_kinds_are_taken() {
    let server = Server::start();
    let image = server.image("a", b"layer");
    let with = |key: &str, value: Value| {
        let mut manifest = image.clone();
        manifest[key] = value;
        manifest
    };
    let check = |media_type: &str, manifest: &Value| {
        let pushed = server.push_manifest("a", "kind", media_type, manifest);
        let found = server.get("/v2/a/manifests/kind");
        assert_eq!(found.body, pushed.bytes);
        assert_eq!(found.header("content-type"), media_type);
        pushed.digest
    };
    check(OCI_MANIFEST, &with("layers", json!([])));
    check(OCI_MANIFEST, &with("artifactType", json!("application/x")));
    check(OCI_MANIFEST, &with("unknown", json!({"any": ["thing"]})));
    check(
        OCI_MANIFEST,
        &with("annotations", json!({"large": "A".repeat(3_900_000)})),
    );
    check(DOCKER_MANIFEST, &with("mediaType", json!(DOCKER_MANIFEST)));
    let mut untyped = image.clone();
    untyped.as_object_mut().unwrap().remove("mediaType");
    check(OCI_MANIFEST, &untyped);
    let digest = check(OCI_MANIFEST, &image);
    let mut index = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [{"mediaType": OCI_MANIFEST, "digest": digest, "size": 1}],
    });
    let nested = check(OCI_INDEX, &index);
    index["mediaType"] = json!(DOCKER_LIST);
    check(DOCKER_LIST, &index);
    index["mediaType"] = json!(OCI_INDEX);
    index["manifests"] = json!([{"mediaType": OCI_INDEX, "digest": nested, "size": 1}]);
    check(OCI_INDEX, &index);
    index["manifests"] = json!([]);
    check(OCI_INDEX, &index);
}

#[test]
fn what_is_no_manifest_is_refused() {
    let server = Server::start();
    let put = |media_type: &str, body: &str| {
        server.put("/v2/a/manifests/latest", media_type, body.as_bytes())
    };
    put(OCI_MANIFEST, "").refused(400, "MANIFEST_INVALID");
    put(OCI_MANIFEST, "{").refused(400, "MANIFEST_INVALID");
    put(OCI_MANIFEST, "{}").refused(400, "MANIFEST_INVALID");
    put(OCI_MANIFEST, r#"{"schemaVersion":1}"#).refused(400, "MANIFEST_INVALID");
    put(OCI_INDEX, r#"{"schemaVersion":2}"#).refused(400, "MANIFEST_INVALID");
    put("text/plain", r#"{"schemaVersion":2,"manifests":[]}"#).refused(400, "MANIFEST_INVALID");
    let mixed = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).to_string();
    put(OCI_MANIFEST, &mixed).refused(400, "MANIFEST_INVALID");
    let image = server.image("a", b"layer").to_string();
    let path = "/v2/a/manifests/.bad";
    server
        .put(path, OCI_MANIFEST, image.as_bytes())
        .refused(400, "TAG_INVALID");
}

#[test]
fn a_digest_in_the_path_must_be_the_manifest_s() {
    let server = Server::start();
    let image = server.image("a", b"layer").to_string();
    let put = |digest: &str| {
        let path = format!("/v2/a/manifests/{digest}");
        server.put(&path, OCI_MANIFEST, image.as_bytes())
    };
    put(&sha256(b"other")).refused(400, "DIGEST_INVALID");
    put(&sha512(b"other")).refused(400, "DIGEST_INVALID");
    put("sha256:baddigeststring").refused(400, "DIGEST_INVALID");
}

#[test]
fn clients_are_given_what_they_take() {
    let server = Server::start();
    let image = server.push_image("a", "image", b"layer");
    let mut docker = server.image("a", b"docker");
    docker["mediaType"] = json!(DOCKER_MANIFEST);
    let docker = server.push_manifest("a", "docker", DOCKER_MANIFEST, &docker);
    let index = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [{
            "mediaType": DOCKER_MANIFEST, "digest": docker.digest, "size": 1,
            "platform": {"os": "linux", "architecture": "amd64"},
        }],
    });
    let index = server.push_manifest("a", "index", OCI_INDEX, &index);
    let get = |reference: &str, accept: &str| {
        let path = format!("/v2/a/manifests/{reference}");
        server.ask("GET", &path, &[("Accept", accept)], b"")
    };
    let digest = |reference: &str, accept: &str| {
        let response = get(reference, accept);
        response.header("docker-content-digest").to_owned()
    };
    let both = format!("{OCI_INDEX}, {DOCKER_MANIFEST};q=0.5");
    assert_eq!(digest("index", &both), index.digest);
    assert_eq!(digest("index", "*/*"), index.digest);
    // A client that knows no indexes gets the image in it.
    assert_eq!(digest("index", DOCKER_MANIFEST), docker.digest);
    assert_eq!(digest("docker", DOCKER_MANIFEST), docker.digest);
    let response = get("image", DOCKER_MANIFEST);
    response.refused(404, "MANIFEST_UNKNOWN");
    let detail = "OCI manifest found, but accept header does not support OCI manifests";
    assert_eq!(response.json()["errors"][0]["detail"], detail);
    get(&index.digest, DOCKER_MANIFEST).refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(digest(&image.digest, OCI_MANIFEST), image.digest);
}

#[test]
fn large_manifests_come_whole_and_many_at_once() {
    let server = Server::with(Limits::default(), Connections::default());
    let mut manifest = server.image("a", b"layer");
    manifest["annotations"] = json!({"large": "A".repeat(3 << 20)});
    let pushed = server.push_manifest("a", "large", OCI_MANIFEST, &manifest);
    let path = "/v2/a/manifests/large";
    let found = server.get(path);
    assert!(found.body == pushed.bytes);
    assert_eq!(found.header("docker-content-digest"), pushed.digest);
    // More than there is room for at once: each waits for its turn.
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (server, bytes) = (&server, &pushed.bytes);
            scope.spawn(move || {
                let path = format!("/v2/a/manifests/t{number}");
                let response = server.put(&path, OCI_MANIFEST, bytes);
                assert_eq!(response.status, 201, "{response:?}");
                assert_eq!(server.get(&path).body.len(), bytes.len());
            });
        }
    });
}
