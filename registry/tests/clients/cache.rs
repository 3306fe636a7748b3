//! A registry that is a cache of another: Debian's, and one that misbehaves.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use hull_images::repositories::{ManifestKey, NewManifest, Repositories};
use hull_registry::{Service, config::Config};

use crate::peer::{Guard, Peer};
use crate::served::{OCI_MANIFEST, Served, run, sha256};
use crate::upstream::{Fake, Manner};

const LARGE: usize = 1 << 20;

/// A cache that does not try for long, nor remembers for long that its upstream was away.
fn cache_of(url: &str, more: &str) -> Served {
    Served::with(&format!(
        "[cache]\nupstream = \"{url}\"\nretry = \"0s\"\nattempts = 2\ntimeout = \"20s\"\n{more}"
    ))
}

fn layer(seed: u8) -> Vec<u8> {
    let bytes = (0..LARGE).map(|at| (at >> 8) as u8 ^ at as u8 ^ seed);
    bytes.collect()
}

/// How many files the store has for blobs, and for what is on its way.
fn files(served: &Served) -> (usize, usize) {
    let count = |folder: &str| {
        let path = served.path("root/images").join(folder);
        std::fs::read_dir(path).unwrap().count()
    };
    (count("blobs/sha256"), count("uploads"))
}

#[track_caller]
fn eventually(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "it did not happen"
        );
        std::thread::yield_now();
    }
}

/// Asks by curl what may break off. The body, if all of it came.
fn whole(served: &Served, path: &str) -> Option<Vec<u8>> {
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--max-time", "60", "--noproxy", "*"])
        .arg(format!("http://{}{path}", served.address))
        .output()
        .unwrap();
    output.status.success().then_some(output.stdout)
}

#[test]
fn skopeo_pulls_debian_s_registry_through_also_when_it_is_gone() {
    let peer = Peer::start(Guard::Password);
    let here = Served::open();
    let digest = here.push("from/here", "1", &[]);
    let copy = |from: String, to: String, more: &[&str]| {
        let flags = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--preserve-digests"])
            .args(flags)
            .args(more)
            .args([from, to]))
    };
    let credentials = ["--dest-creds", "bob:secret"];
    let source = format!("docker://{}/from/here:1", here.address);
    copy(
        source,
        format!("docker://{}/team/app:1", peer.host()),
        &credentials,
    );

    let prepare = |folder: &std::path::Path| {
        std::fs::write(folder.join("credentials"), "bob:secret\n").unwrap();
    };
    let config = format!(
        "[cache]\nupstream = \"http://{}\"\ncredentials = \"@/credentials\"\nretry = \"0s\"",
        peer.host()
    );
    let cache = Served::prepared(&config, prepare);
    let image = format!("docker://{}/team/app:1", cache.address);
    copy(
        image.clone(),
        format!("oci:{}", cache.path("one").display()),
        &[],
    );
    let manifest = "/v2/team/app/manifests/1";
    let found = cache.curl(manifest, &[]);
    found.has_header(&format!("Docker-Content-Digest: {digest}"));
    assert!(!found.head.contains("Warning:"), "{}", found.head);
    let tags = cache.curl("/v2/team/app/tags/list", &[]).text();
    assert_eq!(tags, "{\"name\":\"team/app\",\"tags\":[\"1\"]}\n");
    cache
        .curl("/v2/team/app/manifests/2", &[])
        .refused(404, "MANIFEST_UNKNOWN");
    cache
        .curl("/v2/no/such/tags/list", &[])
        .refused(404, "NAME_UNKNOWN");

    drop(peer);
    copy(image, format!("oci:{}", cache.path("two").display()), &[]);
    let stale = cache.curl(manifest, &[]);
    assert_eq!((stale.status, stale.body), (200, found.body));
    assert!(stale.head.contains("Warning: 299 - "), "{}", stale.head);
    assert_eq!(cache.curl("/v2/team/app/tags/list", &[]).text(), tags);
    let catalog = cache.curl("/v2/_catalog", &[]).text();
    assert_eq!(catalog, "{\"repositories\":[\"team/app\"]}\n");
    cache
        .curl("/v2/team/app/manifests/2", &[])
        .refused(503, "UNAVAILABLE");
    let nothing = format!("/v2/team/app/blobs/{}", sha256(b"nothing"));
    cache.curl(&nothing, &[]).refused(503, "UNAVAILABLE");
}

#[test]
fn nobody_pushes_to_a_cache() {
    let fake = Fake::start();
    let cache = cache_of(&fake.url, "");
    let (digest, _) = fake.image("a", "1", b"layer");
    assert_eq!(cache.curl("/v2/a/manifests/1", &[]).status, 200);
    let refused = |method: &str, path: &str| {
        cache
            .send(path, method, "{}", &[])
            .refused(405, "UNSUPPORTED");
    };
    refused("POST", "/v2/a/blobs/uploads/");
    refused("PUT", "/v2/a/manifests/1");
    refused("DELETE", "/v2/a/manifests/1");
    refused("DELETE", &format!("/v2/a/manifests/{digest}"));
    // What is forgotten comes again.
    let forget = cache.send("/hull/v1/repositories/a", "DELETE", "", &[]);
    assert_eq!((forget.status, files(&cache)), (202, (0, 0)));
    assert_eq!(cache.curl("/v2/a/manifests/1", &[]).status, 200);
}

#[test]
fn what_has_a_digest_is_fetched_once_and_a_tag_is_followed() {
    let fake = Fake::start();
    let cache = cache_of(&fake.url, "");
    let layer = layer(1);
    let (digest, blob) = fake.image("a", "1", &layer);
    let (by_digest, by_tag) = (format!("/v2/a/manifests/{digest}"), "/v2/a/manifests/1");
    let blob = format!("/v2/a/blobs/{blob}");
    for _ in 0..3 {
        assert_eq!(cache.curl(&by_digest, &[]).status, 200);
        assert_eq!(cache.curl(by_tag, &[]).status, 200);
        assert_eq!(whole(&cache, &blob).unwrap(), layer);
    }
    for once in [&by_digest, &blob] {
        assert_eq!(fake.count(&format!("GET {once}")), 1, "{:?}", fake.asked());
    }
    // The tag's manifest was there by its digest, but not known to be the tag's.
    assert_eq!(fake.count(&format!("GET {by_tag}")), 1);
    assert_eq!(fake.count(&format!("HEAD {by_tag}")), 2);
    // The same blob in another repository is not downloaded again.
    fake.image("b", "1", &layer);
    let there = blob.replace("/v2/a/", "/v2/b/");
    assert_eq!(whole(&cache, &there).unwrap(), layer);
    assert_eq!(fake.count(&format!("GET {there}")), 0);
    // One that the upstream does not have there is not given, though it is here.
    let elsewhere = blob.replace("/v2/a/", "/v2/c/");
    cache.curl(&elsewhere, &[]).refused(404, "BLOB_UNKNOWN");

    let (moved, _) = fake.image("a", "1", b"another layer");
    let found = cache.curl(by_tag, &[]);
    found.has_header(&format!("Docker-Content-Digest: {moved}"));
    fake.is_down(true);
    let found = cache.curl(by_tag, &[]);
    found.has_header(&format!("Docker-Content-Digest: {moved}"));
    assert!(found.head.contains("Warning: 299"), "{}", found.head);
    fake.is_down(false);
    fake.forget(by_tag);
    cache.curl(by_tag, &[]).refused(404, "MANIFEST_UNKNOWN");
    fake.is_down(true);
    cache.curl(by_tag, &[]).refused(503, "UNAVAILABLE");
    assert_eq!(cache.curl(&by_digest, &[]).status, 200);
}

#[test]
fn what_is_wrong_or_breaks_off_is_never_kept_nor_given_as_good() {
    let fake = Fake::start();
    let cache = cache_of(&fake.url, "");
    let layer = layer(2);
    let (_, blob) = fake.image("a", "1", &layer);
    let (_, small) = fake.image("a", "2", b"small");
    let path = |digest: &str| format!("/v2/a/blobs/{digest}");
    for manner in [Manner::Wrong, Manner::Cut] {
        fake.behave(manner);
        assert_eq!(whole(&cache, &path(&blob)), None, "{manner:?}");
        // What is small has a status.
        let refused = cache.curl(&path(&small), &[]);
        assert!(matches!(refused.status, 502 | 503), "{refused:?}");
        eventually(|| files(&cache) == (0, 0));
    }
    fake.behave(Manner::CutOnce);
    assert_eq!(whole(&cache, &path(&blob)).unwrap(), layer);
    assert_eq!(whole(&cache, &path(&small)).unwrap(), b"small");
    assert_eq!(files(&cache), (2, 0));
}

#[test]
fn a_part_of_what_is_wrong_is_not_given_as_good_either() {
    let fake = Fake::start();
    let cache = cache_of(&fake.url, "");
    let (layer, range) = (layer(3), "Range: bytes=1000-200999");
    let (_, blob) = fake.image("a", "1", &layer);
    let path = format!("/v2/a/blobs/{blob}");
    let part = || {
        let output = Command::new("curl")
            .args(["--silent", "--fail", "--noproxy", "*", "--max-time", "60"])
            .args(["--header", range])
            .arg(format!("http://{}{path}", cache.address))
            .output()
            .unwrap();
        output.status.success().then_some(output.stdout)
    };
    fake.behave(Manner::Wrong);
    assert_eq!(part(), None);
    eventually(|| files(&cache) == (0, 0));
    fake.behave(Manner::Whole);
    for _ in 0..2 {
        assert!(part().unwrap() == layer[1000..201_000]);
    }
}

#[test]
fn many_share_one_download_and_get_it_while_it_comes() {
    let fake = Fake::start();
    let cache = cache_of(&fake.url, "");
    let layer = layer(4);
    let (_, blob) = fake.image("a", "1", &layer);
    fake.behave(Manner::Gated);
    let path = format!("/v2/a/blobs/{blob}");
    let mut clients: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut client = TcpStream::connect(&cache.address).unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            client.write_all(ask.as_bytes()).unwrap();
            client
        })
        .collect();
    // Half of it comes though the upstream has not sent the other half.
    let mut begun = vec![0; LARGE / 2];
    for client in &mut clients {
        client.read_exact(&mut begun).unwrap();
    }
    // Who began it goes; nobody is the worse for it.
    clients.remove(0);
    fake.open_gate();
    for mut client in clients {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        let length = LARGE / 2;
        assert!(rest[rest.len() - length..] == layer[length..]);
    }
    assert_eq!(fake.count(&format!("GET {path}")), 1);
    assert_eq!(files(&cache), (1, 0));
}

#[test]
fn a_download_that_nobody_waits_for_is_kept_and_one_that_hangs_ends_with_the_cache() {
    let fake = Fake::start();
    let cache = cache_of(&fake.url, "");
    fake.behave(Manner::Gated);
    let ask = |digest: &str| {
        let mut client = TcpStream::connect(&cache.address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let ask = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.write_all(ask.as_bytes()).unwrap();
        client.read_exact(&mut [0; 1000]).unwrap();
    };
    let (_, blob) = fake.image("a", "1", &layer(5));
    ask(&blob);
    fake.open_gate();
    eventually(|| files(&cache) == (1, 0));
    assert_eq!(fake.count(&format!("GET /v2/a/blobs/{blob}")), 1);

    let hanging = Fake::start();
    let patient = Served::with(&format!(
        "[cache]\nupstream = \"{}\"\ntimeout = \"9h\"",
        hanging.url
    ));
    hanging.behave(Manner::Gated);
    let (_, blob) = hanging.image("a", "1", &layer(6));
    let mut client = TcpStream::connect(&patient.address).unwrap();
    let ask = format!("GET /v2/a/blobs/{blob} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(ask.as_bytes()).unwrap();
    client.read_exact(&mut [0; 1000]).unwrap();
    drop(client);
    // Waits for what is at work, and would for nine hours.
    drop(patient);
}

#[test]
fn who_may_not_read_makes_nobody_ask() {
    let fake = Fake::start();
    fake.image("ann/x", "1", b"layer");
    let auth = "[auth]\nhtpasswd = \"@/htpasswd\"\nusers_may = \"own\"";
    let cache = cache_of(&fake.url, auth);
    let path = "/v2/ann/x/manifests/1";
    cache.curl(path, &[]).refused(401, "UNAUTHORIZED");
    cache
        .curl(path, &["--user", "bob:bob"])
        .refused(403, "DENIED");
    assert_eq!(fake.asked(), Vec::<String>::new());
    assert_eq!(cache.curl(path, &["--user", "ann:nna"]).status, 200);
    // What is here now is no more theirs than before.
    cache
        .curl(path, &["--user", "bob:bob"])
        .refused(403, "DENIED");
}

#[test]
fn what_nobody_uses_goes_and_comes_again() {
    let fake = Fake::start();
    let (_, blob) = fake.image("a", "1", &layer(7));
    let cache = cache_of(&fake.url, "expire = \"2s\"\n[collect]\nevery = \"100ms\"");
    let path = format!("/v2/a/blobs/{blob}");
    for _ in 0..2 {
        assert_eq!(cache.curl("/v2/a/manifests/1", &[]).status, 200);
        assert!(whole(&cache, &path).is_some());
        eventually(|| files(&cache) == (0, 0));
    }
    assert_eq!(fake.count(&format!("GET {path}")), 2);
}

#[test]
fn what_was_pushed_here_stays_what_it_is() {
    let fake = Fake::start();
    fake.image("mine", "1", b"theirs");
    let cache = cache_of(&fake.url, "");
    let manifest = br#"{"schemaVersion":2,"manifests":[]}"#;
    let new = NewManifest {
        bytes: manifest,
        digest: hull_images::Digest::of(manifest).into(),
        media_type: OCI_MANIFEST,
        tags: &["1".parse().unwrap()],
        blobs: Vec::new(),
        optional: Vec::new(),
        manifests: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: None,
        pusher: None,
    };
    let repositories = Repositories::new(&cache.store);
    let name = "mine".parse().unwrap();
    repositories.put_manifest(&name, &new, None).unwrap();
    assert_eq!(cache.curl("/v2/mine/manifests/1", &[]).body, manifest);
    let blob = format!("/v2/mine/blobs/{}", sha256(b"theirs"));
    for flags in [&[][..], &["--head"]] {
        assert_eq!(cache.curl(&blob, flags).status, 404);
    }
    assert_eq!(fake.asked(), Vec::<String>::new());
    let tag = ManifestKey::Tag("1".parse().unwrap());
    assert!(repositories.manifest(&name, &tag).is_ok());
}

#[test]
fn what_is_no_cache_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = hull_images::Store::open(folder.path(), hull_images::Options::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = |config: &str| {
        let mut config: Config = toml::from_str(config).unwrap();
        config.listen = Some("127.0.0.1:0".parse().unwrap());
        let service = runtime.block_on(Service::start(&store, &config));
        service.map(|_| ()).unwrap_err().to_string()
    };
    let plain = start("[cache]\nupstream = \"http://registry.invalid\"");
    assert!(plain.contains("without TLS"), "{plain}");
    let no_address = start("[cache]\nupstream = \"registry.invalid\"");
    assert!(no_address.contains("is not http"), "{no_address}");
    let quota = start("[cache]\nupstream = \"https://x.invalid\"\n[quota]\n\"**\" = \"1GiB\"");
    assert!(quota.contains("no quota"), "{quota}");
    let nosuch = start("[cache]\nupstream = \"https://x.invalid\"\ncredentials = \"/nosuch\"");
    assert!(nosuch.contains("cannot read /nosuch"), "{nosuch}");
}
