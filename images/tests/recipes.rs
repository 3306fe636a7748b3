//! The images that the recipes make load, and hold what they should.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use hull_images::{Options, Platform, RemoveOptions, Removed, Store};
use hull_layer::{FileKind, Layer};

fn build(recipe: &str, folder: &Path, name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("recipes")
        .join(recipe);
    let out = folder.join(name);
    let result = Command::new(script.join("build.sh"))
        .arg(&out)
        .output()
        .unwrap();
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
    out
}

#[test]
fn busybox_is_made_twice_the_same_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    let first = build("busybox", folder.path(), "first.tar");
    let second = build("busybox", folder.path(), "second.tar");
    assert!(std::fs::read(&first).unwrap() == std::fs::read(second).unwrap());

    let store = Store::open(folder.path(), Options::default()).unwrap();
    let mut reports = Vec::new();
    let loaded = store
        .load(File::open(first).unwrap(), &mut |progress| {
            reports.push(progress);
        })
        .unwrap();
    assert_eq!(
        loaded[0].name.as_ref().unwrap().familiar(),
        "busybox:latest"
    );
    assert!(reports.last().is_some_and(|last| last.done == last.total));

    let id = store.find("busybox").unwrap();
    assert_eq!(id, store.find(&id.short()).unwrap());
    let image = store.image(&id).unwrap();
    assert!(image.config.platform.runs_on(&Platform::host()));
    assert_eq!(
        image.config.config.cmd.as_deref(),
        Some(&["sh".to_owned()][..])
    );
    assert_eq!(image.layers.len(), 1);
    let layer = Layer::open(image.open_layers().unwrap().remove(0)).unwrap();
    layer.verify().unwrap();
    let attr = |path: &str| layer.attr(layer.resolve(path.as_bytes()).unwrap()).unwrap();
    assert_eq!(attr("tmp").mode & 0o7777, 0o1777);
    assert_eq!(
        (attr("bin/sh").kind, attr("bin/sh").uid),
        (FileKind::File, 0)
    );
    assert_eq!(attr("etc/shadow").mode & 0o777, 0o600);
    assert_eq!(layer.resolve(b"bin/sh"), layer.resolve(b"bin/busybox"));

    let options = RemoveOptions {
        force: false,
        prune: true,
    };
    let removed = store.remove("busybox", options, &[]).unwrap();
    let layer = Removed::DeletedLayer(image.layers[0].chain);
    assert_eq!(removed.last(), Some(&layer));
    assert_eq!(removed.len(), 3);
    assert!(!image.layers[0].path.exists());
}

#[test]
fn registry_is_made_twice_the_same_and_runs_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let first = build("registry", folder.path(), "first.tar");
    let second = build("registry", folder.path(), "second.tar");
    assert!(std::fs::read(&first).unwrap() == std::fs::read(second).unwrap());

    let store = Store::open(folder.path(), Options::default()).unwrap();
    let loaded = store.load(File::open(first).unwrap(), &mut |_| {}).unwrap();
    let names: Vec<String> = loaded
        .iter()
        .map(|loaded| loaded.name.as_ref().unwrap().familiar())
        .collect();
    assert_eq!(names, ["registry:2", "registry:latest"]);
    let image = store.image(&loaded[0].image).unwrap();
    let run = &image.config.config;
    let one = |text: &str| Some(vec![text.to_owned()]);
    assert_eq!(run.entrypoint, one("/entrypoint.sh"));
    assert_eq!(run.cmd, one("/etc/docker/registry/config.yml"));
    assert!(run.exposed_ports.as_ref().unwrap().contains_key("5000/tcp"));
    assert!(
        run.volumes
            .as_ref()
            .unwrap()
            .contains_key("/var/lib/registry")
    );

    // The tree alone has to be enough: its own shell, libraries and configuration.
    let tar = folder.path().join("saved.tar");
    let saving = store.pack(&names[..1], None).unwrap();
    saving.write(File::create(&tar).unwrap()).unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let unpack = |archive: &Path, member: Option<&str>, into: &Path| {
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(into).arg("-xf").arg(archive).args(member);
        assert!(tar.status().unwrap().success());
    };
    let blob = format!("blobs/sha256/{}", image.layers[0].diff.0.hex());
    unpack(&tar, Some(&blob), folder.path());
    unpack(&folder.path().join(&blob), None, &root);
    let version = Command::new("chroot")
        .arg(&root)
        .args(["/entrypoint.sh", "registry", "--version"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(text.contains("distribution"), "{version:?}");
}
