//! What GNU tar packs from random trees unpacks to the same trees.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use hull_images::unpack;
use hull_layer::{FileKind, Ino, Layer, Limits};
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags};

/// One thing to make in the tree; numbers choose among what is there already.
#[derive(Debug, Clone)]
enum Make {
    Directory {
        parent: usize,
        name: String,
    },
    File {
        parent: usize,
        name: String,
        pieces: Vec<(u64, Vec<u8>)>,
    },
    Symlink {
        parent: usize,
        name: String,
        target: String,
    },
    HardLink {
        parent: usize,
        name: String,
        to: usize,
    },
    Fifo {
        parent: usize,
        name: String,
    },
}

#[derive(Debug, Clone)]
struct Step {
    make: Make,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, u32),
    xattr: Option<Vec<u8>>,
}

/// How the archive is written, and what that format cannot say.
#[derive(Debug, Clone, Copy)]
struct Format {
    options: &'static [&'static str],
    exact: bool,
}

const FORMATS: [Format; 6] = [
    Format {
        options: &["--format=gnu"],
        exact: false,
    },
    Format {
        options: &["--format=gnu", "--sparse"],
        exact: false,
    },
    Format {
        options: &["--format=posix", "--xattrs"],
        exact: true,
    },
    Format {
        options: &[
            "--format=posix",
            "--xattrs",
            "--sparse",
            "--sparse-version=0.0",
        ],
        exact: true,
    },
    Format {
        options: &[
            "--format=posix",
            "--xattrs",
            "--sparse",
            "--sparse-version=0.1",
        ],
        exact: true,
    },
    Format {
        options: &[
            "--format=posix",
            "--xattrs",
            "--sparse",
            "--sparse-version=1.0",
        ],
        exact: true,
    },
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,3}",
        1 => "[a-zA-Z0-9 ._äß-]{1,20}x",
        1 => "[a-z]{90,200}",
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let parent = 0usize..100;
    let piece = (
        0u64..300_000,
        proptest::collection::vec(any::<u8>(), 0..600),
    );
    let make = prop_oneof![
        3 => (parent.clone(), name()).prop_map(|(parent, name)| Make::Directory { parent, name }),
        4 => (parent.clone(), name(), proptest::collection::vec(piece, 0..4))
            .prop_map(|(parent, name, pieces)| Make::File { parent, name, pieces }),
        1 => (parent.clone(), name(), "[a-z./]{1,150}")
            .prop_map(|(parent, name, target)| Make::Symlink { parent, name, target }),
        1 => (parent.clone(), name(), 0usize..100)
            .prop_map(|(parent, name, to)| Make::HardLink { parent, name, to }),
        1 => (parent, name()).prop_map(|(parent, name)| Make::Fifo { parent, name }),
    ];
    let owner = (prop_oneof![Just(0u32), 1u32..3_000_000], 0u32..70_000);
    let mtime = (-5i64..20_000_000_000, 0u32..1_000_000_000);
    let xattr = proptest::option::weighted(0.3, proptest::collection::vec(any::<u8>(), 0..40));
    (make, 0u32..0o10000, owner, mtime, xattr).prop_map(|(make, mode, owner, mtime, xattr)| Step {
        make,
        mode,
        owner,
        mtime,
        xattr,
    })
}

/// Makes the tree. Steps that cannot be (the name is taken, too long) are left out.
fn build(root: &Path, steps: &[Step]) {
    let mut directories = vec![root.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    let mut made: Vec<(PathBuf, &Step)> = Vec::new();
    for step in steps {
        let at = |parent: &usize, name: &String| directories[parent % directories.len()].join(name);
        let path = match &step.make {
            Make::Directory { parent, name } => {
                let path = at(parent, name);
                if path.as_os_str().len() > 2000 || fs::create_dir(&path).is_err() {
                    continue;
                }
                directories.push(path.clone());
                path
            }
            Make::File {
                parent,
                name,
                pieces,
            } => {
                let path = at(parent, name);
                let Ok(file) = File::create_new(&path) else {
                    continue;
                };
                let mut end = 0;
                for (gap, bytes) in pieces {
                    file.write_all_at(bytes, end + gap).unwrap();
                    end += gap + bytes.len() as u64;
                    file.set_len(end).unwrap();
                }
                files.push(path.clone());
                path
            }
            Make::Symlink {
                parent,
                name,
                target,
            } => {
                let path = at(parent, name);
                if symlink(target, &path).is_err() {
                    continue;
                }
                path
            }
            Make::HardLink { parent, name, to } => {
                if !files.is_empty() {
                    let _taken = fs::hard_link(&files[to % files.len()], at(parent, name));
                }
                continue;
            }
            Make::Fifo { parent, name } => {
                let path = at(parent, name);
                let kind = rustix::fs::FileType::Fifo;
                if rustix::fs::mknodat(CWD, &path, kind, 0o600.into(), 0).is_err() {
                    continue;
                }
                path
            }
        };
        made.push((path, step));
    }
    // Children first, so that a directory's time is not changed by what is made inside.
    for (path, step) in made.iter().rev() {
        describe(path, step);
    }
}

fn describe(path: &Path, step: &Step) {
    let (uid, gid) = step.owner;
    let is_root = rustix::process::geteuid().is_root();
    let plain = !path.is_symlink();
    if is_root {
        std::os::unix::fs::lchown(path, Some(uid), Some(gid)).unwrap();
    }
    if let Some(value) = &step.xattr
        && plain
        && (path.is_dir() || path.is_file())
    {
        rustix::fs::setxattr(path, c"user.test", value, XattrFlags::empty()).unwrap();
    }
    if plain {
        // Without root, what its owner cannot read cannot be packed.
        let mode = if is_root {
            step.mode
        } else {
            step.mode & 0o777 | 0o700
        };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let (tv_sec, nanos) = step.mtime;
    let time = Timespec {
        tv_sec,
        tv_nsec: nanos.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Compares a directory and everything below it.
fn compare(real: &Path, layer: &Layer, dir: Ino, exact: bool, links: &mut BTreeMap<u64, Ino>) {
    let mut expected: Vec<_> = fs::read_dir(real)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    expected.sort();
    let found: Vec<_> = layer
        .entries(dir, 0)
        .map(|e| OsStr::from_bytes(e.name).to_owned())
        .collect();
    assert_eq!(found, expected, "names in {real:?}");
    for name in expected {
        let path = real.join(&name);
        let ino = layer.lookup(dir, name.as_bytes()).unwrap();
        let (meta, attr) = (
            fs::symlink_metadata(&path).unwrap(),
            layer.attr(ino).unwrap(),
        );
        assert_eq!(attr.mode, meta.mode(), "mode of {path:?}");
        assert_eq!(
            (attr.uid, attr.gid),
            (meta.uid(), meta.gid()),
            "owner of {path:?}"
        );
        assert_eq!(attr.mtime.secs, meta.mtime(), "time of {path:?}");
        if exact {
            assert_eq!(
                i64::from(attr.mtime.nanos),
                meta.mtime_nsec(),
                "time of {path:?}"
            );
        }
        let kind = meta.file_type();
        if kind.is_dir() {
            compare(&path, layer, ino, exact, links);
        } else {
            assert_eq!(u64::from(attr.nlink), meta.nlink(), "links of {path:?}");
            let first = *links.entry(meta.ino()).or_insert(ino);
            assert_eq!(first, ino, "{path:?} is one file by all its names");
        }
        if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            assert_eq!(layer.readlink(ino), Some(target.as_os_str().as_bytes()));
            continue;
        }
        if kind.is_fifo() {
            assert_eq!(attr.kind, FileKind::Fifo);
            continue;
        }
        if exact {
            let mut value = [0; 100];
            let length = rustix::fs::getxattr(&path, c"user.test", &mut value[..]).ok();
            let expected = length.map(|length| &value[..length]);
            assert_eq!(
                layer.xattr(ino, b"user.test"),
                expected,
                "xattr of {path:?}"
            );
        }
        if kind.is_file() {
            let contents = fs::read(&path).unwrap();
            assert_eq!(attr.size, contents.len() as u64);
            let mut read = vec![0; contents.len()];
            assert_eq!(layer.read_at(ino, 0, &mut read).unwrap(), read.len());
            assert!(read == contents, "contents of {path:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn trees_survive_gnu_tar(steps in proptest::collection::vec(step(), 0..40), format in 0..FORMATS.len()) {
        let format = FORMATS[format];
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        build(&root, &steps);
        let archive = folder.path().join("archive.tar");
        let result = Command::new("tar")
            .args(format.options)
            .arg("-cf").arg(&archive)
            .arg("-C").arg(&root)
            .arg(".")
            .output()
            .unwrap();
        prop_assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
        let out = tempfile::tempfile().unwrap();
        unpack(File::open(&archive).unwrap(), out.try_clone().unwrap(), Limits::default()).unwrap();
        let layer = Layer::open(out).unwrap();
        layer.verify().unwrap();
        compare(&root, &layer, Layer::ROOT, format.exact, &mut BTreeMap::new());
    }
}
