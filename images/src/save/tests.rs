use tempfile::TempDir;

use super::*;
use crate::digest::Digest;
use crate::remove::RemoveOptions;
use crate::samples::SampleImage;
use crate::store::Options;
use crate::store_tests::{files, verify};

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    (folder, store)
}

fn load(store: &Store, archive: &[u8]) -> Vec<String> {
    let loaded = store.load(archive, &mut |_| {}).unwrap();
    let name = |loaded: &crate::load::Loaded| match &loaded.name {
        Some(name) => name.familiar(),
        None => loaded.image.to_string(),
    };
    loaded.iter().map(name).collect()
}

fn saved(store: &Store, names: &[&str]) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut out = Vec::new();
    store.pack(&names, None).unwrap().write(&mut out).unwrap();
    out
}

#[test]
fn what_is_saved_loads_with_its_names() {
    let (_folder, store) = store();
    let one = SampleImage::new(&["base", "one"]);
    let two = SampleImage::new(&["base", "two"]);
    load(&store, &one.docker(&["x:1", "x:2", "host:5000/y"]).end());
    load(&store, &two.oci("two:latest").end());
    for (names, expected) in [
        (&["x"][..], &["x:1", "x:2"][..]),
        (&["x:1", "two"], &["x:1", "two:latest"]),
        (
            &["x:1", "x:1", "host:5000/y"],
            &["x:1", "host:5000/y:latest"],
        ),
        (&[&one.id().short()[..]], &[&one.id().to_string()[..]]),
        (&[&one.id().to_string()[..], "x:2"], &["x:2"]),
    ] {
        let archive = saved(&store, names);
        assert_eq!(archive, saved(&store, names), "the same bytes twice");
        let (_other, other) = self::store();
        assert_eq!(load(&other, &archive), expected, "{names:?}");
        verify(&other);
        let again: Vec<&str> = expected.to_vec();
        assert_eq!(saved(&other, &again), archive, "{names:?}");
    }
    verify(&store);
}

#[test]
fn what_is_not_there_is_said_before_anything_is_written() {
    let (_folder, store) = store();
    let image = SampleImage::new(&["one"]);
    load(&store, &image.docker(&["x"]).end());
    let refused = |names: &[&str], platform: Option<&str>| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let platform = platform.map(|text| text.parse().unwrap());
        let packed = store.pack(&names, platform.as_ref());
        packed.unwrap_err().to_string()
    };
    assert_eq!(refused(&["x", "nosuch"], None), "No such image: nosuch");
    assert_eq!(refused(&["x:2"], None), "No such image: x:2");
    assert_eq!(
        refused(&["X"], None),
        "invalid reference format: repository name (library/X) must be lowercase"
    );
    assert_eq!(
        refused(&["x"], Some("linux/s390x")),
        "image with reference x was found but does not provide the specified platform (linux/s390x)"
    );
    verify(&store);
}

#[test]
fn an_image_that_is_removed_meanwhile_is_saved_all_the_same() {
    let (_folder, store) = store();
    let image = SampleImage::new(&["base", "one"]);
    load(&store, &image.oci("x:1").end());
    let expected = saved(&store, &["x:1"]);
    let saving = store.pack(&["x:1".to_owned()], None).unwrap();
    let options = RemoveOptions {
        force: true,
        prune: true,
    };
    store.remove("x:1", options, &[]).unwrap();
    store.collect().unwrap();
    let mut out = Vec::new();
    saving.write(&mut out).unwrap();
    assert!(out == expected);
    drop(saving);
    assert_eq!(files(&store), Vec::<String>::new());
}

#[test]
fn a_damaged_blob_breaks_the_archive_off() {
    let (_folder, store) = store();
    let image = SampleImage::new(&["one"]);
    load(&store, &image.docker(&["x"]).end());
    let blob = store.inner.layout.blob(&Digest::of(&image.layers[0]));
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let saving = store.pack(&["x".to_owned()], None).unwrap();
    let error = saving.write(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, SaveError::Layer { .. }), "{error}");
}
