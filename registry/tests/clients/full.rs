//! A disk that is full: a clear error, nothing lost, nothing left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::served::{Response, Served, sha256};
use crate::upstream::Fake;

/// A registry whose store is on a filesystem of 8 MiB.
struct Small {
    served: Option<Served>,
    disk: PathBuf,
}

impl Small {
    fn with(config: &str) -> Small {
        let mut disk = PathBuf::new();
        let served = Served::prepared(config, |folder| {
            disk = folder.join("root");
            fs::create_dir(&disk).unwrap();
            let flags = MountFlags::empty();
            mount("tmpfs", &disk, "tmpfs", flags, c"size=8m,mode=700").unwrap();
        });
        let served = Some(served);
        Small { served, disk }
    }

    fn served(&self) -> &Served {
        self.served.as_ref().unwrap()
    }

    fn uploads(&self) -> usize {
        fs::read_dir(self.disk.join("images/uploads"))
            .unwrap()
            .count()
    }

    /// Takes all the room that there is; gives it back with the path.
    fn fill(&self) -> Ballast {
        let path = self.disk.join("ballast");
        let mut file = fs::File::create(&path).unwrap();
        let full = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        Ballast(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // What serves has files open there, and its folder cannot go while it is a mount point.
        let detached = unmount(&self.disk, UnmountFlags::DETACH);
        drop(self.served.take());
        detached.unwrap();
    }
}

struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// More than there is room for.
fn write_large(folder: &Path) -> (String, String) {
    let large = vec![7; 12 << 20];
    let path = folder.join("large");
    fs::write(&path, &large).unwrap();
    (format!("@{}", path.display()), sha256(&large))
}

#[track_caller]
fn is_full(response: &Response) {
    response.refused(507, "UNKNOWN");
    let text = response.text();
    assert!(
        text.contains("no space left on the registry's disk"),
        "{text}"
    );
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_no_half() {
    let small = Small::with("");
    let served = small.served();
    let digest = served.push("kept", "1", &[]);
    let (data, large) = write_large(served.folder.path());
    let at_once = format!("/v2/a/blobs/uploads/?digest={large}");
    is_full(&served.send(&at_once, "POST", &data, &[]));
    for method in ["PATCH", "PUT"] {
        let begun = served.send("/v2/a/blobs/uploads/", "POST", "", &[]);
        assert_eq!(begun.status, 202);
        let location = begun
            .head
            .lines()
            .find_map(|line| line.strip_prefix("Location: "));
        let location = location.unwrap().to_owned();
        let sent = format!("{location}?digest={large}");
        is_full(&served.send(&sent, method, &data, &[]));
        // Its room is given to others at once.
        served
            .curl(&location, &[])
            .refused(404, "BLOB_UPLOAD_UNKNOWN");
        assert_eq!(small.uploads(), 0, "{method}");
    }
    served
        .curl(&format!("/v2/a/blobs/{large}"), &[])
        .refused(404, "BLOB_UNKNOWN");
    let kept = served.curl("/v2/kept/manifests/1", &[]);
    kept.has_header(&format!("Docker-Content-Digest: {digest}"));
    served.push("another", "1", &[]);
}

#[test]
fn a_full_disk_is_read_from_and_takes_pushes_again_when_there_is_room() {
    let small = Small::with("");
    let served = small.served();
    served.push("kept", "1", &[]);
    let kept = served.curl("/v2/kept/manifests/1", &[]).body;
    let layer = fs::read(served.path("layer.tar.gz")).unwrap();
    let ballast = small.fill();
    for (path, bytes) in [
        ("/v2/kept/manifests/1".to_owned(), &kept),
        (format!("/v2/kept/blobs/{}", sha256(&layer)), &layer),
    ] {
        let found = served.curl(&path, &[]);
        assert_eq!((found.status, &found.body), (200, bytes), "{path}");
    }
    let text = String::from_utf8(kept.clone()).unwrap() + " ";
    let manifest = |tag: &str| {
        let kind = [
            "--header",
            "Content-Type: application/vnd.oci.image.manifest.v1+json",
        ];
        served.send(&format!("/v2/kept/manifests/{tag}"), "PUT", &text, &kind)
    };
    is_full(&manifest("2"));
    served
        .curl("/v2/kept/manifests/2", &[])
        .refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(served.curl("/v2/kept/manifests/1", &[]).body, kept);
    assert_eq!(small.uploads(), 0);
    drop(ballast);
    assert_eq!(manifest("2").status, 201);
    assert_eq!(
        served.curl("/v2/kept/manifests/2", &[]).body,
        text.as_bytes()
    );
    assert_eq!(served.curl("/v2/kept/manifests/1", &[]).body, kept);
}

#[test]
fn a_cache_without_room_breaks_off_and_keeps_what_it_has() {
    let fake = Fake::start();
    let config = format!(
        "[cache]\nupstream = \"{}\"\nattempts = 1\nretry = \"0s\"",
        fake.url
    );
    let small = Small::with(&config);
    let served = small.served();
    let (_, large) = fake.image("a", "large", &vec![7; 12 << 20]);
    let (_, little) = fake.image("a", "little", &vec![7; 1 << 20]);
    let get = |digest: &str| {
        let url = format!("http://{}/v2/a/blobs/{digest}", served.address);
        let output = Command::new("curl")
            .args(["--silent", "--fail", "--noproxy", "*", &url])
            .output();
        output.unwrap()
    };
    assert!(get(&little).status.success());
    assert!(!get(&large).status.success());
    served.curl("/v2/a/manifests/large", &[]);
    assert_eq!(small.uploads(), 0);
    fake.is_down(true);
    assert_eq!(get(&little).stdout.len(), 1 << 20);
}
