//! Deleting tags, manifests and blobs, and what images on the same store have to do with it.

use hull_images::repositories::{Keep, Repositories};

use crate::harness::Server;

#[test]
fn a_tag_is_deleted_and_its_manifest_stays() {
    let server = Server::start();
    let pushed = server.push_image("a", "latest", b"layer");
    assert_eq!(server.delete("/v2/a/manifests/latest").status, 202);
    assert_eq!(server.head("/v2/a/manifests/latest").status, 404);
    assert_eq!(
        server
            .head(&format!("/v2/a/manifests/{}", pushed.digest))
            .status,
        200
    );
    server
        .delete("/v2/a/manifests/latest")
        .refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_manifest_is_deleted_with_its_tags() {
    let server = Server::start();
    let pushed = server.push_image("a", "one", b"layer");
    server.push_image("a", "two", b"layer");
    server.push_image("a", "three", b"another");
    let path = format!("/v2/a/manifests/{}", pushed.digest);
    assert_eq!(server.delete(&path).status, 202);
    assert_eq!(server.head(&path).status, 404);
    assert_eq!(server.head("/v2/a/manifests/one").status, 404);
    let tags = server.get("/v2/a/tags/list").json()["tags"].clone();
    assert_eq!(tags, serde_json::json!(["three"]));
    server.delete(&path).refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_blob_is_deleted_from_one_repository() {
    let server = Server::start();
    let digest = server.push_blob("a", b"blob");
    server.push_blob("b", b"blob");
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(server.delete(&path).status, 202);
    assert_eq!(server.head(&path).status, 404);
    server.delete(&path).refused(404, "BLOB_UNKNOWN");
    assert_eq!(server.head(&format!("/v2/b/blobs/{digest}")).status, 200);
}

#[test]
fn other_methods_are_named_in_the_refusal() {
    let server = Server::start();
    let response = server.post("/v2/a/manifests/latest");
    response.refused(405, "UNSUPPORTED");
    assert_eq!(response.header("allow"), "GET, HEAD, PUT, DELETE");
    server.delete("/v2/a/tags/list").refused(405, "UNSUPPORTED");
}

#[test]
fn what_is_swept_is_not_what_is_needed() {
    let server = Server::start();
    let pushed = server.push_image("a", "latest", b"layer");
    let alone = server.push_blob("a", b"alone");
    let now = Keep {
        grace: std::time::Duration::ZERO,
        untagged: false,
    };
    let swept = Repositories::new(&server.store).sweep(now).unwrap();
    assert_eq!((swept.manifests, swept.blobs), (0, 1));
    assert_eq!(server.head(&format!("/v2/a/blobs/{alone}")).status, 404);
    let manifest: serde_json::Value = serde_json::from_slice(&pushed.bytes).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v2/a/blobs/{layer}")).body, b"layer");
}
