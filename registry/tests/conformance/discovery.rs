//! Lists of tags, repositories and referrers.

use serde_json::{Value, json};

use crate::harness::{OCI_INDEX, OCI_MANIFEST, Server, sha256};

fn with_tags(tags: &[&str]) -> Server {
    let server = Server::start();
    for tag in tags {
        server.push_image("a/b", tag, b"layer");
    }
    server
}

#[test]
fn tags_are_listed_in_order() {
    let server = with_tags(&["v2", "latest", "v10", "V1"]);
    let response = server.get("/v2/a/b/tags/list");
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-type"),
        "application/json; charset=utf-8"
    );
    let expected = json!({"name": "a/b", "tags": ["V1", "latest", "v10", "v2"]});
    assert_eq!(response.json(), expected);
    assert_eq!(response.maybe("link"), None);
    server
        .get("/v2/nosuch/tags/list")
        .refused(404, "NAME_UNKNOWN");
}

#[test]
fn tags_come_by_pages() {
    let server = with_tags(&["a", "b", "c", "d", "e"]);
    let page = |query: &str| {
        let response = server.get(&format!("/v2/a/b/tags/list{query}"));
        assert_eq!(response.status, 200);
        (
            response.json()["tags"].clone(),
            response.maybe("link").map(str::to_owned),
        )
    };
    let (tags, link) = page("?n=2");
    assert_eq!(tags, json!(["a", "b"]));
    assert_eq!(
        link.as_deref(),
        Some("</v2/a/b/tags/list?last=b&n=2>; rel=\"next\"")
    );
    let (tags, link) = page("?last=b&n=2");
    assert_eq!(tags, json!(["c", "d"]));
    assert!(link.is_some());
    assert_eq!(page("?last=d&n=2"), (json!(["e"]), None));
    assert_eq!(page("?last=bb"), (json!(["c", "d", "e"]), None));
    assert_eq!(page("?n=5"), (json!(["a", "b", "c", "d", "e"]), None));
    assert_eq!(page("?n=0"), (json!([]), None));
    assert_eq!(page("?last=z"), (json!([]), None));
    for bad in ["-1", "x", "1.5"] {
        let response = server.get(&format!("/v2/a/b/tags/list?n={bad}"));
        response.refused(400, "PAGINATION_NUMBER_INVALID");
    }
}

#[test]
fn repositories_are_listed_by_pages() {
    let server = Server::start();
    assert_eq!(
        server.get("/v2/_catalog").json(),
        json!({"repositories": []})
    );
    for name in ["devenv", "a/b", "c"] {
        server.push_image(name, "latest", b"layer");
    }
    server.push_blob("nomanifest", b"x");
    let response = server.get("/v2/_catalog");
    assert_eq!(
        response.body,
        b"{\"repositories\":[\"a/b\",\"c\",\"devenv\"]}\n"
    );
    let response = server.get("/v2/_catalog?n=1");
    assert_eq!(response.json(), json!({"repositories": ["a/b"]}));
    let link = response.header("link");
    assert_eq!(link, "</v2/_catalog?last=a%2Fb&n=1>; rel=\"next\"");
    let next = &link[1..link.find('>').unwrap()];
    assert_eq!(server.get(next).json(), json!({"repositories": ["c"]}));
    server
        .get("/v2/_catalog?n=x")
        .refused(400, "PAGINATION_NUMBER_INVALID");
    server.delete("/v2/_catalog").refused(405, "UNSUPPORTED");
}

/// An artifact about `subject`.
fn artifact(server: &Server, subject: &str, kind: Option<&str>, number: u32) -> Value {
    let mut manifest = server.image("a", format!("layer {number}").as_bytes());
    manifest["subject"] = json!({"mediaType": OCI_MANIFEST, "digest": subject, "size": 1});
    manifest["annotations"] = json!({"number": number.to_string()});
    if let Some(kind) = kind {
        manifest["artifactType"] = json!(kind);
    }
    manifest
}

#[test]
fn referrers_are_listed() {
    let server = Server::start();
    let subject = server.push_image("a", "image", b"layer").digest;
    let path = format!("/v2/a/referrers/{subject}");
    let empty = server.get(&path);
    assert_eq!(empty.status, 200);
    assert_eq!(empty.header("content-type"), OCI_INDEX);
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []});
    assert_eq!(empty.json(), index);
    let typed = artifact(&server, &subject, Some("application/sbom"), 1);
    let typed = server.push_manifest("a", "sbom", OCI_MANIFEST, &typed);
    assert_eq!(typed.response.header("oci-subject"), subject);
    let plain = artifact(&server, &subject, None, 2);
    let digest = sha256(plain.to_string().as_bytes());
    let plain = server.push_manifest("a", &digest, OCI_MANIFEST, &plain);
    let index = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [],
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 1},
    });
    let index = server.push_manifest("a", "index", OCI_INDEX, &index);
    let listed = server.get(&path).json();
    let expected = json!([
        {
            "mediaType": OCI_MANIFEST, "digest": typed.digest, "size": typed.bytes.len(),
            "artifactType": "application/sbom", "annotations": {"number": "1"},
        },
        {
            "mediaType": OCI_MANIFEST, "digest": plain.digest, "size": plain.bytes.len(),
            "artifactType": "application/vnd.oci.image.config.v1+json",
            "annotations": {"number": "2"},
        },
        {"mediaType": OCI_INDEX, "digest": index.digest, "size": index.bytes.len()},
    ]);
    assert_eq!(listed["manifests"], expected);
    let filtered = server.get(&format!("{path}?artifactType=application/sbom"));
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    assert_eq!(filtered.json()["manifests"].as_array().unwrap().len(), 1);
    let none = server.get(&format!("{path}?artifactType=x"));
    assert_eq!(none.json()["manifests"], json!([]));
    assert_eq!(
        server
            .delete(&format!("/v2/a/manifests/{}", typed.digest))
            .status,
        202
    );
    assert_eq!(
        server.get(&path).json()["manifests"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_subject_may_come_later_or_never() {
    let server = Server::start();
    let subject = sha256(b"nothing yet");
    let pushed = artifact(&server, &subject, Some("x/y"), 1);
    let pushed = server.push_manifest("a", "early", OCI_MANIFEST, &pushed);
    assert_eq!(pushed.response.header("oci-subject"), subject);
    let listed = server.get(&format!("/v2/a/referrers/{subject}")).json();
    assert_eq!(listed["manifests"][0]["digest"], pushed.digest);
}

#[test]
fn referrers_of_what_is_not_there_are_none() {
    let server = Server::start();
    let digest = sha256(b"nothing");
    let response = server.get(&format!("/v2/nosuch/referrers/{digest}"));
    assert_eq!(
        (response.status, response.json()["manifests"].clone()),
        (200, json!([]))
    );
    server
        .get("/v2/a/referrers/latest")
        .refused(400, "DIGEST_INVALID");
}

#[test]
fn many_referrers_come_by_pages() {
    let server = Server::start();
    let subject = server.push_image("a", "image", b"layer").digest;
    for number in 0..4 {
        let mut manifest = artifact(&server, &subject, None, number);
        manifest["annotations"]["large"] = json!("A".repeat(2 << 20));
        let digest = sha256(manifest.to_string().as_bytes());
        server.push_manifest("a", &digest, OCI_MANIFEST, &manifest);
    }
    let mut path = format!("/v2/a/referrers/{subject}");
    let mut numbers = Vec::new();
    loop {
        let response = server.get(&path);
        assert!(response.body.len() < 4 << 20);
        for manifest in response.json()["manifests"].as_array().unwrap() {
            numbers.push(
                manifest["annotations"]["number"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
        let Some(link) = response.maybe("link") else {
            break;
        };
        path = link[1..link.find('>').unwrap()].to_owned();
    }
    assert_eq!(numbers, ["0", "1", "2", "3"]);
}
