use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::digest::Digest;
use crate::store::Options;

const UPSTREAM: &str = "https://one.example";

fn fresh() -> (TempDir, Repositories) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    (folder, Repositories::new(&store))
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn digest(bytes: &[u8]) -> ContentDigest {
    Digest::of(bytes).into()
}

fn put(to: &Repositories, repository: &str, bytes: &[u8]) {
    let repository = name(repository);
    let mut upload = to.begin_upload(&repository).unwrap();
    upload.append(bytes).unwrap();
    to.commit(&repository, upload, digest(bytes), None).unwrap();
}

/// A tagged manifest whose one part need not be there.
fn put_manifest(to: &Repositories, repository: &str, bytes: &[u8], part: &[u8]) {
    let new = NewManifest {
        bytes,
        digest: digest(bytes),
        media_type: "application/x",
        tags: &["t".parse().unwrap()],
        blobs: Vec::new(),
        optional: vec![digest(part)],
        manifests: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: None,
        pusher: None,
    };
    to.put_manifest(&name(repository), &new, None).unwrap();
}

fn has_blob(of: &Repositories, repository: &str, bytes: &[u8]) -> bool {
    of.blob(&name(repository), &digest(bytes)).is_ok()
}

fn has_tag(of: &Repositories, repository: &str) -> bool {
    let tag = ManifestKey::Tag("t".parse().unwrap());
    of.manifest(&name(repository), &tag).is_ok()
}

#[test]
fn a_copy_is_one_until_somebody_pushes() {
    let (_folder, repositories) = fresh();
    let copy = name("a/copy");
    assert_eq!(repositories.origin(&copy).unwrap(), Origin::Nowhere);
    for _ in 0..2 {
        assert!(repositories.copy_from(&copy, UPSTREAM).unwrap());
    }
    let copied = Origin::Copied(UPSTREAM.to_owned());
    assert_eq!(repositories.origin(&copy).unwrap(), copied);
    repositories.own(&copy).unwrap();
    assert_eq!(repositories.origin(&copy).unwrap(), Origin::Pushed);
    assert!(!repositories.copy_from(&copy, UPSTREAM).unwrap());
    // What is none is left alone.
    repositories.own(&name("nosuch")).unwrap();
    put(&repositories, "mine", b"x");
    assert!(!repositories.copy_from(&name("mine"), UPSTREAM).unwrap());
}

#[test]
fn another_upstream_s_copies_are_forgotten_and_nothing_else() {
    let (_folder, repositories) = fresh();
    for (copy, upstream) in [("a", UPSTREAM), ("b", "https://other.example")] {
        repositories.copy_from(&name(copy), upstream).unwrap();
        put(&repositories, copy, copy.as_bytes());
    }
    put(&repositories, "mine", b"mine");
    assert_eq!(repositories.forget_others(UPSTREAM).unwrap(), 1);
    assert!(has_blob(&repositories, "a", b"a") && has_blob(&repositories, "mine", b"mine"));
    assert_eq!(repositories.origin(&name("b")).unwrap(), Origin::Nowhere);
    // A copy that changes its upstream begins anew.
    repositories
        .copy_from(&name("a"), "https://third.example")
        .unwrap();
    assert!(!has_blob(&repositories, "a", b"a"));
}

#[test]
fn what_is_old_goes_from_copies_alone() {
    let (_folder, repositories) = fresh();
    repositories.copy_from(&name("copy"), UPSTREAM).unwrap();
    for repository in ["copy", "mine"] {
        put(&repositories, repository, b"part");
        put_manifest(&repositories, repository, b"manifest", b"part");
    }
    let kept = repositories.expire(Duration::from_secs(3600)).unwrap();
    assert_eq!(kept, Swept::default());
    assert!(has_blob(&repositories, "copy", b"part") && has_tag(&repositories, "copy"));
    let expired = repositories.expire(Duration::ZERO).unwrap();
    // The files stay: they are the other repository's too.
    assert_eq!((expired.manifests, expired.blobs, expired.bytes), (1, 1, 0));
    assert!(!has_blob(&repositories, "copy", b"part") && !has_tag(&repositories, "copy"));
    assert!(has_blob(&repositories, "mine", b"part") && has_tag(&repositories, "mine"));
}

#[test]
fn what_is_used_stays_young() {
    let (_folder, repositories) = fresh();
    let copy = name("copy");
    repositories.copy_from(&copy, UPSTREAM).unwrap();
    for text in [&b"old"[..], b"used"] {
        put_manifest(&repositories, "copy", text, b"part");
    }
    let aged = "UPDATE registry_manifests SET pushed = pushed - 3600000000000";
    repositories.store.database().execute(aged, []).unwrap();
    repositories.used(&copy, &digest(b"used")).unwrap();
    let expired = repositories.expire(Duration::from_secs(1800)).unwrap();
    assert_eq!(expired.manifests, 1);
    let found = |text: &[u8]| {
        let key = ManifestKey::Digest(digest(text));
        repositories.manifest(&copy, &key).is_ok()
    };
    assert!(found(b"used") && !found(b"old"));
}

#[test]
fn a_full_disk_stops_no_reader_and_other_trouble_does() {
    let failed = |code| {
        let error = rusqlite::ffi::Error::new(code);
        super::blobs::unless_full(Err(rusqlite::Error::SqliteFailure(error, None)))
    };
    assert!(failed(rusqlite::ffi::SQLITE_FULL).is_ok());
    assert!(failed(rusqlite::ffi::SQLITE_CORRUPT).is_err());
    assert!(super::blobs::unless_full(Ok(1)).is_ok());
}
