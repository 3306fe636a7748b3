use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use hull_layer::Layer;
use serde_json::json;
use tempfile::TempDir;

use crate::digest::{Digest, ImageId};
use crate::fault::armed::arm;
use crate::import::Import;
use crate::remove::{RemoveOptions, Removed, Usage};
use crate::samples::{SampleImage, layer};
use crate::store::{Options, Store};

const PLAIN: RemoveOptions = RemoveOptions {
    force: false,
    prune: true,
};
const FORCE: RemoveOptions = RemoveOptions {
    force: true,
    prune: true,
};

/// Every file of the store but the database, below its folder.
pub(crate) fn files(store: &Store) -> Vec<String> {
    let layout = &store.inner.layout;
    let mut found = Vec::new();
    for folder in [layout.blobs(), layout.layers(), layout.tmp()] {
        for entry in fs::read_dir(folder).unwrap() {
            found.push(entry.unwrap().file_name().into_string().unwrap());
        }
    }
    found.sort();
    found
}

/// All that images refer to is there and sound, and nothing else is.
pub(crate) fn verify(store: &Store) {
    let layout = &store.inner.layout;
    let mut expected = BTreeSet::new();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    for image in store.list().unwrap() {
        let manifest = fs::read(layout.blob(&image.manifest)).unwrap();
        let manifest: crate::manifest::Manifest = serde_json::from_slice(&manifest).unwrap();
        let mut blobs = vec![image.manifest, image.id.0];
        blobs.extend(manifest.layers.iter().map(|layer| layer.digest));
        for blob in blobs {
            let path = layout.blob(&blob);
            assert_eq!(Digest::of(&fs::read(&path).unwrap()), blob);
            expected.insert(name(&path));
        }
        for layer in &image.layers {
            let packed = Layer::open(File::open(&layer.path).unwrap()).unwrap();
            packed.verify().unwrap();
            expected.insert(name(&layer.path));
        }
    }
    let found: BTreeSet<String> = files(store).into_iter().collect();
    assert_eq!(found, expected);
}

fn open(folder: &TempDir) -> Store {
    Store::open(folder.path(), Options::default()).unwrap()
}

/// A store with these images: names of layers, then tags.
fn with(images: &[(&[&str], &[&str])]) -> (TempDir, Store) {
    // In memory where there is such a place: what is tested is order, not the disk.
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let store = open(&folder);
    for (layers, tags) in images {
        let archive = SampleImage::new(layers).docker(tags).end();
        store.load(&archive[..], &mut |_| {}).unwrap();
    }
    (folder, store)
}

fn id(layers: &[&str]) -> ImageId {
    ImageId(SampleImage::new(layers).id())
}

#[test]
fn images_are_found_by_name_and_id() {
    let (_folder, store) = with(&[(&["a"], &["x", "y:1"]), (&["b"], &["host:5000/z"])]);
    let (a, b) = (id(&["a"]), id(&["b"]));
    let hex = a.digest().hex();
    let finds = |text: &str, id: ImageId| {
        assert_eq!(
            store.find(text).map_err(|e| e.to_string()),
            Ok(id),
            "{text:?}"
        );
    };
    finds("x", a);
    finds("x:latest", a);
    finds("docker.io/library/x", a);
    finds("y:1", a);
    finds("host:5000/z", b);
    finds(&hex, a);
    finds(&hex[..12], a);
    finds(&a.to_string(), a);
    finds(&a.to_string()[..20], a);
    let misses = |text: &str, message: &str| {
        let found = store.find(text).map_err(|error| error.to_string());
        assert_eq!(found, Err(message.to_owned()), "{text:?}");
    };
    misses("y", "No such image: y:latest");
    misses("nosuch:1", "No such image: nosuch:1");
    misses("zzz", "No such image: zzz:latest");
    misses(
        "X",
        "invalid reference format: repository name (library/X) must be lowercase",
    );
    misses("", "invalid reference format");
    let absent = Digest::of(b"absent");
    misses(&absent.hex(), &format!("No such image: {absent}"));
    // A name wins over the start of an id.
    store.tag(&b, &hex[..4].parse().unwrap()).unwrap();
    finds(&hex[..4], b);
}

#[test]
fn an_id_s_start_must_be_one_image_s() {
    let (_folder, store) = with(&[]);
    let mut starts = BTreeSet::new();
    let mut twice = None;
    for n in 0..40 {
        let image = SampleImage::new(&["a"]).with("author", json!(n.to_string()));
        store
            .load(&image.docker(&[]).end()[..], &mut |_| {})
            .unwrap();
        let start = image.id().hex()[..1].to_owned();
        if !starts.insert(start.clone()) {
            twice = Some(start);
            break;
        }
    }
    let start = twice.expect("sixteen digits cannot start forty ids");
    let error = store.find(&start).unwrap_err();
    assert_eq!(error.to_string(), format!("No such image: {start}:latest"));
}

/// What was removed, as Docker lists it.
fn removed(
    store: &Store,
    text: &str,
    options: RemoveOptions,
    usages: &[Usage],
) -> Result<String, String> {
    let removed = store.remove(text, options, usages);
    verify(store);
    let removed = removed.map_err(|error| error.to_string())?;
    let lines = removed.iter().map(|removed| match removed {
        Removed::Untagged(name) => format!("-{}", name.familiar()),
        Removed::Deleted(id) => format!("image {}", id.short()),
        Removed::DeletedLayer(_) => "layer".to_owned(),
    });
    Ok(lines.collect::<Vec<_>>().join(" "))
}

#[test]
fn a_name_goes_first_and_the_image_with_its_last() {
    let (_folder, store) = with(&[(&["base", "a"], &["x", "y"]), (&["base"], &["b"])]);
    let a = id(&["base", "a"]);
    assert_eq!(removed(&store, "x", PLAIN, &[]), Ok("-x:latest".into()));
    let rest = format!("-y:latest image {} layer", a.short());
    assert_eq!(removed(&store, "y", PLAIN, &[]), Ok(rest));
    assert_eq!(store.find("b").unwrap(), id(&["base"]));
    let base = format!("-b:latest image {} layer", id(&["base"]).short());
    assert_eq!(removed(&store, "b", PLAIN, &[]), Ok(base));
    assert_eq!(files(&store), Vec::<String>::new());
}

#[test]
fn an_id_goes_with_its_only_name() {
    let (_folder, store) = with(&[(&["a"], &["x"]), (&["b"], &["y", "z:1"])]);
    let (a, b) = (id(&["a"]), id(&["b"]));
    let all = format!("-x:latest image {} layer", a.short());
    assert_eq!(removed(&store, &a.short(), PLAIN, &[]), Ok(all));
    let several = format!(
        "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
        b.short()
    );
    assert_eq!(removed(&store, &b.short(), PLAIN, &[]), Err(several));
    let forced = format!("-y:latest -z:1 image {} layer", b.short());
    assert_eq!(removed(&store, &b.to_string(), FORCE, &[]), Ok(forced));
}

#[test]
fn what_containers_use_stays() {
    let (_folder, store) = with(&[(&["a"], &["x"])]);
    let a = id(&["a"]);
    let short = a.short();
    let usage = |running| Usage {
        image: a,
        container: "0123456789abcdef".into(),
        running,
    };
    let stopped = &[usage(false)][..];
    let name = format!(
        "conflict: unable to remove repository reference \"x\" (must force) - container 0123456789ab is using its referenced image {short}"
    );
    assert_eq!(removed(&store, "x", PLAIN, stopped), Err(name));
    let by_id = format!(
        "conflict: unable to delete {short} (must be forced) - image is being used by stopped container 0123456789ab"
    );
    assert_eq!(removed(&store, &short, PLAIN, stopped), Err(by_id));
    let running = format!(
        "conflict: unable to delete {short} (cannot be forced) - image is being used by running container 0123456789ab"
    );
    assert_eq!(removed(&store, &short, FORCE, &[usage(true)]), Err(running));
    let forced = format!("-x:latest image {short} layer");
    assert_eq!(removed(&store, "x", FORCE, stopped), Ok(forced));
}

#[test]
fn a_root_file_system_is_imported() {
    let (_folder, store) = with(&[]);
    let tar = layer("etc/hello", "hello");
    let import = Import {
        name: Some("mine:1".parse().unwrap()),
        message: None,
        changes: vec!["CMD [\"sh\"]".into(), "ENV A=b".into()],
        platform: None,
    };
    for archive in [
        tar.clone(),
        zstd::encode_all(&tar[..], 1).unwrap(),
        bzip2(&tar),
    ] {
        let id = store.import(&archive[..], &import).unwrap();
        verify(&store);
        let image = store.image(&id).unwrap();
        assert_eq!(image.tags[0].familiar(), "mine:1");
        assert_eq!(image.config.rootfs.diff_ids[0].0, Digest::of(&tar));
        assert_eq!(image.config.history[0].comment, "Imported from -");
        assert_eq!(
            image.config.config.env.as_deref(),
            Some(&["A=b".to_owned()][..])
        );
    }
    let count = store.count().unwrap();
    for cut in [&tar[..700], b"not a tar"] {
        let error = store.import(cut, &import).unwrap_err();
        assert_eq!(error.to_string(), "unexpected EOF");
    }
    assert_eq!(store.count().unwrap(), count);
    verify(&store);
}

#[test]
fn what_is_imported_has_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        stream_bytes: 100_000,
        ..Options::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    let import = |archive: &mut dyn std::io::Read| {
        let made = store.import(archive, &Import::default());
        made.map_err(|error| error.to_string())
    };
    let endless = import(&mut std::io::repeat(0));
    assert_eq!(
        endless,
        Err("the archive is longer than 100000 bytes".into())
    );
    let bomb = crate::samples::gzip(&layer("big", &"0".repeat(1 << 20)));
    let bomb = import(&mut &bomb[..]);
    assert_eq!(bomb, Err("decompresses to more than 100000 bytes".into()));
    assert_eq!(files(&store), Vec::<String>::new());
}

fn bzip2(plain: &[u8]) -> Vec<u8> {
    use std::io::Write;

    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

#[test]
fn parallel_work_on_the_same_layers_does_not_collide() {
    let (_folder, store) = with(&[(&["base"], &["kept"])]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..6 {
                    let name = format!("t{thread}");
                    let top = format!("top{}", (thread + round) % 3);
                    let archive = SampleImage::new(&["base", "middle", &top]);
                    let archive = match round % 2 {
                        0 => archive.docker(&[&name]).end(),
                        _ => archive.oci(&name).end(),
                    };
                    let loaded = store.load(&archive[..], &mut |_| {}).unwrap();
                    store.collect().unwrap();
                    // Another thread may have removed the image that this one named.
                    let _lost = store.remove(&loaded[0].image.to_string(), FORCE, &[]);
                }
            });
        }
    });
    verify(&store);
    assert_eq!(store.find("kept").unwrap(), id(&["base"]));
}

#[test]
fn a_lease_of_another_process_is_left_alone() {
    let (folder, store) = with(&[]);
    let lease = crate::lease::Lease::new(&store.inner).unwrap();
    let digest = lease.put(b"not referred to yet").unwrap();
    let other = open(&folder);
    assert!(other.inner.layout.blob(&digest).exists());
    drop(lease);
    assert_eq!(files(&store), Vec::<String>::new());
}

const CRASH: &str = "HULL_IMAGES_TEST_CRASH";

/// What the process that is to be killed does.
fn work(store: &Store) {
    let image = SampleImage::new(&["base", "new"]);
    store
        .load(&image.docker(&["new", "other"]).end()[..], &mut |_| {})
        .unwrap();
    let tar = layer("imported", "imported");
    let import = Import {
        name: Some("imported".parse().unwrap()),
        ..Import::default()
    };
    store.import(&tar[..], &import).unwrap();
    store.remove("old", PLAIN, &[]).unwrap();
    store.remove("other", PLAIN, &[]).unwrap();
    store.remove("new", PLAIN, &[]).unwrap();
}

/// Kills a process that works on a store at each point where it could leave something half done.
#[test]
fn a_crash_at_any_point_loses_nothing_and_leaves_nothing() {
    if let Ok(order) = std::env::var(CRASH) {
        let (count, folder) = order.split_once(' ').unwrap();
        let store = Store::open(Path::new(folder), Options::default()).unwrap();
        arm(count.parse().unwrap());
        work(&store);
        return;
    }
    let mut point = 0;
    loop {
        point += 1;
        let (folder, store) = with(&[(&["base", "kept"], &["kept"]), (&["base", "old"], &["old"])]);
        drop(store);
        let status = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store_tests::a_crash_at_any_point_loses_nothing_and_leaves_nothing",
            ])
            .env(CRASH, format!("{point} {}", folder.path().display()))
            .output()
            .unwrap()
            .status;
        let store = open(&folder);
        verify(&store);
        assert_eq!(store.find("kept").unwrap(), id(&["base", "kept"]));
        if status.success() {
            break;
        }
        // The same work can be done again.
        let again = SampleImage::new(&["base", "new"]).docker(&["new"]).end();
        store.load(&again[..], &mut |_| {}).unwrap();
        verify(&store);
    }
    assert!(point > 30, "only {point} points");
}
