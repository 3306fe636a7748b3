use std::fs;

use serde_json::json;

use super::fake::{Fake, Say, Seen, Shelf, hasty, hasty_with};
use super::peer::{Guard, Peer};
use super::*;
use crate::digest::Digest;

const BLOB: &[u8] = b"a blob of some length";

fn upstream(host: &str) -> Upstream {
    Upstream::new(hasty(), &format!("http://{host}"), None).unwrap()
}

/// All of a blob, and how long it was said to be.
fn read(upstream: &Upstream, digest: &Digest) -> Result<(Vec<u8>, u64), UpstreamError> {
    let begin = |size| Ok((Vec::new(), size));
    upstream.blob("a/b", digest, begin, |(all, _), piece| {
        all.extend_from_slice(piece);
        Ok(())
    })
}

fn trouble<T>(result: Result<T, UpstreamError>) -> Trouble {
    match result {
        Ok(_) => panic!("it was answered"),
        Err(error) => error.trouble(),
    }
}

#[test]
fn an_upstream_is_asked_for_what_it_has() {
    let mut shelf = Shelf::default();
    shelf.blob("a/b", BLOB.to_vec());
    let index =
        json!({"schemaVersion": 2, "mediaType": crate::manifest::OCI_INDEX, "manifests": []});
    shelf.manifest("a/b", Some("1"), &index);
    let server = Fake::start(move |seen| shelf.answer(seen));
    let upstream = upstream(&server.host());
    let bytes = index.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    assert_eq!(upstream.tagged("a/b", "1").unwrap(), Some(digest));
    for version in ["1".to_owned(), digest.to_string()] {
        let found = upstream.manifest("a/b", &version).unwrap();
        assert_eq!((found.digest, &found.bytes), (digest, &bytes));
    }
    let blob = Digest::of(BLOB);
    assert_eq!(upstream.blob_size("a/b", &blob).unwrap(), 21);
    assert_eq!(read(&upstream, &blob).unwrap(), (BLOB.to_vec(), 21));
    let nothing = Digest::of(b"nothing");
    assert_eq!(trouble(upstream.tagged("a/b", "2")), Trouble::Missing);
    assert_eq!(trouble(read(&upstream, &nothing)), Trouble::Missing);
    // One connection did it all, and asked once what there is.
    let pings = server
        .lines()
        .iter()
        .filter(|line| *line == "GET /v2/")
        .count();
    assert_eq!(pings, 1);
}

#[test]
fn failures_are_told_apart() {
    let server = Fake::start(|seen: &Seen| match &seen.path[..] {
        "/v2/" => Say::new(200, "{}"),
        "/v2/a/manifests/busy" => Say::new(429, "").with("Retry-After", "7"),
        "/v2/a/manifests/denied" => Say::error(403, "DENIED", "no"),
        "/v2/a/manifests/broken" => Say::new(503, ""),
        "/v2/a/manifests/silent" => Say::new(200, "{}"),
        "/v2/a/manifests/headless" => Say::new(405, ""),
        _ => Say::new(200, "{}").with("Docker-Content-Digest", "sha256:x"),
    });
    let here = upstream(&server.host());
    let tagged = |tag: &str| here.tagged("a", tag);
    let later = Some(std::time::Duration::from_secs(7));
    assert_eq!(trouble(tagged("busy")), Trouble::Busy(later));
    assert_eq!(trouble(tagged("denied")), Trouble::Refused);
    assert_eq!(trouble(tagged("broken")), Trouble::Away);
    for tag in ["silent", "headless", "nonsense"] {
        assert_eq!(tagged(tag).unwrap(), None, "{tag}");
    }
    let wrong = here.manifest("a", &Digest::of(b"x").to_string());
    assert_eq!(trouble(wrong), Trouble::Nonsense);
    // Nobody listens on port 1.
    assert_eq!(
        trouble(upstream("127.0.0.1:1").tagged("a", "1")),
        Trouble::Away
    );
}

#[test]
fn an_upstream_that_comes_back_is_found() {
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let state = down.clone();
    let server = Fake::start(
        move |_| match state.load(std::sync::atomic::Ordering::SeqCst) {
            true => Say::new(503, ""),
            false => Say::new(200, "{}"),
        },
    );
    let upstream = upstream(&server.host());
    assert_eq!(trouble(upstream.tagged("a", "1")), Trouble::Away);
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(upstream.tagged("a", "1").unwrap(), None);
    upstream.close();
    assert!(upstream.tagged("a", "1").is_err());
}

#[test]
fn tags_come_by_pages_also_from_who_knows_none() {
    let server = Fake::start(|seen: &Seen| match &seen.path[..] {
        "/v2/" => Say::new(200, "{}"),
        "/v2/paged/tags/list?n=2" => Say::new(200, r#"{"tags":["a","b"]}"#)
            .with("Link", "</v2/paged/tags/list?last=b&n=2>; rel=\"next\""),
        "/v2/paged/tags/list?n=2&last=b" => Say::new(200, r#"{"tags":["c"]}"#),
        path if path.starts_with("/v2/whole/") => Say::new(200, r#"{"tags":["d","b","a","c"]}"#),
        path if path.starts_with("/v2/empty/") => Say::new(200, r#"{"tags":null}"#),
        _ => Say::error(404, "NAME_UNKNOWN", "no"),
    });
    let upstream = upstream(&server.host());
    let tags = |path: &str, last: Option<&str>| {
        let page = upstream.tags(path, last, 2).unwrap();
        (page.items.join(""), page.more)
    };
    for path in ["paged", "whole"] {
        assert_eq!(tags(path, None), ("ab".to_owned(), true), "{path}");
    }
    assert_eq!(tags("paged", Some("b")), ("c".to_owned(), false));
    assert_eq!(tags("whole", Some("b")), ("cd".to_owned(), false));
    assert_eq!(tags("empty", None), (String::new(), false));
    assert_eq!(trouble(upstream.tags("nosuch", None, 2)), Trouble::Missing);
}

#[test]
fn referrers_come_by_their_api_or_by_their_tag() {
    let about = Digest::of(b"about");
    let listed = json!({
        "schemaVersion": 2, "mediaType": crate::manifest::OCI_INDEX,
        "manifests": [
            {"mediaType": "m", "digest": Digest::of(b"r"), "size": 3, "artifactType": "t"},
            {"mediaType": "m", "digest": "nonsense", "size": 3},
        ],
    });
    let text = listed.to_string();
    let tag = format!("/v2/old/manifests/{}", about.to_string().replace(':', "-"));
    let server = Fake::start(move |seen: &Seen| match &seen.path[..] {
        "/v2/" => Say::new(200, "{}"),
        path if path.starts_with("/v2/new/referrers/") => Say::new(200, text.clone()),
        path if path == tag => Say::new(200, text.clone()),
        _ => Say::error(404, "NOT_FOUND", "no"),
    });
    let upstream = upstream(&server.host());
    for path in ["new", "old"] {
        let found = upstream.referrers(path, &about).unwrap();
        assert_eq!(found.len(), 1, "{path}");
        assert_eq!(found[0].digest, Digest::of(b"r").into());
        assert_eq!(found[0].artifact_type.as_deref(), Some("t"));
    }
    assert_eq!(upstream.referrers("none", &about).unwrap(), []);
}

#[test]
fn debian_s_registry_is_an_upstream_with_a_password_and_with_tls() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let peer = Peer::start(Guard::Password);
    let url = format!("http://{}", peer.host());
    let open = |text: &str| {
        fs::write(&file, text).unwrap();
        Upstream::new(hasty(), &url, Some(&file))
    };
    let known = open("bob:secret\n").unwrap();
    assert_eq!(trouble(known.tagged("a", "1")), Trouble::Missing);
    // A password that changed is read when the old one fails.
    fs::write(&file, "bob:wrong").unwrap();
    let stranger = Upstream::new(hasty(), &url, Some(&file)).unwrap();
    assert_eq!(trouble(stranger.tagged("a", "1")), Trouble::Refused);
    fs::write(&file, "bob:secret").unwrap();
    assert_eq!(trouble(stranger.tagged("a", "1")), Trouble::Missing);
    let unknown = Upstream::new(hasty(), &url, None).unwrap();
    assert_eq!(trouble(unknown.tagged("a", "1")), Trouble::Refused);
    for form in ["bob", ":secret", "a:b\nc:d", ""] {
        assert!(
            matches!(open(form), Err(UpstreamError::CredentialsForm(_))),
            "{form:?}"
        );
    }

    let peer = Peer::start(Guard::Tls);
    let trust = folder.path().join(peer.host());
    fs::create_dir(&trust).unwrap();
    fs::copy(peer.authority(), trust.join("authority.crt")).unwrap();
    let remote = hasty_with(RemoteOptions {
        certificates: vec![folder.path().to_owned()],
        ..RemoteOptions::default()
    });
    let secure = Upstream::new(remote, &format!("https://{}", peer.host()), None).unwrap();
    assert_eq!(trouble(secure.tagged("a", "1")), Trouble::Missing);
}

#[test]
fn what_is_no_upstream_is_refused() {
    let refused = |url: &str| Upstream::new(hasty(), url, None).unwrap_err();
    assert!(matches!(
        refused("registry.example"),
        UpstreamError::Address(_)
    ));
    assert!(matches!(
        refused("http://registry.invalid"),
        UpstreamError::Plain(_)
    ));
    assert!(Upstream::new(hasty(), "https://registry.invalid/", None).is_ok());
}
