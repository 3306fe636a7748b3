use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::fault::armed::arm;
use crate::remove::RemoveOptions;
use crate::samples::SampleImage;
use crate::store::Options;

pub(super) const NOW: Keep = Keep {
    grace: Duration::ZERO,
    untagged: true,
};

pub(super) fn open(folder: &Path) -> (Store, Repositories) {
    let store = Store::open(folder, Options::default()).unwrap();
    let repositories = Repositories::new(&store);
    (store, repositories)
}

pub(super) fn fresh() -> (TempDir, Store, Repositories) {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let (store, repositories) = open(folder.path());
    (folder, store, repositories)
}

pub(super) fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn tag(text: &str) -> TagName {
    text.parse().unwrap()
}

pub(super) fn digest(bytes: &[u8]) -> ContentDigest {
    crate::digest::Digest::of(bytes).into()
}

pub(super) fn push(
    to: &Repositories,
    repository: &str,
    bytes: &[u8],
) -> Result<u64, RepositoryError> {
    let repository = name(repository);
    let mut upload = to.begin_upload(&repository)?;
    upload.append(bytes)?;
    to.commit(&repository, upload, digest(bytes), None)
}

/// A manifest that is made of these blobs; what it says does not matter here.
fn manifest<'a>(bytes: &'a [u8], blobs: &[&[u8]], tags: &'a [TagName]) -> NewManifest<'a> {
    NewManifest {
        bytes,
        digest: digest(bytes),
        media_type: "application/x",
        tags,
        blobs: blobs.iter().map(|blob| digest(blob)).collect(),
        optional: Vec::new(),
        manifests: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: None,
        pusher: None,
    }
}

pub(super) fn read(
    from: &Repositories,
    repository: &str,
    bytes: &[u8],
) -> Result<Vec<u8>, RepositoryError> {
    let mut blob = from.open_blob(&name(repository), &digest(bytes))?;
    let mut found = Vec::new();
    blob.file.read_to_end(&mut found).unwrap();
    assert_eq!(found.len() as u64, blob.size);
    Ok(found)
}

/// Names of the files under `blobs` and `uploads`.
pub(super) fn files(store: &Store) -> Vec<String> {
    let layout = &store.inner.layout;
    let mut found = Vec::new();
    for folder in [layout.blobs(), layout.uploads()] {
        let entries = fs::read_dir(folder).unwrap();
        found.extend(entries.map(|e| e.unwrap().file_name().into_string().unwrap()));
    }
    found.sort();
    found
}

#[test]
fn an_upload_in_pieces_becomes_a_blob() {
    let (folder, _store, repositories) = fresh();
    let repository = name("a/b");
    let mut upload = repositories.begin_upload(&repository).unwrap();
    let id = upload.id();
    upload.append(b"one").unwrap();
    assert!(matches!(
        repositories.upload(&repository, id),
        Err(RepositoryError::UploadBusy)
    ));
    drop(upload);
    assert_eq!(repositories.upload_size(&repository, id).unwrap(), 3);
    let mut upload = repositories.upload(&repository, id).unwrap();
    upload.append(b"two").unwrap();
    drop(upload);
    // Another process goes on with it.
    let (_store, other) = open(folder.path());
    let mut upload = other.upload(&repository, id).unwrap();
    assert_eq!(upload.size(), 6);
    upload.append(b"three").unwrap();
    let whole = b"onetwothree";
    let size = other
        .commit(&repository, upload, digest(whole), None)
        .unwrap();
    assert_eq!(size, 11);
    assert_eq!(read(&repositories, "a/b", whole).unwrap(), whole);
    for gone in [
        repositories.upload(&repository, id).map(|_| ()),
        repositories.upload_size(&repository, id).map(|_| ()),
    ] {
        assert!(matches!(gone, Err(RepositoryError::NoUpload)));
    }
}

#[test]
fn an_upload_is_its_repository_s() {
    let (_folder, _store, repositories) = fresh();
    let upload = repositories.begin_upload(&name("a")).unwrap();
    let id = upload.id();
    drop(upload);
    assert!(matches!(
        repositories.upload(&name("b"), id),
        Err(RepositoryError::NoUpload)
    ));
    assert!("../../etc/passwd".parse::<UploadId>().is_err());
    let cancelled = repositories.upload(&name("a"), id).unwrap();
    repositories.cancel(cancelled).unwrap();
    assert!(repositories.upload_size(&name("a"), id).is_err());
}

#[test]
fn a_blob_is_what_it_should_be_or_is_not() {
    let (_folder, store, repositories) = fresh();
    let repository = name("a");
    let mut upload = repositories.begin_upload(&repository).unwrap();
    upload.append(b"this").unwrap();
    let error = repositories
        .commit(&repository, upload, digest(b"that"), None)
        .unwrap_err();
    assert!(matches!(error, RepositoryError::DigestMismatch { .. }));
    assert_eq!(files(&store), Vec::<String>::new());
}

#[test]
fn sha512_is_another_name_for_the_same_file() {
    let (_folder, store, repositories) = fresh();
    let repository = name("a");
    push(&repositories, "a", b"x").unwrap();
    let long = ContentDigest::Sha512([0; 64]).same_of(b"x");
    let mut upload = repositories.begin_upload(&repository).unwrap();
    upload.append(b"x").unwrap();
    repositories
        .commit(&repository, upload, long, None)
        .unwrap();
    assert_eq!(repositories.blob(&repository, &long).unwrap().size, 1);
    assert_eq!(files(&store).len(), 1);
    let mut upload = repositories.begin_upload(&repository).unwrap();
    upload.append(b"y").unwrap();
    let error = repositories.commit(&repository, upload, long, None);
    assert!(matches!(error, Err(RepositoryError::DigestMismatch { .. })));
}

#[test]
fn a_blob_is_seen_only_through_its_repository() {
    let (_folder, store, repositories) = fresh();
    push(&repositories, "a", b"secret").unwrap();
    push(&repositories, "b", b"other").unwrap();
    for repository in ["b", "nosuch"] {
        let read = read(&repositories, repository, b"secret");
        assert!(matches!(read, Err(RepositoryError::NoBlob(_))));
    }
    let secret = digest(b"secret");
    repositories
        .mount(&name("a"), &name("c"), &secret, None)
        .unwrap();
    assert_eq!(read(&repositories, "c", b"secret").unwrap(), b"secret");
    repositories.delete_blob(&name("a"), &secret).unwrap();
    assert_eq!(read(&repositories, "c", b"secret").unwrap(), b"secret");
    assert!(repositories.blob(&name("a"), &secret).is_err());
    repositories.delete_blob(&name("c"), &secret).unwrap();
    assert_eq!(files(&store).len(), 1);
}

#[test]
fn images_and_repositories_share_files() {
    let (_folder, store, repositories) = fresh();
    let image = SampleImage::new(&["layer"]);
    store
        .load(&image.docker(&["x"]).end()[..], &mut |_| {})
        .unwrap();
    let config = image.id();
    let known = repositories
        .mount_of_image(&name("a"), &config, None)
        .unwrap();
    assert_eq!(known.size, image.config_bytes().len() as u64);
    let absent = crate::digest::Digest::of(b"absent");
    assert!(
        repositories
            .mount_of_image(&name("a"), &absent, None)
            .is_err()
    );
    let options = RemoveOptions {
        force: true,
        prune: true,
    };
    store.remove("x", options, &[]).unwrap();
    store.collect().unwrap();
    let bytes = image.config_bytes();
    assert_eq!(read(&repositories, "a", &bytes).unwrap(), bytes);
    assert_eq!(files(&store).len(), 1);
    repositories.delete(&name("a")).unwrap();
    assert_eq!(files(&store), Vec::<String>::new());
}

#[test]
fn a_manifest_needs_its_parts() {
    let (_folder, _store, repositories) = fresh();
    let latest = tag("latest");
    push(&repositories, "a", b"one").unwrap();
    push(&repositories, "b", b"two").unwrap();
    let new = manifest(b"{}", &[b"one", b"two"], std::slice::from_ref(&latest));
    match repositories.put_manifest(&name("a"), &new, None) {
        Err(RepositoryError::MissingParts(missing)) => assert_eq!(missing, [digest(b"two")]),
        other => panic!("{other:?}"),
    }
    push(&repositories, "a", b"two").unwrap();
    let pushed = repositories.put_manifest(&name("a"), &new, None).unwrap();
    assert!(pushed.is_new);
    assert!(
        !repositories
            .put_manifest(&name("a"), &new, None)
            .unwrap()
            .is_new
    );
    for key in [
        ManifestKey::Tag(latest.clone()),
        ManifestKey::Digest(digest(b"{}")),
    ] {
        let found = repositories.manifest(&name("a"), &key).unwrap();
        assert_eq!(found.media_type, "application/x");
        assert_eq!(repositories.manifest_bytes(&found).unwrap(), b"{}");
    }
    repositories.delete_tag(&name("a"), &latest).unwrap();
    let by_tag = ManifestKey::Tag(latest.clone());
    assert!(repositories.manifest(&name("a"), &by_tag).is_err());
    repositories.put_manifest(&name("a"), &new, None).unwrap();
    let tags = repositories
        .delete_manifest(&name("a"), &digest(b"{}"))
        .unwrap();
    assert_eq!(tags, [latest]);
    assert!(repositories.manifest(&name("a"), &by_tag).is_err());
}

#[test]
fn lists_come_by_pages() {
    let (_folder, _store, repositories) = fresh();
    for repository in ["b", "a/x", "c"] {
        for text in ["v2", "v10", "V1"] {
            let text = tag(text);
            let new = manifest(b"{}", &[], std::slice::from_ref(&text));
            repositories
                .put_manifest(&name(repository), &new, None)
                .unwrap();
        }
    }
    push(&repositories, "empty", b"x").unwrap();
    let page = |last, limit| {
        let page = repositories.tags(&name("b"), last, limit).unwrap();
        let names: Vec<_> = page.items.iter().map(ToString::to_string).collect();
        (names.join(" "), page.more)
    };
    assert_eq!(page(None, 9), ("V1 v10 v2".into(), false));
    assert_eq!(page(None, 2), ("V1 v10".into(), true));
    assert_eq!(page(Some("v10"), 2), ("v2".into(), false));
    assert_eq!(page(None, 0), (String::new(), true));
    let page = |last, limit| {
        let page = repositories
            .catalog(last, limit, |name| name.as_str() != "c")
            .unwrap();
        let names: Vec<_> = page.items.iter().map(ToString::to_string).collect();
        (names.join(" "), page.more)
    };
    assert_eq!(page(None, 2), ("a/x b".into(), false));
    assert_eq!(page(None, 1), ("a/x".into(), true));
    assert_eq!(page(Some("a/x"), 1), ("b".into(), false));
}

#[test]
fn a_sweep_takes_what_nothing_needs_and_is_old() {
    let (_folder, store, repositories) = fresh();
    let latest = tag("latest");
    for blob in [&b"one"[..], b"two", b"alone"] {
        push(&repositories, "a", blob).unwrap();
    }
    drop(repositories.begin_upload(&name("a")).unwrap());
    let busy = repositories.begin_upload(&name("a")).unwrap();
    let tagged = manifest(b"1", &[b"one"], std::slice::from_ref(&latest));
    let untagged = manifest(b"2", &[b"two"], &[]);
    let mut about = manifest(b"3", &[], &[]);
    about.subject = Some(digest(b"1"));
    for new in [&tagged, &untagged, &about] {
        repositories.put_manifest(&name("a"), new, None).unwrap();
    }
    let hour = Keep {
        grace: Duration::from_secs(3600),
        untagged: false,
    };
    assert_eq!(repositories.sweep(hour).unwrap(), Swept::default());
    let swept = repositories.sweep(NOW).unwrap();
    assert_eq!((swept.uploads, swept.manifests, swept.blobs), (1, 0, 1));
    assert!(read(&repositories, "a", b"alone").is_err());
    let untagged = Keep {
        untagged: false,
        ..NOW
    };
    let swept = repositories.sweep(untagged).unwrap();
    assert_eq!((swept.uploads, swept.manifests, swept.blobs), (0, 1, 1));
    assert!(read(&repositories, "a", b"two").is_err());
    assert_eq!(read(&repositories, "a", b"one").unwrap(), b"one");
    repositories
        .delete_manifest(&name("a"), &digest(b"1"))
        .unwrap();
    repositories.cancel(busy).unwrap();
    let swept = repositories.sweep(untagged).unwrap();
    assert_eq!((swept.uploads, swept.manifests, swept.blobs), (0, 1, 1));
    assert_eq!(files(&store), Vec::<String>::new());
}

#[test]
fn a_quota_holds_what_it_says() {
    let (_folder, store, repositories) = fresh();
    let repository = name("a");
    let add = |bytes: &[u8], quota| {
        let mut upload = repositories.begin_upload(&repository).unwrap();
        upload.append(bytes).unwrap();
        repositories.commit(&repository, upload, digest(bytes), Some(quota))
    };
    add(b"12345", 10).unwrap();
    add(b"67890", 10).unwrap();
    add(b"12345", 10).unwrap();
    assert!(matches!(add(b"x", 10), Err(RepositoryError::Quota(10))));
    assert_eq!(files(&store).len(), 2);
    let new = manifest(b"{}", &[b"12345"], &[]);
    let full = repositories.put_manifest(&repository, &new, Some(11));
    assert!(matches!(full, Err(RepositoryError::Quota(11))));
    repositories
        .put_manifest(&repository, &new, Some(12))
        .unwrap();
}

#[test]
fn records_are_kept() {
    let (_folder, _store, repositories) = fresh();
    assert!(repositories.record(&name("a")).is_err());
    let change = Change {
        owner: Some("ann".into()),
        visibility: Some(Visibility::Public),
        description: Some("short".into()),
        overview: None,
        collaborators: Some(vec!["cid".into(), "bob".into(), "bob".into()]),
    };
    repositories.change(&name("a"), &change).unwrap();
    let tagged = tag("t");
    let new = manifest(b"{}", &[], std::slice::from_ref(&tagged));
    repositories.put_manifest(&name("a"), &new, None).unwrap();
    let record = repositories.record(&name("a")).unwrap();
    assert_eq!(record.owner.as_deref(), Some("ann"));
    assert_eq!(record.visibility, Visibility::Public);
    assert_eq!((record.tags, record.size), (1, 2));
    assert_eq!(record.collaborators, ["bob", "cid"]);
    let change = Change {
        overview: Some("long".into()),
        ..Change::default()
    };
    repositories.change(&name("a"), &change).unwrap();
    let record = repositories.record(&name("a")).unwrap();
    assert_eq!((&*record.description, &*record.overview), ("short", "long"));
    assert_eq!(repositories.records().unwrap(), [record]);
}

#[test]
fn many_push_the_same_blobs_and_nothing_is_lost() {
    let (_folder, _store, repositories) = fresh();
    let blobs: Vec<Vec<u8>> = (0..8u8).map(|n| vec![n; 1000]).collect();
    std::thread::scope(|scope| {
        for worker in 0..16 {
            let (repositories, blobs) = (&repositories, &blobs);
            scope.spawn(move || {
                let own = format!("r{worker}");
                for round in 0..8 {
                    let at = (worker + round) % blobs.len();
                    push(repositories, &own, &blobs[at]).unwrap();
                    if worker % 4 == 0 {
                        let digest = digest(&blobs[at]);
                        repositories.delete_blob(&name(&own), &digest).unwrap();
                        repositories
                            .sweep(Keep {
                                grace: Duration::from_secs(60),
                                untagged: false,
                            })
                            .unwrap();
                    }
                }
            });
        }
    });
    for worker in (0..16).filter(|worker| worker % 4 != 0) {
        for blob in &blobs {
            assert_eq!(
                &read(&repositories, &format!("r{worker}"), blob).unwrap(),
                blob
            );
        }
    }
}

const CRASH: &str = "HULL_REPOSITORIES_TEST_CRASH";

/// Kills a pushing process at each point where it could leave something half done.
#[test]
fn a_crash_at_any_point_of_a_push_loses_nothing() {
    let latest = tag("latest");
    let work = |repositories: &Repositories| {
        for blob in [&b"base"[..], b"new"] {
            push(repositories, "a", blob).unwrap();
        }
        let new = manifest(b"{2}", &[b"base", b"new"], std::slice::from_ref(&latest));
        repositories.put_manifest(&name("a"), &new, None).unwrap();
        repositories
            .delete_manifest(&name("a"), &digest(b"{2}"))
            .unwrap();
        push(repositories, "a", &vec![1; 100_000]).unwrap();
        repositories.settle().unwrap();
        repositories.delete(&name("old")).unwrap();
    };
    if let Ok(order) = std::env::var(CRASH) {
        let (count, folder) = order.split_once(' ').unwrap();
        let (_store, repositories) = open(Path::new(folder));
        arm(count.parse().unwrap());
        work(&repositories);
        return;
    }
    let mut point = 0;
    loop {
        point += 1;
        let (folder, store, repositories) = fresh();
        let kept = tag("kept");
        for (repository, tag) in [("a", &kept), ("old", &kept)] {
            push(&repositories, repository, b"base").unwrap();
            let new = manifest(b"{1}", &[b"base"], std::slice::from_ref(tag));
            repositories
                .put_manifest(&name(repository), &new, None)
                .unwrap();
        }
        drop((store, repositories));
        let status = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "repositories::tests::a_crash_at_any_point_of_a_push_loses_nothing",
            ])
            .env(CRASH, format!("{point} {}", folder.path().display()))
            .output()
            .unwrap()
            .status;
        let (store, repositories) = open(folder.path());
        let found = repositories
            .manifest(&name("a"), &ManifestKey::Tag(kept))
            .unwrap();
        assert_eq!(repositories.manifest_bytes(&found).unwrap(), b"{1}");
        assert_eq!(read(&repositories, "a", b"base").unwrap(), b"base");
        work_again(&repositories);
        repositories.sweep(NOW).unwrap();
        let expected = [&b"base"[..], b"{1}"].map(|b| crate::digest::Digest::of(b).hex());
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(files(&store), expected, "after a crash at {point}");
        if status.success() {
            break;
        }
    }
    assert!(point > 15, "only {point} points");
}

/// What was pushed and what was not can be pushed again, and be taken away.
fn work_again(repositories: &Repositories) {
    push(repositories, "a", b"new").unwrap();
    let new = manifest(b"{2}", &[b"base", b"new"], &[]);
    repositories.put_manifest(&name("a"), &new, None).unwrap();
    repositories
        .delete_manifest(&name("a"), &digest(b"{2}"))
        .unwrap();
    match repositories.delete(&name("old")) {
        Ok(()) | Err(RepositoryError::NoRepository(_)) => {}
        Err(error) => panic!("{error}"),
    }
}
