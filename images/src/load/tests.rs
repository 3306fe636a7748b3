use serde_json::json;
use tempfile::TempDir;

use crate::config::Platform;
use crate::digest::Digest;
use crate::samples::{SampleImage, blob, gzip, index, layer};
use crate::store::{Options, Store};
use crate::store_tests::{files, verify};
use crate::tar::sample::Sample;

use super::*;

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    (folder, store)
}

fn load_into(store: &Store, archive: &[u8]) -> Result<Vec<String>, String> {
    let loaded = store
        .load(archive, &mut |_| {})
        .map_err(|e| e.to_string())?;
    let shown = loaded.iter().map(|loaded| match &loaded.name {
        Some(name) => name.familiar(),
        None => loaded.image.to_string(),
    });
    Ok(shown.collect())
}

/// The archive loads as these names, or ids, and all of it is sound.
fn loads(archive: &[u8], expected: &[&str]) -> (TempDir, Store) {
    let (folder, store) = store();
    assert_eq!(load_into(&store, archive).unwrap(), expected);
    verify(&store);
    (folder, store)
}

/// The archive is refused with this text, and nothing is left of it.
fn refuses(archive: &[u8], message: &str) {
    let (_folder, store) = store();
    assert_eq!(load_into(&store, archive), Err(message.to_owned()));
    assert_eq!(files(&store), Vec::<String>::new());
    assert_eq!(store.count().unwrap(), 0);
}

#[test]
fn a_docker_archive_loads() {
    let image = SampleImage::new(&["base", "top"]);
    let archive = image.docker(&["x", "host:5000/y:1"]).end();
    let (_folder, store) = loads(&archive, &["x:latest", "host:5000/y:1"]);
    let id = store.find("x").unwrap();
    assert_eq!(id.0, image.id());
    let found = store.image(&id).unwrap();
    assert_eq!(
        found.layers.last().unwrap().diff.0,
        Digest::of(&image.layers[1])
    );
    assert_eq!(found.size, 7);
    assert_eq!(found.layers[0].size, 4);
    let untagged = image.docker(&[]).end();
    loads(&untagged, &[&image.id().to_string()]);
}

#[test]
fn the_list_may_come_last_and_layers_may_be_links() {
    let image = SampleImage::new(&["one"]);
    let config = image.config_bytes();
    let name = format!("{}.json", Digest::of(&config).hex());
    let list = json!([{"Config": name, "RepoTags": ["x:1"], "Layers": ["b/layer.tar"]}]);
    let sample = Sample::default()
        .directory("./a/")
        .file("./a/layer.tar", &image.layers[0])
        .directory("./b/")
        .entry(b'2', "./b/layer.tar", "../a/layer.tar", b"")
        .file(&name, &config)
        .file("manifest.json", list.to_string().as_bytes());
    loads(&sample.end(), &["x:1"]);
}

#[test]
fn the_whole_archive_may_be_compressed() {
    let archive = SampleImage::new(&["one"]).docker(&["x"]).end();
    loads(&gzip(&archive), &["x:latest"]);
    loads(&zstd::encode_all(&archive[..], 1).unwrap(), &["x:latest"]);
}

#[test]
fn an_oci_layout_loads() {
    let image = SampleImage::new(&["one", "two"]);
    let archive = image.oci("docker.io/library/x:1").end();
    let (_folder, store) = loads(&archive, &["x:1"]);
    assert_eq!(store.find("x:1").unwrap().0, image.id());
    let reference_name = |text: &str| {
        let (sample, mut descriptor) = image.oci_blobs(Sample::default());
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": text});
        index(sample, &[descriptor]).end()
    };
    loads(&reference_name("x:2"), &["x:2"]);
    loads(&reference_name("latest"), &[&image.id().to_string()]);
}

#[test]
fn an_index_gives_the_image_of_this_machine_or_what_is_there() {
    let other = if cfg!(target_arch = "x86_64") {
        "arm64"
    } else {
        "amd64"
    };
    let host = Platform::host().architecture;
    let foreign = SampleImage::new(&["foreign"]).with("architecture", json!(other));
    let native = SampleImage::new(&["native"]).with("architecture", json!(host));
    let nested = |keep_native: bool| {
        let (sample, mut first) = foreign.oci_blobs(Sample::default());
        first["platform"] = json!({"architecture": other, "os": "linux"});
        let mut second = json!({"digest": Digest::of(b"x"), "size": 1});
        let mut sample = sample;
        if keep_native {
            (sample, second) = native.oci_blobs(sample);
        }
        second["mediaType"] = json!("application/vnd.oci.image.manifest.v1+json");
        second["platform"] = json!({"architecture": host, "os": "linux"});
        let attestation = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Digest::of(b"none"), "size": 1,
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        });
        let list = json!({"schemaVersion": 2, "manifests": [attestation, first, second]});
        let list = list.to_string().into_bytes();
        let sample = blob(sample, &list);
        let entry = json!({
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": Digest::of(&list), "size": list.len(),
            "annotations": {"io.containerd.image.name": "docker.io/library/x:1"},
        });
        index(sample, &[entry]).end()
    };
    let (_folder, store) = loads(&nested(true), &["x:1"]);
    assert_eq!(store.find("x:1").unwrap().0, native.id());
    let (_folder, store) = loads(&nested(false), &["x:1"]);
    let image = store.image(&store.find("x:1").unwrap()).unwrap();
    assert_eq!(image.id.0, foreign.id());
    assert!(!image.config.platform.runs_on(&Platform::host()));
}

#[test]
fn a_hybrid_keeps_the_image_s_own_manifest() {
    let image = SampleImage::new(&["one"]);
    let (sample, descriptor) = image.oci_blobs(Sample::default());
    let path = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let list = json!([{
        "Config": path(&image.config_bytes()), "RepoTags": ["x:1"],
        "Layers": [path(&gzip(&image.layers[0]))],
    }]);
    let sample = index(sample, std::slice::from_ref(&descriptor));
    let archive = sample
        .file("manifest.json", list.to_string().as_bytes())
        .end();
    let (_folder, store) = loads(&archive, &["x:1"]);
    let found = store.image(&store.find("x:1").unwrap()).unwrap();
    assert_eq!(json!(found.manifest), descriptor["digest"]);
}

#[test]
fn what_images_share_is_there_once() {
    let (_folder, store) = store();
    let one = SampleImage::new(&["base", "one"]);
    let two = SampleImage::new(&["base", "two"]);
    load_into(&store, &one.docker(&["one"]).end()).unwrap();
    load_into(&store, &two.oci("two:latest").end()).unwrap();
    verify(&store);
    let layers = files(&store)
        .into_iter()
        .filter(|name| name.ends_with(".layer"));
    assert_eq!(layers.count(), 3);
    let image = store.image(&store.find("two").unwrap()).unwrap();
    assert_eq!((image.size, image.shared), (7, 4));
}

#[test]
fn a_name_moves_to_the_image_that_was_loaded_last() {
    let (_folder, store) = store();
    let old = SampleImage::new(&["old"]);
    load_into(&store, &old.docker(&["x"]).end()).unwrap();
    let archive = SampleImage::new(&["new"]).docker(&["x"]).end();
    let loaded = store.load(&archive[..], &mut |_| {}).unwrap();
    assert_eq!(loaded[0].replaced, Some(ImageId(old.id())));
    assert!(store.image(&ImageId(old.id())).unwrap().is_dangling());
    let again = store.load(&archive[..], &mut |_| {}).unwrap();
    assert_eq!(again[0].replaced, None);
}

#[test]
fn broken_archives_leave_nothing() {
    let image = SampleImage::new(&["one"]);
    let whole = image.docker(&["x"]).end();
    refuses(&whole[..whole.len() / 2], "unexpected EOF");
    refuses(&gzip(&whole)[..200], "unexpected EOF");
    refuses(&[b'?'; 2000], "archive/tar: invalid tar header");
    let no_list = "invalid archive: does not contain a manifest.json";
    refuses(b"", no_list);
    refuses(&layer("etc/passwd", "root"), no_list);
    let list = |text: &str| {
        Sample::default()
            .file("manifest.json", text.as_bytes())
            .end()
    };
    refuses(
        &list("["),
        "invalid archive: manifest.json: EOF while parsing a list at line 1 column 1",
    );
    refuses(
        &list(r#"[{"Config":"c.json","Layers":["l"]}]"#),
        "invalid archive: c.json is missing",
    );
    refuses(
        &image.docker(&["X:y"]).end(),
        "invalid tag \"X:y\": invalid reference format: repository name (library/X) must be lowercase",
    );
}

#[test]
fn what_is_not_what_it_says_is_refused() {
    let image = SampleImage::new(&["one"]);
    let other = layer("other", "other");
    let mut lying = image.clone();
    lying.layers = vec![other.clone()];
    let (expected, found) = (Digest::of(&image.layers[0]), Digest::of(&other));
    refuses(
        &lying.docker(&["x"]).end(),
        &format!("layer {expected} is not what the image says: its digest is {found}"),
    );
    let short = SampleImage::new(&["one", "two"]);
    let mut short = short;
    short.layers.pop();
    refuses(
        &short.docker(&["x"]).end(),
        "invalid manifest, layers length mismatch: expected 2, got 1",
    );
    // A blob under another's name.
    let path = format!("blobs/sha256/{}", image.id().hex());
    let swapped = image.oci("x:1").file(&path, b"{}").end();
    let found = Digest::of(b"{}");
    refuses(
        &swapped,
        &format!("invalid archive: {path} has digest {found}"),
    );
    let artifact = image.with("rootfs", json!({"type": "other", "diff_ids": [expected]}));
    refuses(
        &artifact.docker(&["x"]).end(),
        "invalid image configuration: its root file system is of type \"other\", not layers",
    );
}

#[test]
fn a_layer_that_is_there_is_checked_all_the_same() {
    let (_folder, store) = store();
    let image = SampleImage::new(&["one"]);
    load_into(&store, &image.docker(&["x"]).end()).unwrap();
    let mut lying = image.clone().with("author", json!("other"));
    lying.layers = vec![layer("evil", "evil")];
    load_into(&store, &lying.docker(&["x"]).end()).unwrap_err();
    verify(&store);
    assert_eq!(store.find("x").unwrap().0, image.id());
}

#[test]
fn a_layer_that_swells_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        stream_bytes: 100_000,
        ..Options::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    let mut image = SampleImage::new(&["one"]);
    image.layers = vec![layer("big", &"0".repeat(1 << 20))];
    let diff = Digest::of(&image.layers[0]);
    image.config["rootfs"]["diff_ids"] = json!([diff]);
    let message = format!("layer {diff}: decompresses to more than 100000 bytes");
    assert_eq!(load_into(&store, &image.oci("x:1").end()), Err(message));
    assert_eq!(files(&store), Vec::<String>::new());
}

/// As Docker wrote it before 1.10: layers bottom first, with ids and what made them.
fn legacy(layers: &[(&str, &str)]) -> Sample {
    let mut sample = Sample::default();
    let mut parent = None;
    for (id, command) in layers {
        let mut step = json!({
            "id": id, "created": "2015-01-01T00:00:00Z", "Size": 9, "architecture": "amd64",
            "os": "linux", "container_config": {"Cmd": ["/bin/sh", "-c", command]},
            "config": {"Cmd": [command]},
        });
        if let Some(parent) = parent.replace(*id) {
            step["parent"] = json!(parent);
        }
        sample = sample
            .directory(&format!("{id}/"))
            .file(&format!("{id}/VERSION"), b"1.0")
            .file(&format!("{id}/json"), step.to_string().as_bytes())
            .file(&format!("{id}/layer.tar"), &layer(id, id));
    }
    sample
}

#[test]
fn the_layout_of_before_docker_1_10_loads() {
    let names = r#"{"x":{"1":"bb","2":"aa"},"host:5000/y":{"latest":"bb"}}"#;
    let archive = legacy(&[("aa", "first"), ("bb", "second")])
        .file("repositories", names.as_bytes())
        .end();
    let (_folder, store) = loads(&archive, &["x:2", "host:5000/y:latest", "x:1"]);
    let image = store.image(&store.find("x:1").unwrap()).unwrap();
    let diffs: Vec<_> = image.layers.iter().map(|layer| layer.diff.0).collect();
    assert_eq!(diffs, ["aa", "bb"].map(|id| Digest::of(&layer(id, id))));
    let told = image.config.history.iter().map(|step| &step.created_by[..]);
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["/bin/sh -c first", "/bin/sh -c second"]
    );
    assert_eq!(
        image.config.config.cmd.as_deref(),
        Some(&["second".to_owned()][..])
    );
    assert!(!image.config.other.contains_key("Size"));
    let base = store.image(&store.find("x:2").unwrap()).unwrap();
    assert_eq!(base.layers[0].chain, image.layers[0].chain);
}

#[test]
fn without_names_the_top_of_each_chain_is_an_image() {
    let archive = legacy(&[("aa", "first"), ("bb", "second")]).end();
    let (_folder, store) = store();
    assert_eq!(load_into(&store, &archive).unwrap().len(), 1);
    assert_eq!(store.list().unwrap()[0].layers.len(), 2);
    verify(&store);
}

#[test]
fn hostile_chains_of_the_old_layout_are_refused() {
    let step = |parent: &str| format!(r#"{{"parent":"{parent}"}}"#);
    let names = br#"{"x":{"1":"aa"}}"#;
    let one = |parent: &str| {
        Sample::default()
            .file("aa/json", step(parent).as_bytes())
            .file("aa/layer.tar", &layer("a", "a"))
            .file("repositories", names)
            .end()
    };
    refuses(
        &one("aa"),
        "max depth exceeded: an image has at most 127 layers",
    );
    refuses(
        &one("../../etc"),
        "invalid archive: ../../etc/layer.tar is missing",
    );
    refuses(&one("zz"), "invalid archive: zz/layer.tar is missing");
    let no_json = Sample::default().file("aa/layer.tar", &layer("a", "a"));
    refuses(&no_json.end(), "invalid archive: aa/json is missing");
}

#[test]
fn one_platform_s_images_can_be_asked_for() {
    let arm = SampleImage::new(&["arm"]).with("architecture", json!("arm64"));
    let amd = SampleImage::new(&["amd"]).with("architecture", json!("amd64"));
    let (sample, mut first) = arm.oci_blobs(Sample::default());
    let (sample, mut second) = amd.oci_blobs(sample);
    first["platform"] = json!({"architecture": "arm64", "os": "linux"});
    second["platform"] = json!({"architecture": "amd64", "os": "linux"});
    let list = json!({
        "schemaVersion": 2, "manifests": [second, first],
        "mediaType": "application/vnd.oci.image.index.v1+json",
    });
    let list = list.to_string().into_bytes();
    let entry = json!({
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": Digest::of(&list), "size": list.len(),
    });
    let archive = index(blob(sample, &list), &[entry]).end();
    let load = |platform: &str| {
        let (_folder, store) = store();
        let platform: Platform = platform.parse().unwrap();
        let loaded = store.load_for(Some(&platform), &archive[..], &mut |_| {});
        loaded
            .map(|loaded| loaded[0].image.0)
            .map_err(|error| error.to_string())
    };
    assert_eq!(load("linux/arm64"), Ok(arm.id()));
    assert_eq!(load("linux/amd64"), Ok(amd.id()));
    let message = "requested platform (linux/s390x) not found: the archive has no image for it";
    assert_eq!(load("linux/s390x"), Err(message.to_owned()));
}

#[test]
fn an_archive_that_swells_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        archive_bytes: 100_000,
        ..Options::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    let bomb = Sample::default().file("x", &vec![0; 1 << 20]).end();
    for bomb in [gzip(&bomb), zstd::encode_all(&bomb[..], 1).unwrap()] {
        let message = "decompresses to more than 100000 bytes".to_owned();
        assert_eq!(load_into(&store, &bomb), Err(message));
    }
    assert_eq!(files(&store), Vec::<String>::new());
}
