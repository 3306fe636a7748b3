//! Tokens from the registry's own issuer.

use std::process::Command;

use serde_json::Value;

use crate::served::{Response, Served, run};

const CONFIG: &str = "[auth]\nhtpasswd = \"@/htpasswd\"\nusers_may = \"own\"\n[auth.token]\nservice = \"test\"\n[[rights]]\nusers = [\"@anonymous\"]\nrepositories = [\"open/*\"]\nactions = [\"pull\"]\n[[rights]]\nusers = [\"ann\"]\nrepositories = [\"**\"]\nactions = [\"pull\", \"push\"]";

const ANN: [&str; 2] = ["--user", "ann:nna"];

fn token(served: &Served, scope: &str, user: &[&str]) -> String {
    let response = served.curl(&format!("/token?service=test&scope={scope}"), user);
    assert_eq!(response.status, 200, "{response:?}");
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["expires_in"], 300);
    body["token"].as_str().unwrap().to_owned()
}

fn with(served: &Served, path: &str, token: &str, more: &[&str]) -> Response {
    let header = format!("Authorization: Bearer {token}");
    served.curl(path, &[&["--header", &header], more].concat())
}

#[test]
fn a_token_is_asked_for_and_opens_what_it_says() {
    let served = Served::with(CONFIG);
    served.push("ann/x", "1", &ANN);
    let realm = format!(
        "Bearer realm=\"http://{}/token\",service=\"test\"",
        served.address
    );
    let asked = served.curl("/v2/", &[]);
    asked.refused(401, "UNAUTHORIZED");
    asked.has_header(&format!("Www-Authenticate: {realm}"));
    let path = "/v2/ann/x/manifests/1";
    let asked = served.curl(path, &[]);
    asked.has_header(&format!(
        "Www-Authenticate: {realm},scope=\"repository:ann/x:pull\""
    ));
    let asked = served.send("/v2/ann/x/blobs/uploads/", "POST", "", &[]);
    asked.has_header(&format!(
        "Www-Authenticate: {realm},scope=\"repository:ann/x:pull,push\""
    ));
    let digest = crate::served::sha256(b"some blob");
    let mount = format!("/v2/ann/y/blobs/uploads/?mount={digest}&from=ann/x");
    let asked = served.send(&mount, "POST", "", &[]);
    asked.has_header(&format!(
        "Www-Authenticate: {realm},scope=\"repository:ann/y:pull,push repository:ann/x:pull\""
    ));
    let pull = token(&served, "repository:ann/x:pull", &ANN);
    assert_eq!(with(&served, "/v2/", &pull, &[]).status, 200);
    assert_eq!(with(&served, path, &pull, &[]).status, 200);
    // It is for pulling that repository.
    let push = ["--request", "POST"];
    with(&served, "/v2/ann/x/blobs/uploads/", &pull, &push).refused(401, "UNAUTHORIZED");
    with(&served, "/v2/ann/y/manifests/1", &pull, &[]).refused(401, "UNAUTHORIZED");
    let both = token(&served, "repository:ann/x:pull,push,delete", &ANN);
    assert_eq!(
        with(&served, "/v2/ann/x/blobs/uploads/", &both, &push).status,
        202
    );
    with(&served, path, "not.a.token", &[]).refused(401, "UNAUTHORIZED");
}

#[test]
fn a_token_gives_no_more_than_its_user_may() {
    let served = Served::with(CONFIG);
    for name in ["ann/x", "open/x"] {
        served.push(name, "1", &ANN);
    }
    let asked = served.curl("/token?service=test", &["--user", "ann:wrong"]);
    asked.refused(401, "UNAUTHORIZED");
    let scope = "repository:ann/x:pull,push&scope=repository:open/x:pull,push";
    for user in [&["--user", "bob:bob"][..], &[]] {
        let token = token(&served, scope, user);
        with(&served, "/v2/ann/x/manifests/1", &token, &[]).refused(401, "UNAUTHORIZED");
        assert_eq!(
            with(&served, "/v2/open/x/manifests/1", &token, &[]).status,
            200
        );
        let push = with(
            &served,
            "/v2/open/x/blobs/uploads/",
            &token,
            &["--request", "POST"],
        );
        push.refused(401, "UNAUTHORIZED");
    }
}

#[test]
fn skopeo_uses_tokens() {
    let served = Served::with(CONFIG);
    let digest = served.push("ann/x", "1", &ANN);
    let flags = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    let source = format!("docker://{}/ann/x:1", served.address);
    let target = format!("docker://{}/ann/y:1", served.address);
    let credentials = ["--src-creds", "ann:nna", "--dest-creds", "ann:nna"];
    run(Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"])
        .args(flags)
        .args(credentials)
        .args([&source, &target]));
    let found = served.curl("/v2/ann/y/manifests/1", &ANN);
    found.has_header(&format!("Docker-Content-Digest: {digest}"));
}
