//! The programs that tests run, on a disk of this machine's own.
//!
//! In an emulated machine most of `/` is a share of its host's: each start of a program would read
//! its pages through that again, which takes longer than to run it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A folder on a disk of this machine's own.
pub fn own_disk() -> PathBuf {
    let disk = Path::new("/var/lib/hull");
    if disk.is_dir() {
        disk.into()
    } else {
        "/var/lib".into()
    }
}

/// A program of the build under test.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILD: OnceLock<PathBuf> = OnceLock::new();
    let build = BUILD.get_or_init(|| near(&root().join("target/hull")));
    build.join("bin").join(name)
}

/// The real `docker`.
pub fn docker() -> &'static Path {
    static DOCKER: OnceLock<PathBuf> = OnceLock::new();
    DOCKER.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut programs = std::env::split_paths(&path).map(|folder| folder.join("docker"));
        let original = programs.find(|p| p.is_file());
        near(&original.expect("docker is in the PATH"))
    })
}

/// The busybox image, made once.
pub fn busybox() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let path = root().join("target/busybox.tar");
        assert!(
            path.exists(),
            "{}: made by `cargo xtask e2e`",
            path.display()
        );
        path.to_str().unwrap().to_owned()
    })
}

/// A file, or a folder with all that is in it, on this machine's own disk: itself, or a copy that
/// is made anew when it has changed.
pub fn near(original: &Path) -> PathBuf {
    let disk = own_disk();
    let device = |path: &Path| fs::metadata(path).map(|m| m.dev());
    if device(original).unwrap_or_else(|e| panic!("{}: {e}", original.display()))
        == device(&disk).unwrap()
    {
        return original.to_owned();
    }
    let below = original.strip_prefix("/").expect("a path from the root");
    let copy = disk.join("hull-test-programs").join(below);
    copy_what_changed(original, &copy);
    copy
}

fn copy_what_changed(original: &Path, copy: &Path) {
    let failed = |e| panic!("copy {} to {}: {e}", original.display(), copy.display());
    let from = original.metadata().unwrap_or_else(failed);
    if from.is_dir() {
        fs::create_dir_all(copy).unwrap_or_else(|e| panic!("make {}: {e}", copy.display()));
        for entry in original.read_dir().into_iter().flatten().flatten() {
            copy_what_changed(&entry.path(), &copy.join(entry.file_name()));
        }
        return;
    }
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    let same =
        |to: fs::Metadata| to.len() == from.len() && to.modified().ok() == from.modified().ok();
    if !copy.metadata().is_ok_and(same) {
        // Aside, so that nobody ever runs half of it.
        let mut aside = copy.as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        fs::copy(original, &aside).unwrap_or_else(|e| panic!("{}: {e}", aside.display()));
        let written = fs::File::open(&aside).unwrap();
        written.set_modified(from.modified().unwrap()).unwrap();
        fs::rename(&aside, copy).unwrap();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
