use std::os::unix::fs::symlink;
use std::process::Command;

use super::super::cage;
use super::*;

/// What GNU tar says is in an archive, one line an entry, without dates.
fn listed(archive: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.tar");
    fs::write(&file, archive).unwrap();
    let output = Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let without_date = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        [&words[..3], &words[5..]].concat().join(" ")
    };
    text.lines().map(without_date).collect()
}

fn packed(root: &Path, whiteouts: Whiteouts) -> Vec<u8> {
    cage::inside(root, || {
        let mut packer = Packer::new(Vec::new(), whiteouts);
        packer.contents(Path::new("/"))?;
        packer.finish()
    })
    .unwrap()
}

#[test]
fn every_kind_of_file_is_packed_as_gnu_tar_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("a/empty")).unwrap();
    fs::write(at("a/file"), "12345").unwrap();
    fs::hard_link(at("a/file"), at("b")).unwrap();
    symlink("/a/../x", at("link")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let device = libc::makedev(5, 9);
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, at("tty"), kind, mode, device).unwrap();
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), kind, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::os::unix::fs::chown(at("a/file"), Some(12), Some(3_000_000)).unwrap();
    let long = "n".repeat(120);
    fs::write(at(&format!("a/{long}")), "").unwrap();
    let listing = listed(&packed(folder.path(), Whiteouts::None));
    assert_eq!(
        listing,
        [
            "drwxr-xr-x 0/0 0 a/",
            "drwxr-xr-x 0/0 0 a/empty/",
            "-rw-r--r-- 12/3000000 5 a/file",
            &format!("-rw-r--r-- 0/0 0 a/{long}"),
            "hrw-r--r-- 12/3000000 0 b link to a/file",
            "lrwxrwxrwx 0/0 0 link -> /a/../x",
            "prw------- 0/0 0 pipe",
            "crw------- 0/0 5,9 tty",
        ]
    );
}

#[test]
fn whiteouts_become_those_of_image_layers() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("d/opaque")).unwrap();
    fs::write(at("d/opaque/young"), "").unwrap();
    let opaque = rustix::fs::setxattr(
        at("d/opaque"),
        OPAQUE,
        b"y",
        rustix::fs::XattrFlags::empty(),
    );
    opaque.unwrap();
    for gone in ["gone", "d/gone"] {
        let kind = rustix::fs::FileType::CharacterDevice;
        let mode = rustix::fs::Mode::empty();
        rustix::fs::mknodat(rustix::fs::CWD, at(gone), kind, mode, 0).unwrap();
    }
    let names: Vec<String> = listed(&packed(folder.path(), Whiteouts::Oci))
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "d/",
            "d/.wh.gone",
            "d/opaque/",
            "d/opaque/.wh..wh..opq",
            "d/opaque/young",
            ".wh.gone",
        ]
    );
}

#[test]
fn one_path_is_packed_under_the_name_it_was_asked_by() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("d/e")).unwrap();
    fs::write(folder.path().join("d/e/f"), "x").unwrap();
    let names = |path: &'static str, name: &'static [u8]| -> Vec<String> {
        let archive = cage::inside(folder.path(), || {
            let mut packer = Packer::new(Vec::new(), Whiteouts::None);
            packer.tree(Path::new(path), name)?;
            packer.finish()
        });
        tar::Archive::new(&archive.unwrap()[..])
            .entries()
            .unwrap()
            .map(|e| String::from_utf8(e.unwrap().path_bytes().into_owned()).unwrap())
            .collect()
    };
    assert_eq!(names("/d", b"other"), ["other/", "other/e/", "other/e/f"]);
    assert_eq!(names("/d/e/f", b"f"), ["f"]);
    assert_eq!(names("/", b"/"), ["/", "/d/", "/d/e/", "/d/e/f"]);
}

#[test]
fn a_file_that_changes_its_size_keeps_the_archive_whole() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), "123").unwrap();
    for (size, content) in [(2, "12"), (5, "123\0\0"), (3, "123")] {
        let mut packer = Packer::new(Vec::new(), Whiteouts::None);
        let path = folder.path().join("f");
        let mut file = File::open(&path).unwrap();
        packer.file(&mut file, size, &path).unwrap();
        assert_eq!(packer.out.len(), BLOCK);
        assert_eq!(&packer.out[..content.len()], content.as_bytes());
    }
}

#[test]
fn records_count_their_own_length() {
    for size in [1, 80, 88, 89, 90, 91, 980, 990, 991, 992] {
        let mut head = Head::plain(b"x");
        head.record("path", &vec![b'v'; size]);
        let text = String::from_utf8(head.records.clone()).unwrap();
        let said: usize = text.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(said, head.records.len());
    }
}
