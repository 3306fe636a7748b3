//! Pushes to a registry that misbehaves; those to a good one are `pull`'s tests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::remote::fake::{Fake, Say, Seen, hasty, uncancelled};
use crate::remote::peer::{Guard, Peer};
use crate::samples::SampleImage;
use crate::store::Options;
use crate::transfer::Up;

/// A store with an image of these names.
fn store(names: &[String]) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let archive = SampleImage::new(&["one", "two"]).oci(&names[0]).end();
    let loaded = store.load(&archive[..], &mut |_| {}).unwrap();
    for name in names {
        store.tag(&loaded[0].image, &name.parse().unwrap()).unwrap();
    }
    (folder, store)
}

fn push(store: &Store, name: &str) -> (Result<Vec<Pushed>, PushError>, Vec<String>) {
    let lines = Mutex::new(Vec::new());
    let audience = |transfer: Transfer| {
        let line = match transfer {
            Transfer::Up { state, .. } => match state {
                Up::Pushing { .. } => return,
                Up::Mounted(from) => format!("Mounted from {from}"),
                state => format!("{state:?}"),
            },
            Transfer::Pushing { repository } => repository,
            Transfer::Pushed { tag, .. } => tag,
            other => format!("{other:?}"),
        };
        lines.lock().unwrap().push(line);
    };
    let push = Push {
        name: name.parse().unwrap(),
        all: false,
        platform: None,
        credentials: Credentials::default(),
    };
    let pushed = store.push(&hasty(), &push, (&audience, &uncancelled()));
    (pushed, lines.into_inner().unwrap())
}

/// What a registry without anything answers.
fn empty(seen: &Seen) -> Say {
    let digest = || Digest::of(&seen.body).to_string();
    match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", "/v2/") => Say::new(200, "{}"),
        ("HEAD", _) => Say::new(404, ""),
        ("POST", _) => Say::new(202, "").with("Location", "/up?state=1"),
        ("PATCH", _) => Say::new(202, "").with("Location", "/up?state=2"),
        ("PUT", path) if path.starts_with("/up?state=2&digest=sha256:") => Say::new(201, ""),
        ("PUT", path) if path.contains("/manifests/") => {
            Say::new(201, "").with("Docker-Content-Digest", digest())
        }
        _ => Say::new(500, ""),
    }
}

#[test]
fn what_is_not_here_is_not_pushed() {
    let (_folder, store) = store(&["localhost:1/x:1".into()]);
    let error = |name: &str| push(&store, name).0.unwrap_err().to_string();
    assert_eq!(
        error("nosuch"),
        "An image does not exist locally with the tag: nosuch"
    );
    assert_eq!(
        error("localhost:1/x:2"),
        "tag does not exist: localhost:1/x:2"
    );
    let digest = Digest::of(b"x");
    assert_eq!(
        error(&format!("localhost:1/x@{digest}")),
        "cannot push a digest reference"
    );
    let (_, lines) = push(&store, "nosuch");
    assert_eq!(lines, ["docker.io/library/nosuch"]);
}

#[test]
fn a_cut_upload_goes_on_where_the_registry_has_it() {
    let patches = AtomicU32::new(0);
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "PATCH" if patches.fetch_add(1, Ordering::SeqCst) == 0 => Say::new(503, ""),
        "GET" if seen.path.starts_with("/up") => Say::new(204, "")
            .with("Range", "0-9")
            .with("Location", "/up?state=1b"),
        _ => empty(seen),
    });
    let name = format!("{}/a/b:1", fake.host());
    let (_folder, store) = store(std::slice::from_ref(&name));
    let (pushed, lines) = push(&store, &name);
    let pushed = pushed.unwrap();
    assert_eq!(lines.last().unwrap(), "1");
    let ranges: Vec<_> = fake
        .seen()
        .iter()
        .map(|seen| seen.header("content-range").to_owned())
        .filter(|range| !range.is_empty())
        .collect();
    assert_eq!(ranges.len(), 1);
    assert!(ranges[0].starts_with("10-"), "{ranges:?}");
    // The registry's digest is a name of the image from now on.
    let image = store.image(&pushed[0].image).unwrap();
    assert_eq!(image.digests.len(), 1);
    assert_eq!(image.digests[0].digest(), Some(&pushed[0].digest));
}

#[test]
fn refusals_are_told_in_dockerds_words() {
    let check = |say: fn(&Seen) -> Option<Say>, expected: &str| {
        let fake = Fake::start(move |seen| say(seen).unwrap_or_else(|| empty(seen)));
        let name = format!("{}/a/b:1", fake.host());
        let (_folder, store) = store(std::slice::from_ref(&name));
        let error = push(&store, &name).0.unwrap_err().to_string();
        assert_eq!(error, expected);
        let image = &store.list().unwrap()[0];
        assert!(image.digests.is_empty(), "nothing is there to be named");
    };
    check(
        |seen| {
            let denied = || Say::error(403, "DENIED", "requested access to the resource is denied");
            (seen.method == "POST").then(denied)
        },
        "denied: requested access to the resource is denied",
    );
    check(
        |seen| {
            let basic = || Say::new(401, "").with("WWW-Authenticate", r#"Basic realm="x""#);
            (seen.path != "/v2/").then(basic)
        },
        "no basic auth credentials",
    );
    check(
        |seen| {
            let invalid = || Say::error(400, "MANIFEST_INVALID", "manifest invalid");
            (seen.path.contains("/manifests/")).then(invalid)
        },
        "manifest invalid: manifest invalid",
    );
    check(
        |seen| (seen.method == "PATCH").then(|| Say::new(507, "full")),
        "received unexpected HTTP status: 507 Insufficient Storage",
    );
}

#[test]
fn a_blob_is_mounted_from_a_neighbour_that_has_it() {
    let peer = Peer::start(Guard::Open);
    let names = ["a/b:1", "c/d:1"].map(|name| format!("{}/{name}", peer.host()));
    let (_folder, store) = store(&names);
    push(&store, &names[0]).0.unwrap();
    let (pushed, lines) = push(&store, &names[1]);
    pushed.unwrap();
    assert_eq!(
        lines[1..5]
            .iter()
            .filter(|line| *line == "Mounted from a/b")
            .count(),
        2,
        "{lines:?}"
    );
    let (_, again) = push(&store, &names[1]);
    assert_eq!(
        again[1..],
        [
            "Preparing",
            "Preparing",
            "AlreadyExists",
            "AlreadyExists",
            "1"
        ]
    );
}
