//! What repositories say of themselves, and who finds them.

use serde_json::{Value, json};

use crate::served::{Response, Served};

const AUTH: &str = "[auth]\nhtpasswd = \"@/htpasswd\"\nusers_may = \"own\"";
const ANN: [&str; 2] = ["--user", "ann:nna"];
const BOB: [&str; 2] = ["--user", "bob:bob"];

fn json_of(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_slice(&response.body).unwrap()
}

fn names(served: &Served, query: &str, user: &[&str]) -> Vec<String> {
    let found = json_of(&served.curl(&format!("/v1/search?{query}"), user));
    let results = found["results"].as_array().unwrap().clone();
    results
        .iter()
        .map(|r| r["name"].as_str().unwrap().to_owned())
        .collect()
}

fn change(served: &Served, change: &Value, user: &[&str]) -> Response {
    served.send(
        "/hull/v1/repositories/ann/app",
        "PATCH",
        &change.to_string(),
        user,
    )
}

#[test]
fn an_owner_describes_and_opens_a_repository() {
    let served = Served::with(AUTH);
    served.push("ann/app", "1", &ANN);
    let record = json_of(&served.curl("/hull/v1/repositories/ann/app", &ANN));
    assert_eq!(record["owner"], "ann");
    assert_eq!(record["visibility"], "private");
    assert_eq!(record["tags"], 1);
    assert_eq!(
        served.curl("/hull/v1/repositories/ann/app", &BOB).status,
        403
    );
    let wanted = json!({"visibility": "public", "description": "An App", "overview": "# App",
        "collaborators": ["bob"]});
    change(&served, &wanted, &BOB).refused(403, "DENIED");
    let changed = json_of(&change(&served, &wanted, &ANN));
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&changed[key], value);
    }
    assert_eq!(
        json_of(&served.curl("/hull/v1/repositories/ann/app", &[])),
        changed
    );
    for wrong in [
        json!({"visibility": "x"}),
        json!({"nosuch": 1}),
        json!({"description": "x".repeat(101)}),
        json!([]),
    ] {
        assert_eq!(change(&served, &wrong, &ANN).status, 400, "{wrong}");
    }
    let nosuch = served.send("/hull/v1/repositories/ann/nosuch", "PATCH", "{}", &ANN);
    nosuch.refused(404, "NAME_UNKNOWN");
}

#[test]
fn a_search_finds_what_its_client_may_see() {
    let served = Served::with(AUTH);
    for name in ["ann/app", "ann/secret"] {
        served.push(name, "1", &ANN);
    }
    served.push("bob/thing", "1", &BOB);
    let open = json!({"visibility": "public", "description": "Counts Sheep"});
    assert_eq!(change(&served, &open, &ANN).status, 200);
    assert_eq!(names(&served, "q=", &ANN), ["ann/app", "ann/secret"]);
    assert_eq!(names(&served, "q=", &BOB), ["ann/app", "bob/thing"]);
    assert_eq!(names(&served, "q=sheep", &[]), ["ann/app"]);
    assert_eq!(names(&served, "q=secret", &[]), Vec::<String>::new());
    assert_eq!(names(&served, "q=&n=1&page=2", &ANN), ["ann/secret"]);
    let found = json_of(&served.curl("/v1/search?q=app", &ANN));
    assert_eq!(found["num_results"], 1);
    assert_eq!(found["results"][0]["description"], "Counts Sheep");
    assert_eq!(served.curl("/v1/search?q=x&n=y", &ANN).status, 400);
    served
        .curl("/hull/v1/repositories", &[])
        .refused(401, "UNAUTHORIZED");
    let list = json_of(&served.curl("/hull/v1/repositories", &BOB));
    assert_eq!(list["repositories"].as_array().unwrap().len(), 2);
}

#[test]
fn a_repository_is_deleted_with_all_that_is_in_it() {
    let served = Served::open();
    served.push("a", "1", &[]);
    let delete = ["--request", "DELETE"];
    assert_eq!(served.curl("/hull/v1/repositories/a", &delete).status, 202);
    served
        .curl("/v2/a/tags/list", &[])
        .refused(404, "NAME_UNKNOWN");
    let blobs = served.path("root/images/blobs/sha256");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0);
}
