//! Passwords, rules, repositories that are open to some, and what nobody may.

use hull_images::repositories::{Change, Repositories, Visibility};

use crate::served::Served;

const AUTH: &str = "[auth]\nrealm = \"Test realm\"\nhtpasswd = \"@/htpasswd\"\n";

#[test]
fn who_is_not_known_is_asked() {
    let served = Served::with(AUTH);
    let asked = served.curl("/v2/", &[]);
    asked.refused(401, "UNAUTHORIZED");
    asked.has_header("Www-Authenticate: Basic realm=\"Test realm\"");
    asked.has_header("Docker-Distribution-Api-Version: registry/2.0");
    for wrong in ["ann:x", "nosuch:nna", ":"] {
        served
            .curl("/v2/", &["--user", wrong])
            .refused(401, "UNAUTHORIZED");
    }
    assert_eq!(served.curl("/v2/", &["--user", "ann:nna"]).status, 200);
    served
        .curl("/v2/_catalog", &[])
        .refused(401, "UNAUTHORIZED");
    served
        .curl("/v2/a/tags/list", &[])
        .refused(401, "UNAUTHORIZED");
    // Whether a registry is up is no secret.
    assert_eq!(served.curl("/", &[]).status, 200);
}

#[test]
fn rules_decide_by_user_and_path() {
    let rules = format!(
        "{AUTH}
        [[rights]]
        users = [\"ann\"]
        repositories = [\"**\"]
        actions = [\"pull\", \"push\", \"delete\"]
        [[rights]]
        users = [\"bob\"]
        repositories = [\"team/*\"]
        actions = [\"pull\"]
        [[rights]]
        users = [\"@anonymous\"]
        repositories = [\"open/*\"]
        actions = [\"pull\"]"
    );
    let served = Served::with(&rules);
    let (ann, bob) = (["--user", "ann:nna"], ["--user", "bob:bob"]);
    for name in ["team/x", "other", "open/x"] {
        served.push(name, "1", &ann);
    }
    let get = |name: &str, user: &[&str]| served.curl(&format!("/v2/{name}/manifests/1"), user);
    assert_eq!(get("team/x", &bob).status, 200);
    get("other", &bob).refused(403, "DENIED");
    get("team/x", &[]).refused(401, "UNAUTHORIZED");
    assert_eq!(get("open/x", &[]).status, 200);
    let push = served.send("/v2/team/x/blobs/uploads/", "POST", "", &bob);
    push.refused(403, "DENIED");
    let delete = ["--request", "DELETE", "--user", "bob:bob"];
    served
        .curl("/v2/team/x/manifests/1", &delete)
        .refused(403, "DENIED");
    let catalog = served.curl("/v2/_catalog", &bob).text();
    assert_eq!(catalog, "{\"repositories\":[\"open/x\",\"team/x\"]}\n");
    let catalog = served.curl("/v2/_catalog?n=1", &bob);
    catalog.has_header("Link: </v2/_catalog?last=open%2Fx&n=1>; rel=\"next\"");
}

#[test]
fn a_blob_is_not_mounted_from_where_its_client_may_not_read() {
    let rules = format!("{AUTH}users_may = \"own\"");
    let served = Served::with(&rules);
    let (ann, bob) = (["--user", "ann:nna"], ["--user", "bob:bob"]);
    served.push("ann/secret", "1", &ann);
    let bytes = std::fs::read(served.path("layer.tar.gz")).unwrap();
    let digest = crate::served::sha256(&bytes);
    for from in ["&from=ann/secret", ""] {
        let path = format!("/v2/bob/x/blobs/uploads/?mount={digest}{from}");
        assert_eq!(served.send(&path, "POST", "", &bob).status, 202, "{from}");
    }
    let path = format!("/v2/ann/other/blobs/uploads/?mount={digest}&from=ann/secret");
    assert_eq!(served.send(&path, "POST", "", &ann).status, 201);
}

#[test]
fn repositories_are_opened_by_their_records() {
    let served = Served::with(&format!("{AUTH}users_may = \"own\""));
    let (ann, bob) = (["--user", "ann:nna"], ["--user", "bob:bob"]);
    served.push("ann/x", "1", &ann);
    let repositories = Repositories::new(&served.store);
    let name = "ann/x".parse().unwrap();
    assert_eq!(
        repositories.record(&name).unwrap().owner.as_deref(),
        Some("ann")
    );
    let get = |user: &[&str]| served.curl("/v2/ann/x/manifests/1", user);
    get(&bob).refused(403, "DENIED");
    let open = |change: Change| repositories.change(&name, &change).unwrap();
    open(Change {
        collaborators: Some(vec!["bob".into()]),
        ..Change::default()
    });
    assert_eq!(get(&bob).status, 200);
    served.push("ann/x", "2", &bob);
    get(&[]).refused(401, "UNAUTHORIZED");
    open(Change {
        visibility: Some(Visibility::Public),
        ..Change::default()
    });
    assert_eq!(get(&[]).status, 200);
    assert_eq!(get(&["--user", ":"]).status, 200);
    get(&["--user", ":x"]).refused(401, "UNAUTHORIZED");
    assert_eq!(get(&["--user", "cid:dic"]).status, 200);
    let push = served.send(
        "/v2/ann/x/blobs/uploads/",
        "POST",
        "",
        &["--user", "cid:dic"],
    );
    push.refused(403, "DENIED");
}

#[test]
fn a_registry_that_is_read_only_takes_nothing() {
    let served = Served::with("read_only = true");
    served
        .send("/v2/a/blobs/uploads/", "POST", "", &[])
        .refused(405, "UNSUPPORTED");
    served
        .send("/v2/a/manifests/x", "PUT", "{}", &[])
        .refused(405, "UNSUPPORTED");
    let delete = served.curl("/v2/a/manifests/x", &["--request", "DELETE"]);
    delete.refused(405, "UNSUPPORTED");
    served
        .curl("/v2/a/manifests/x", &[])
        .refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn deletes_can_be_forbidden() {
    let served = Served::with("delete = false");
    served.push("a", "1", &[]);
    let delete = served.curl("/v2/a/manifests/1", &["--request", "DELETE"]);
    delete.refused(405, "UNSUPPORTED");
    // An upload of one's own can still be given up.
    let begun = served.send("/v2/a/blobs/uploads/", "POST", "", &[]);
    let location = begun
        .head
        .lines()
        .find_map(|line| line.strip_prefix("Location: "))
        .unwrap();
    let cancelled = served.curl(location, &["--request", "DELETE"]);
    assert_eq!(cancelled.status, 204);
}

#[test]
fn a_quota_is_kept() {
    let served = Served::with("[quota]\n\"small/*\" = \"1kB\"");
    let blob = "x".repeat(600);
    let push = |name: &str, blob: &str| {
        let digest = crate::served::sha256(blob.as_bytes());
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        served.send(&path, "POST", blob, &[])
    };
    assert_eq!(push("small/a", &blob).status, 201);
    let refused = push("small/a", &"y".repeat(600));
    refused.refused(403, "DENIED");
    // Where clients look for what to show.
    let message = "\"message\":\"the repository's quota of 1000 bytes is used up\"";
    assert!(refused.text().contains(message), "{refused:?}");
    push("small/b", &"y".repeat(1001)).refused(403, "DENIED");
    assert_eq!(push("small/b", &"y".repeat(600)).status, 201);
    assert_eq!(push("large", &"y".repeat(5000)).status, 201);
    // What is there already takes no more room.
    assert_eq!(push("small/a", &blob).status, 201);
}
