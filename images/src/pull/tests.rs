//! Pulls from a registry that misbehaves, and from Debian's.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::remote::RemoteOptions;
use crate::remote::fake::{Fake, Say, Seen, Shelf, hasty, hasty_with, uncancelled};
use crate::remote::peer::{Guard, Peer};
use crate::samples::SampleImage;
use crate::store::Options;
use crate::transfer::{Down, Up};
use crate::{Push, RemoveOptions};

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Bench {
        // In memory where there is such a place: what is tested is order, not the disk.
        let memory = std::path::Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        };
        let store = Store::open(folder.path(), Options::default()).unwrap();
        Bench { folder, store }
    }

    fn pull(&self, name: &str) -> (Result<Vec<Pulled>, PullError>, Vec<String>) {
        self.pull_as(&Pull {
            name: name.parse().unwrap(),
            all: false,
            platform: None,
            credentials: Credentials::default(),
        })
    }

    fn pull_as(&self, pull: &Pull) -> (Result<Vec<Pulled>, PullError>, Vec<String>) {
        self.pull_from(&hasty(), pull)
    }

    fn pull_from(
        &self,
        remote: &Remote,
        pull: &Pull,
    ) -> (Result<Vec<Pulled>, PullError>, Vec<String>) {
        let lines = Mutex::new(Vec::new());
        let audience = |transfer: Transfer| lines.lock().unwrap().extend(line(transfer));
        let pulled = self.store.pull(remote, pull, (&audience, &uncancelled()));
        (pulled, lines.into_inner().unwrap())
    }

    /// Files that are there under final names or aside.
    fn files(&self) -> BTreeSet<String> {
        let images = self.folder.path().join("images");
        let folders = ["blobs/sha256", "layers", "tmp"];
        let names = folders.iter().flat_map(|folder| {
            let entries = std::fs::read_dir(images.join(folder)).unwrap();
            entries.map(move |entry| format!("{folder}/{}", entry.unwrap().file_name().display()))
        });
        names.collect()
    }
}

/// As a line off a terminal; progress in bytes has none.
fn line(transfer: Transfer) -> Option<String> {
    Some(match transfer {
        Transfer::Pulling { version, path } => format!("{version}: {path}"),
        Transfer::Down { state, .. } => match state {
            Down::Downloading { .. } | Down::Extracting { .. } => return None,
            state => format!("{state:?}"),
        },
        Transfer::Pulled(_) => "digest".to_owned(),
        Transfer::Status { name, newer } => format!("{} {newer}", name.familiar()),
        Transfer::Up { state, .. } => match state {
            Up::Pushing { .. } => return None,
            state => format!("{state:?}"),
        },
        other => format!("{other:?}"),
    })
}

/// `a/b:1` with these layers, on a shelf.
fn shelf(layers: &[&str]) -> (Shelf, Value) {
    let mut shelf = Shelf::default();
    let image = shelf.image("a/b", &SampleImage::new(layers));
    shelf.tag("a/b", "1", &image);
    (shelf, image)
}

fn blob(name: &str) -> String {
    let bytes = crate::samples::gzip(&crate::samples::layer(name, name));
    format!("/v2/a/b/blobs/{}", Digest::of(&bytes))
}

#[test]
fn an_image_comes_with_its_names_and_comes_once() {
    let (shelf, descriptor) = shelf(&["one", "two"]);
    let fake = Fake::start(move |seen| shelf.answer(seen));
    let bench = Bench::new();
    let name = format!("{}/a/b:1", fake.host());
    let (pulled, lines) = bench.pull(&name);
    let pulled = pulled.unwrap();
    assert_eq!(pulled[0].image.0, SampleImage::new(&["one", "two"]).id());
    let mut sorted = lines.clone();
    sorted[3..9].sort();
    assert_eq!(
        sorted,
        [
            "1: a/b",
            "Queued",
            "Queued",
            "Complete",
            "Complete",
            "Downloaded",
            "Downloaded",
            "Verifying",
            "Verifying",
            "digest",
            &format!("{name} true"),
        ]
    );
    let image = bench.store.image(&pulled[0].image).unwrap();
    assert_eq!(image.tags, [name.parse().unwrap()]);
    let digest = descriptor["digest"].as_str().unwrap();
    assert_eq!(
        image.digests,
        [format!("{}/a/b@{digest}", fake.host()).parse().unwrap()]
    );
    assert_eq!(image.manifest.to_string(), digest);
    assert!(bench.files().iter().all(|file| !file.starts_with("tmp")));

    // Again: nothing new, and no blob but the configuration is asked for.
    let before = fake.lines().len();
    let (again, lines) = bench.pull(&name);
    assert!(!again.unwrap()[0].newer);
    assert_eq!(lines, ["1: a/b", "digest", &format!("{name} false")]);
    let asked = fake.lines();
    let blobs = asked[before..]
        .iter()
        .filter(|line| line.contains("/blobs/"));
    assert_eq!(blobs.count(), 1);

    // By digest: the image has another name then.
    let (by_digest, lines) = bench.pull(&format!("{}/a/b@{digest}", fake.host()));
    assert_eq!(by_digest.unwrap()[0].image, pulled[0].image);
    assert_eq!(lines[0], format!("{digest}: a/b"));
}

#[test]
fn layers_that_are_here_are_not_fetched() {
    let (mut shelf, _) = shelf(&["one", "two"]);
    let more = shelf.image("a/b", &SampleImage::new(&["one", "two", "three", "three"]));
    shelf.tag("a/b", "2", &more);
    let fake = Fake::start(move |seen| shelf.answer(seen));
    let bench = Bench::new();
    bench.pull(&format!("{}/a/b:1", fake.host())).0.unwrap();
    let (pulled, lines) = bench.pull(&format!("{}/a/b:2", fake.host()));
    let image = bench.store.image(&pulled.unwrap()[0].image).unwrap();
    assert_eq!(image.layers.len(), 4);
    assert_eq!(
        lines[1..5],
        ["AlreadyExists", "AlreadyExists", "Queued", "Queued"]
    );
    let times = |name: &str| {
        let path = format!("GET {}", blob(name));
        fake.lines().iter().filter(|line| **line == path).count()
    };
    assert_eq!((times("one"), times("two"), times("three")), (1, 1, 1));
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let contents: String = (0..60_000).map(|n| format!("{n} ")).collect();
    let image = SampleImage {
        layers: vec![crate::samples::layer("big", &contents)],
        ..SampleImage::new(&[])
    };
    let diff = Digest::of(&image.layers[0]);
    let image = image.with("rootfs", json!({"type": "layers", "diff_ids": [diff]}));
    let path = format!(
        "/v2/a/b/blobs/{}",
        Digest::of(&crate::samples::gzip(&image.layers[0]))
    );
    for ranges in [true, false] {
        let mut shelf = Shelf::default();
        let descriptor = shelf.image("a/b", &image);
        shelf.tag("a/b", "1", &descriptor);
        let (tries, path) = (AtomicU32::new(0), path.clone());
        let fake = Fake::start(move |seen| {
            let mut seen = seen.clone();
            if !ranges {
                seen.headers.remove("range");
            }
            let say = shelf.answer(&seen);
            if seen.path != path {
                return say;
            }
            let length = say.body.len();
            match tries.fetch_add(1, Ordering::SeqCst) {
                // More often than one thing is tried: it goes on all the same.
                try_number if try_number < 6 && ranges => say.cut(length / 3),
                0 => say.cut(length / 2),
                _ => say,
            }
        });
        let bench = Bench::new();
        let (pulled, _) = bench.pull(&format!("{}/a/b:1", fake.host()));
        assert_eq!(pulled.unwrap()[0].image.0, image.id());
        let from: Vec<String> = fake
            .seen()
            .iter()
            .filter(|seen| !seen.header("range").is_empty())
            .map(|seen| seen.header("range").to_owned())
            .collect();
        assert_eq!(from.len(), if ranges { 6 } else { 1 }, "{from:?}");
        assert!(from.is_sorted_by_key(String::len), "{from:?}");
    }
}

/// A pull of `a/b:1` that must fail, and leave nothing.
fn refused(answer: impl Fn(&Shelf, &Seen) -> Say + Send + Sync + 'static) -> String {
    let (shelf, _) = shelf(&["one", "two", "three", "four"]);
    let fake = Fake::start(move |seen| answer(&shelf, seen));
    let bench = Bench::new();
    let (pulled, _) = bench.pull(&format!("{}/a/b:1", fake.host()));
    assert_eq!(bench.files(), BTreeSet::new());
    assert_eq!(bench.store.count().unwrap(), 0);
    pulled
        .unwrap_err()
        .to_string()
        .replace(&fake.host(), "HOST")
}

#[test]
fn nothing_stays_of_a_pull_that_fails() {
    let wrong = |say: fn(Say) -> Say| {
        let path = blob("three");
        refused(move |shelf, seen| match seen.path == path {
            true => say(shelf.answer(seen)),
            false => shelf.answer(seen),
        })
    };
    let error = wrong(|mut say| {
        let last = say.body.last_mut().unwrap();
        *last ^= 1;
        say
    });
    assert!(
        error.starts_with("filesystem layer verification failed"),
        "{error}"
    );
    let error = wrong(|mut say| {
        say.body.push(0);
        say
    });
    assert!(
        error.contains("has another size than the manifest says"),
        "{error}"
    );
    let error = wrong(Say::endless);
    assert!(
        error.contains("has another size than the manifest says"),
        "{error}"
    );
    let error = wrong(|_| Say::error(404, "BLOB_UNKNOWN", "blob unknown to registry"));
    assert_eq!(error, "blob unknown: blob unknown to registry");
    let error = wrong(|say| say.cut(0));
    assert!(error.ends_with("unexpected EOF"), "{error}");
}

#[test]
fn a_layer_that_is_not_what_the_configuration_says_is_refused() {
    let image = SampleImage {
        layers: vec![crate::samples::layer("other", "x")],
        ..SampleImage::new(&["one"])
    };
    let mut shelf = Shelf::default();
    let descriptor = shelf.image("a/b", &image);
    shelf.tag("a/b", "1", &descriptor);
    let error = refused(move |_, seen| shelf.answer(seen));
    assert!(error.contains("is not what the image says"), "{error}");
}

#[test]
fn failures_are_worded_as_dockerds() {
    let says = |status, code: &'static str, message: &'static str| {
        refused(move |shelf, seen| match seen.path.contains("/manifests/") {
            true => Say::error(status, code, message),
            false => shelf.answer(seen),
        })
    };
    assert_eq!(
        says(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        "manifest for HOST/a/b:1 not found: manifest unknown: manifest unknown"
    );
    assert_eq!(
        says(403, "DENIED", "requested access to the resource is denied"),
        "pull access denied for HOST/a/b, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
    );
    assert_eq!(
        says(404, "NAME_UNKNOWN", "repository name not known to registry"),
        "repository HOST/a/b not found: name unknown: repository name not known to registry"
    );
    assert_eq!(
        says(401, "UNAUTHORIZED", "authentication required"),
        "unauthorized: authentication required"
    );
}

#[test]
fn strange_manifests_are_refused() {
    let manifest = |json: Value| {
        let mut shelf = Shelf::default();
        shelf.manifest("a/b", Some("1"), &json);
        refused(move |_, seen| shelf.answer(seen))
    };
    let digest = Digest::of(b"x");
    let oci = "application/vnd.oci.image.manifest.v1+json";
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 1});
    assert_eq!(
        manifest(json!({"schemaVersion": 2, "mediaType": oci, "layers": [],
            "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": digest, "size": 1}})),
        "unsupported media type application/vnd.cncf.helm.config.v1+json"
    );
    assert_eq!(
        manifest(
            json!({"schemaVersion": 2, "mediaType": oci, "config": config,
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "digest": digest, "size": 1}]})
        ),
        "unsupported media type application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    );
    assert!(
        manifest(json!({"schemaVersion": 1, "mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"}))
            .contains("schema 1 are not supported")
    );
    assert!(manifest(json!({"mediaType": oci})).starts_with("invalid manifest: "));
    let index = "application/vnd.oci.image.index.v1+json";
    assert_eq!(
        manifest(
            json!({"schemaVersion": 2, "mediaType": index, "manifests": [
            {"mediaType": oci, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": "s390x"}}]})
        ),
        format!(
            "no matching manifest for {} in the manifest list entries",
            Platform::host()
        )
    );
}

#[test]
fn an_index_gives_the_image_for_the_platform() {
    let mut shelf = Shelf::default();
    let image = |architecture: &str| {
        SampleImage::new(&[architecture]).with("architecture", json!(architecture))
    };
    let entry = |shelf: &mut Shelf, architecture: &str| {
        let mut entry = shelf.image("a/b", &image(architecture));
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entry
    };
    let mut attached = shelf.image("a/b", &SampleImage::new(&["attestation"]));
    attached["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    attached["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let entries = [
        attached,
        entry(&mut shelf, "s390x"),
        entry(&mut shelf, "amd64"),
        entry(&mut shelf, "arm64"),
    ];
    let index = json!({
        "schemaVersion": 2, "manifests": entries,
        "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
    });
    let index = shelf.manifest("a/b", Some("1"), &index);
    let fake = Fake::start(move |seen| shelf.answer(seen));
    let bench = Bench::new();
    let pull = |platform: Option<&str>| {
        let name = format!("{}/a/b:1", fake.host());
        bench.pull_as(&Pull {
            name: name.parse().unwrap(),
            all: false,
            platform: platform.map(|text| text.parse().unwrap()),
            credentials: Credentials::default(),
        })
    };
    let pulled = pull(Some("linux/s390x")).0.unwrap().remove(0);
    assert_eq!(pulled.image.0, image("s390x").id());
    assert_eq!(pulled.digest.to_string(), index["digest"]);
    let host = pull(None).0.unwrap().remove(0);
    assert_eq!(host.platform, Platform::host());
    assert!(host.newer, "the tag has moved");
    let error = pull(Some("linux/ppc64le")).0.unwrap_err();
    assert!(matches!(error, PullError::NoPlatform(_)));
}

#[test]
fn a_cancelled_pull_ends_at_once_and_leaves_nothing() {
    let (shelf, _) = shelf(&["one"]);
    let path = blob("one");
    let fake = Fake::start(move |seen| match seen.path == path {
        true => shelf.answer(seen).stall(),
        false => shelf.answer(seen),
    });
    let bench = Bench::new();
    let cancel = uncancelled();
    let pull = Pull {
        name: format!("{}/a/b:1", fake.host()).parse().unwrap(),
        all: false,
        platform: None,
        credentials: Credentials::default(),
    };
    let stop = cancel.clone();
    let audience = move |transfer: Transfer| {
        if matches!(
            transfer,
            Transfer::Down {
                state: Down::Downloading { .. },
                ..
            }
        ) {
            stop.cancel();
        }
    };
    let error = bench.store.pull(&hasty(), &pull, (&audience, &cancel));
    assert_eq!(error.unwrap_err().to_string(), "context canceled");
    assert_eq!(bench.files(), BTreeSet::new());
}

#[test]
fn a_mirror_is_asked_first_and_may_fail() {
    let mut shelf = Shelf::default();
    let image = shelf.image("library/busybox", &SampleImage::new(&["one"]));
    shelf.tag("library/busybox", "latest", &image);
    let broken = Fake::start(|seen| match seen.path.as_str() {
        "/v2/" => Say::new(200, ""),
        _ => Say::error(500, "UNKNOWN", "oops"),
    });
    let good = Fake::start(move |seen| shelf.answer(seen));
    let mirror = |fake: &Fake| format!("http://{}", fake.host()).parse().unwrap();
    let remote = hasty_with(RemoteOptions {
        mirrors: vec![mirror(&broken), mirror(&good)],
        ..RemoteOptions::default()
    });
    let bench = Bench::new();
    let pull = Pull {
        name: "busybox".parse().unwrap(),
        all: false,
        platform: None,
        credentials: Credentials {
            username: "bob".into(),
            password: "secret".into(),
            ..Credentials::default()
        },
    };
    let (pulled, lines) = bench.pull_from(&remote, &pull);
    pulled.unwrap();
    assert_eq!(lines.first().unwrap(), "latest: library/busybox");
    assert_eq!(lines.last().unwrap(), "busybox:latest true");
    assert!(!broken.seen().is_empty());
    let images = bench.store.list().unwrap();
    assert_eq!(images[0].tags[0].familiar(), "busybox:latest");
}

#[test]
fn images_go_to_debians_registry_and_back() {
    for guard in [Guard::Open, Guard::Password, Guard::Tls] {
        let peer = Peer::start(guard);
        let credentials = Credentials {
            username: "bob".into(),
            password: "secret".into(),
            ..Credentials::default()
        };
        let bench = Bench::new();
        let name = format!("{}/some/thing", peer.host());
        for (tag, image) in [
            ("one", SampleImage::new(&["a", "b"])),
            ("two", SampleImage::new(&["a", "b", "c"])),
        ] {
            let archive = image.oci(&format!("{name}:{tag}")).end();
            bench.store.load(&archive[..], &mut |_| {}).unwrap();
        }
        let lines = Mutex::new(Vec::new());
        let audience = |transfer: Transfer| lines.lock().unwrap().extend(line(transfer));
        let push = Push {
            name: name.parse().unwrap(),
            all: true,
            platform: None,
            credentials: credentials.clone(),
        };
        let pushed = bench
            .store
            .push(&hasty(), &push, (&audience, &uncancelled()))
            .unwrap();
        let tags: Vec<_> = pushed.iter().map(|one| one.name.tag().unwrap()).collect();
        assert_eq!(tags, ["one", "two"]);
        let lines = lines.into_inner().unwrap();
        let count = |what: &str| lines.iter().filter(|line| *line == what).count();
        assert_eq!(
            (count("Pushed"), count("AlreadyExists")),
            (3, 2),
            "{lines:?}"
        );

        for image in bench.store.list().unwrap() {
            let options = RemoveOptions {
                force: true,
                prune: true,
            };
            bench
                .store
                .remove(&image.id.to_string(), options, &[])
                .unwrap();
        }
        assert_eq!(bench.files(), BTreeSet::new());
        let (pulled, _) = bench.pull_as(&Pull {
            name: name.parse().unwrap(),
            all: true,
            platform: None,
            credentials: credentials.clone(),
        });
        let digests = |pulled: &[Pulled]| -> Vec<_> { pulled.iter().map(|p| p.digest).collect() };
        let sent: Vec<_> = pushed.iter().map(|one| one.digest).collect();
        assert_eq!(digests(&pulled.unwrap()), sent);
        assert_eq!(bench.store.count().unwrap(), 2);
        if guard == Guard::Password {
            let (refused, _) = Bench::new().pull(&format!("{name}:one"));
            assert!(
                refused
                    .unwrap_err()
                    .to_string()
                    .ends_with("no basic auth credentials")
            );
        }
    }
}

const CRASH: &str = "HULL_IMAGES_TEST_PULL_CRASH";

/// Kills a process that pulls and pushes at each point where it could leave something half done.
#[test]
fn a_crash_at_any_point_of_a_pull_or_push_leaves_nothing() {
    let work = |store: &Store, name: &Reference| {
        let pull = Pull {
            name: name.clone(),
            all: false,
            platform: None,
            credentials: Credentials::default(),
        };
        let watching = (&|_: Transfer| {}, &uncancelled());
        store
            .pull(&hasty(), &pull, (watching.0, watching.1))
            .unwrap();
        let push = Push {
            name: name.clone(),
            all: false,
            platform: None,
            credentials: Credentials::default(),
        };
        store
            .push(&hasty(), &push, (watching.0, watching.1))
            .unwrap();
    };
    if let Ok(order) = std::env::var(CRASH) {
        let words: Vec<&str> = order.split(' ').collect();
        let store = Store::open(words[2].as_ref(), Options::default()).unwrap();
        crate::fault::armed::arm(words[0].parse().unwrap());
        work(&store, &words[1].parse().unwrap());
        return;
    }
    let (shelf, _) = shelf(&["base", "middle", "top"]);
    // What is pushed is there already, but for the manifest.
    let fake = Fake::start(move |seen| match seen.method.as_str() {
        "PUT" => Say::new(201, ""),
        _ => shelf.answer(seen),
    });
    let name: Reference = format!("{}/a/b:1", fake.host()).parse().unwrap();
    let mut point = 0;
    loop {
        point += 1;
        let bench = Bench::new();
        let kept = SampleImage::new(&["base", "kept"]).oci("kept:1").end();
        bench.store.load(&kept[..], &mut |_| {}).unwrap();
        let Bench { folder, store } = bench;
        drop(store);
        let ended = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "pull::tests::a_crash_at_any_point_of_a_pull_or_push_leaves_nothing",
            ])
            .env(CRASH, format!("{point} {name} {}", folder.path().display()))
            .output()
            .unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        crate::store_tests::verify(&store);
        store.find("kept:1").unwrap();
        if ended.status.success() {
            break;
        }
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&ended.status),
            Some(9),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        // The same can be done again.
        work(&store, &name);
        crate::store_tests::verify(&store);
    }
    assert!(point > 30, "only {point} points");
}
