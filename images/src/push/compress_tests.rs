use std::collections::BTreeSet;

use super::*;
use crate::config::RunConfig;
use crate::digest::ImageId;
use crate::import::Import;
use crate::push::Push;
use crate::reference::Reference;
use crate::remote::Credentials;
use crate::remote::fake::hasty;
use crate::remote::peer::{Guard, Peer};
use crate::samples::{SampleImage, gzip, layer};
use crate::store::{Options, Store};
use crate::store_tests::verify;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    (folder, store)
}

/// Pushes, and tells what was said of layers; cancels when a layer begins to be compressed if told
/// so.
fn push(store: &Store, name: &str, cancelled: bool) -> Result<Vec<String>, PushError> {
    let (lines, cancel) = (Mutex::new(Vec::new()), Cancel::default());
    let audience = |transfer: Transfer| {
        if let Transfer::Up { state, .. } = transfer {
            match state {
                Up::Compressing { .. } if cancelled => cancel.cancel(),
                Up::Compressing { .. } | Up::Pushing { .. } | Up::Preparing => {}
                state => lines.lock().unwrap().push(format!("{state:?}")),
            }
        }
    };
    let push = Push {
        name: name.parse().unwrap(),
        all: false,
        platform: None,
        credentials: Credentials::default(),
    };
    store.push(&hasty(), &push, (&audience, &cancel))?;
    Ok(lines.into_inner().unwrap())
}

/// A layer that takes more than one read, and does not get much smaller.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let words = (0..100_000).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        format!("{:x}", state >> 16)
    });
    layer("noise", &words.collect::<String>())
}

fn import(store: &Store, name: &str, tar: &[u8]) -> ImageId {
    let import = Import {
        name: Some(name.parse().unwrap()),
        ..Import::default()
    };
    store.import(tar, &import).unwrap()
}

/// The kinds and digests of an image's layers.
fn layers(store: &Store, id: &ImageId) -> Vec<(String, Digest)> {
    let manifest = store.image(id).unwrap().manifest;
    let manifest: crate::manifest::Manifest =
        serde_json::from_slice(&store.inner.blob_bytes(&manifest).unwrap()).unwrap();
    let layers = manifest.layers.into_iter();
    layers
        .map(|layer| (layer.media_type, layer.digest))
        .collect()
}

#[test]
fn a_plain_layer_is_compressed_once_for_good() {
    let (peer, (_folder, store)) = (Peer::start(Guard::Open), store());
    let tar = noise();
    let names = ["a/one:1", "b/two:1"].map(|name| format!("{}/{name}", peer.host()));
    let id = import(&store, &names[0], &tar);
    assert_eq!(layers(&store, &id)[0].1, Digest::of(&tar));
    assert_eq!(push(&store, &names[0], false).unwrap(), ["Pushed"]);
    let sent = layers(&store, &id);
    assert_eq!(
        sent[0].0,
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    );
    let mut plain = Vec::new();
    let blob = File::open(store.inner.layout.blob(&sent[0].1)).unwrap();
    crate::decompress(blob)
        .unwrap()
        .read_to_end(&mut plain)
        .unwrap();
    assert!(plain == tar);
    assert!(
        !store.inner.layout.blob(&Digest::of(&tar)).exists(),
        "it has given way"
    );
    verify(&store);
    assert_eq!(push(&store, &names[0], false).unwrap(), ["AlreadyExists"]);

    // The same layer in another store is the same blob there.
    let (_other, other) = self::store();
    let again = import(&other, &names[0], &tar);
    assert_eq!(push(&other, &names[0], false).unwrap(), ["AlreadyExists"]);
    assert_eq!(layers(&other, &again), sent);

    // And where it is under another name it is mounted.
    store
        .tag(&id, &names[1].parse::<Reference>().unwrap())
        .unwrap();
    assert_eq!(
        push(&store, &names[1], false).unwrap(),
        ["Mounted(\"a/one\")"]
    );
    verify(&store);
}

#[test]
fn images_on_top_of_it_find_it_compressed() {
    let (peer, (_folder, store)) = (Peer::start(Guard::Open), store());
    let names = ["a:1", "b:1"].map(|name| format!("{}/{name}", peer.host()));
    let id = import(&store, &names[0], &layer("base", "base"));
    let commit = crate::commit::Commit {
        name: Some(names[1].parse().unwrap()),
        config: RunConfig::default(),
        ..Default::default()
    };
    let child = store
        .commit(&id, &layer("more", "more")[..], &commit)
        .unwrap();
    push(&store, &names[0], false).unwrap();
    assert_eq!(
        layers(&store, &child)[0].1,
        Digest::of(&layer("base", "base")),
        "it still needs it"
    );
    verify(&store);
    let mut said = push(&store, &names[1], false).unwrap();
    said.sort();
    assert_eq!(said, ["Mounted(\"a\")", "Pushed"]);
    assert_eq!(layers(&store, &child)[0], layers(&store, &id)[0]);
    verify(&store);
}

#[test]
fn what_came_compressed_or_is_known_to_a_registry_stays_as_it_is() {
    let (peer, (_folder, store)) = (Peer::start(Guard::Open), store());
    let host = peer.host();
    let name = format!("{host}/packed:1");
    let id = import(&store, &name, &gzip(&layer("x", "x")));
    let before = store.image(&id).unwrap().manifest;
    push(&store, &name, false).unwrap();
    assert_eq!(store.image(&id).unwrap().manifest, before);

    let name = format!("{host}/plain:1");
    let id = import(&store, &name, &layer("y", "y"));
    let known = Digest::of(b"as another knows it");
    let known: Reference = format!("elsewhere/plain@{known}").parse().unwrap();
    store.tag(&id, &known).unwrap();
    let before = store.image(&id).unwrap().manifest;
    push(&store, &name, false).unwrap();
    assert_eq!(store.image(&id).unwrap().manifest, before);
    verify(&store);
}

#[test]
fn a_push_that_ends_early_leaves_nothing_half_done() {
    let (peer, (_folder, store)) = (Peer::start(Guard::Open), store());
    let name = format!("{}/a:1", peer.host());
    let id = import(&store, &name, &noise());
    let files = |store: &Store| -> BTreeSet<_> {
        let blobs = std::fs::read_dir(store.inner.layout.blobs()).unwrap();
        blobs.map(|entry| entry.unwrap().file_name()).collect()
    };
    let before = (layers(&store, &id), files(&store));
    let error = push(&store, &name, true).unwrap_err();
    assert!(
        matches!(error, PushError::Remote(RemoteError::Cancelled)),
        "{error:?}"
    );
    assert_eq!((layers(&store, &id), files(&store)), before);
    assert_eq!(
        std::fs::read_dir(store.inner.layout.tmp()).unwrap().count(),
        0
    );
    verify(&store);
    assert_eq!(push(&store, &name, false).unwrap(), ["Pushed"]);
    verify(&store);
}

#[test]
fn a_layer_that_is_not_what_it_was_is_not_sent() {
    let (peer, (_folder, store)) = (Peer::start(Guard::Open), store());
    let name = format!("{}/a:1", peer.host());
    let tar = layer("x", "good");
    import(&store, &name, &tar);
    let path = store.inner.layout.blob(&Digest::of(&tar));
    std::fs::write(path, layer("x", "evil")).unwrap();
    let error = push(&store, &name, false).unwrap_err();
    assert!(
        matches!(error, PushError::Damaged(digest) if digest == Digest::of(&tar)),
        "{error:?}"
    );
}

#[test]
fn only_what_was_plain_changes_in_a_manifest() {
    let (plain, packed) = (Digest::of(b"plain"), Digest::of(b"packed"));
    let of = |kind: &str, digest: &Digest| json!({"mediaType": kind, "digest": digest, "size": 1, "x": 2});
    let document =
        |layers: &[Value]| json!({"schemaVersion": 2, "layers": layers, "annotations": {"k": "v"}});
    let foreign = of(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        &packed,
    );
    let before = document(&[
        foreign.clone(),
        of("application/vnd.docker.image.rootfs.diff.tar", &plain),
        of("application/vnd.oci.image.layer.v1.tar", &plain),
    ]);
    let blob = Blob {
        digest: packed,
        size: 1,
    };
    let after = with_layers(
        before.to_string().as_bytes(),
        &BTreeMap::from([(plain, blob)]),
    );
    let after: Value = serde_json::from_slice(&after.unwrap()).unwrap();
    let expected = document(&[
        foreign,
        of("application/vnd.docker.image.rootfs.diff.tar.gzip", &packed),
        of("application/vnd.oci.image.layer.v1.tar+gzip", &packed),
    ]);
    assert_eq!(after, expected);
}

#[test]
fn an_archive_of_docker_s_goes_compressed_too() {
    let (peer, (_folder, store)) = (Peer::start(Guard::Open), store());
    let name = format!("{}/a:1", peer.host());
    let image = SampleImage::new(&["same", "other"]);
    let archive = image.docker(&[&name]).end();
    let id = store.load(&archive[..], &mut |_| {}).unwrap()[0].image;
    push(&store, &name, false).unwrap();
    assert!(
        layers(&store, &id)
            .iter()
            .all(|(kind, _)| kind.ends_with(".tar.gzip"))
    );
    verify(&store);
}
