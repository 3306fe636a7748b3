use std::os::unix::fs::MetadataExt;

use tar::{Builder, Header};

use super::super::cage;
use super::*;

const ANYTHING: Rules = Rules {
    replace: Replace::Anything,
    owner: None,
};
const LIKE_WITH_LIKE: Rules = Rules {
    replace: Replace::LikeWithLike,
    owner: None,
};

struct Entries(Builder<Vec<u8>>);

impl Entries {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn add(mut self, kind: EntryType, name: &str, content: &str) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o4751);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000);
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        let is_link = matches!(kind, EntryType::Link | EntryType::Symlink);
        let data = if is_link { "" } else { content };
        if is_link {
            let field = &mut header.as_old_mut().linkname;
            field[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.append(&header, data.as_bytes()).unwrap();
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.add(EntryType::Regular, name, content)
    }

    fn folder(self, name: &str) -> Self {
        self.add(EntryType::Directory, name, "")
    }

    fn unpack(self, root: &Path, into: &'static str, rules: Rules) -> Result<(), String> {
        let bytes = self.0.into_inner().unwrap();
        let work = || unpack(&bytes[..], &folder(Path::new(into))?, rules);
        cage::inside(root, work).map_err(|e| e.to_string())
    }
}

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("d")).unwrap();
    root
}

#[test]
fn owner_mode_and_time_are_the_archives() {
    let root = root();
    let entries =
        Entries::new()
            .folder("f")
            .file("f/x", "content")
            .add(EntryType::Symlink, "f/l", "../gone");
    entries.unpack(root.path(), "/d", ANYTHING).unwrap();
    for name in ["d/f", "d/f/x"] {
        let metadata = fs::metadata(root.path().join(name)).unwrap();
        let owner = (metadata.uid(), metadata.gid());
        assert_eq!(
            (owner, metadata.mode() & 0o7777),
            ((7, 8), 0o4751),
            "{name}"
        );
        assert_eq!(metadata.mtime(), 1_000_000, "{name}");
    }
    let link = root.path().join("d/f/l");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("../gone"));
    assert_eq!(fs::symlink_metadata(&link).unwrap().mtime(), 1_000_000);
}

#[test]
fn a_header_that_says_nothing_of_the_owner_says_root() {
    let root = root();
    let mut header = Header::new_gnu();
    header.set_size(0);
    header.set_path("x").unwrap();
    header.set_cksum();
    let mut entries = Entries::new();
    entries.0.append(&header, &b""[..]).unwrap();
    entries.unpack(root.path(), "/d", ANYTHING).unwrap();
    let metadata = fs::metadata(root.path().join("d/x")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (0, 0));
    assert_eq!(metadata.mode() & 0o7777, 0);
}

#[test]
fn another_owner_can_be_given() {
    let root = root();
    let rules = Rules {
        owner: Some((5, 6)),
        ..ANYTHING
    };
    let entries = Entries::new().file("x", "");
    entries.unpack(root.path(), "/d", rules).unwrap();
    let metadata = fs::metadata(root.path().join("d/x")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (5, 6));
}

#[test]
fn the_folder_is_found_through_links_and_must_be_one() {
    let root = root();
    symlink("/d", root.path().join("to-d")).unwrap();
    symlink("../../../../../d", root.path().join("d/out")).unwrap();
    let entries = || Entries::new().file("x", "1");
    entries()
        .unpack(root.path(), "/to-d/out", ANYTHING)
        .unwrap();
    assert_eq!(fs::read_to_string(root.path().join("d/x")).unwrap(), "1");
    let refused = entries().unpack(root.path(), "/d/x", ANYTHING);
    assert_eq!(refused.unwrap_err(), "extraction point is not a directory");
    let refused = entries().unpack(root.path(), "/gone", ANYTHING);
    assert_eq!(refused.unwrap_err(), "no such file or directory: /gone");
}

#[test]
fn folders_merge_and_what_else_is_there_is_replaced_or_protected() {
    let root = root();
    let before = Entries::new()
        .folder("f")
        .file("f/kept", "k")
        .file("x", "old");
    before.unpack(root.path(), "/d", ANYTHING).unwrap();
    let merged = Entries::new()
        .folder("f")
        .file("f/new", "n")
        .file("x", "new");
    merged.unpack(root.path(), "/d", LIKE_WITH_LIKE).unwrap();
    let read = |name: &str| fs::read_to_string(root.path().join("d").join(name)).unwrap();
    assert_eq!(
        (read("f/kept"), read("f/new"), read("x")),
        ("k".into(), "n".into(), "new".into())
    );

    let over_folder = || Entries::new().file("f", "file");
    let refused = over_folder().unpack(root.path(), "/d", LIKE_WITH_LIKE);
    let message = "cannot overwrite directory \"/d/f\" with non-directory \"/d\"";
    assert_eq!(refused.unwrap_err(), message);
    let over_file = Entries::new().folder("x");
    let refused = over_file.unpack(root.path(), "/d", LIKE_WITH_LIKE);
    let message = "cannot overwrite non-directory \"/d/x\" with directory \"/d\"";
    assert_eq!(refused.unwrap_err(), message);
    over_folder().unpack(root.path(), "/d", ANYTHING).unwrap();
    assert_eq!(read("f"), "file");
}

#[test]
fn names_and_links_that_lead_out_are_refused() {
    for name in ["../x", "a/../../x", "/../x"] {
        let root = root();
        let refused = Entries::new()
            .file(name, "")
            .unpack(root.path(), "/d", ANYTHING);
        assert!(
            refused.unwrap_err().contains("is outside of \"/d\""),
            "{name}"
        );
    }
    let root = root();
    fs::write(root.path().join("secret"), "").unwrap();
    let link = Entries::new().add(EntryType::Link, "x", "../secret");
    assert!(link.unpack(root.path(), "/d", ANYTHING).is_err());
    let fine = Entries::new().file("a/../y", "");
    fine.unpack(root.path(), "/d", ANYTHING).unwrap();
    assert!(root.path().join("d/y").exists());
}

#[test]
fn hard_links_and_missing_parents_work() {
    let root = root();
    let entries = Entries::new()
        .file("a/b/c", "x")
        .add(EntryType::Link, "l", "a/b/c");
    entries.unpack(root.path(), "/d", ANYTHING).unwrap();
    let inode = |name: &str| {
        fs::metadata(root.path().join("d").join(name))
            .unwrap()
            .ino()
    };
    assert_eq!(inode("l"), inode("a/b/c"));
}

#[test]
fn damaged_archives_say_so() {
    let whole = Entries::new()
        .file("x", &"y".repeat(5000))
        .0
        .into_inner()
        .unwrap();
    for cut in [100, 700, 4000] {
        let root = root();
        let refused = cage::inside(root.path(), || {
            unpack(&whole[..cut], Path::new("/d"), ANYTHING)
        });
        assert!(
            matches!(refused, Err(FilesError::Damaged(_))),
            "{cut}: {refused:?}"
        );
    }
}
