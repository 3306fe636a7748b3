//! What a builder makes of an archive's entries, in the order in which they come.

mod listing;

use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use hull_layer::{
    BuildError, Builder, DeviceKind, Layer, Limits, Meta, OpenError, Seek, Timestamp,
};
use listing::{contents, lines, open};

/// Builds a layer with `fill` and opens it.
fn build(fill: impl FnOnce(&mut Builder) -> Result<(), BuildError>) -> Result<Layer, BuildError> {
    build_within(Limits::default(), fill)
}

fn build_within(
    limits: Limits,
    fill: impl FnOnce(&mut Builder) -> Result<(), BuildError>,
) -> Result<Layer, BuildError> {
    let file = tempfile::tempfile().unwrap();
    let mut builder = Builder::new(file.try_clone().unwrap(), limits)?;
    fill(&mut builder)?;
    builder.finish()?;
    Ok(open(file))
}

fn mode(mode: u32) -> Meta {
    Meta {
        mode,
        ..Meta::default()
    }
}

fn put(builder: &mut Builder, path: &str, text: &str) -> Result<(), BuildError> {
    let mut file = builder.file(path.as_bytes(), mode(0o644))?;
    file.append(text.as_bytes())?;
    file.finish()
}

/// Runs a script of one entry a line and compares the layer's listing, or the error.
fn check(script: &str, expected: &[&str]) {
    let built = build_within(Limits::default(), |builder| {
        script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .try_for_each(|line| {
                let words = line.split_whitespace().collect::<Vec<_>>();
                match words[..] {
                    ["dir", path] => builder.directory(path.as_bytes(), mode(0o700)),
                    ["file", path, text] => put(builder, path, text),
                    ["link", path, existing] => {
                        builder.hardlink(path.as_bytes(), existing.as_bytes())
                    }
                    ["symlink", path, target] => {
                        builder.symlink(path.as_bytes(), target.as_bytes(), mode(0o777))
                    }
                    ["fifo", path] => {
                        builder.device(path.as_bytes(), DeviceKind::Fifo, 9, 9, mode(0o600))
                    }
                    ["char", path, major, minor] => {
                        let (major, minor) = (major.parse().unwrap(), minor.parse().unwrap());
                        builder.device(path.as_bytes(), DeviceKind::Char, major, minor, mode(0o600))
                    }
                    ["whiteout", path] => builder.whiteout(path.as_bytes()),
                    ["opaque", path] => builder.opaque(path.as_bytes()),
                    _ => panic!("unknown line {line:?}"),
                }
            })
    });
    match built {
        Ok(layer) => {
            let found = lines(&layer);
            assert_eq!(found[1..], expected[..], "{script}");
        }
        Err(error) => assert_eq!([error.to_string()], expected[..], "{script}"),
    }
}

#[test]
fn an_empty_layer_is_an_empty_root() {
    let layer = build(|_| Ok(())).unwrap();
    assert_eq!(lines(&layer), ["/ dir 755"]);
    assert!(!layer.has_xattrs());
    assert_eq!(layer.parent(Layer::ROOT), Some(Layer::ROOT));
}

#[test]
fn every_kind_of_entry_is_kept() {
    check(
        "dir etc
         file etc/motd hi
         symlink etc/alias motd
         link etc/second etc/motd
         fifo run/pipe
         char dev/null 1 3",
        &[
            "/dev dir 755",
            "/dev/null Char 103 600",
            "/etc dir 700",
            "/etc/alias -> motd 777",
            "/etc/motd file \"hi\" 644 x2",
            "/etc/second file \"hi\" 644 x2",
            "/run dir 755",
            "/run/pipe Fifo 0 600",
        ],
    );
}

#[test]
fn the_root_can_be_described_but_not_replaced() {
    let meta = Meta {
        mode: 0o1777,
        uid: 5,
        gid: 6,
        ..Meta::default()
    };
    let layer = build(|builder| builder.directory(b"./", meta)).unwrap();
    let root = layer.attr(Layer::ROOT).unwrap();
    assert_eq!((root.mode, root.uid, root.gid), (0o041_777, 5, 6));
    check("file . x", &["the layer's root can only be a directory"]);
    check(
        "symlink a/.. b",
        &["the layer's root can only be a directory"],
    );
    check("whiteout /", &["the layer's root can only be a directory"]);
}

#[test]
fn later_entries_replace_earlier_ones() {
    check("file a one\nfile a two", &["/a file \"two\" 644"]);
    check("file a one\nsymlink a b", &["/a -> b 777"]);
    check("file a/b/c one\nfile a two", &["/a file \"two\" 644"]);
    check(
        "file a one\ndir a\nfile a/b two",
        &["/a dir 700", "/a/b file \"two\" 644"],
    );
    check(
        "file a/b one\ndir a",
        &["/a dir 700", "/a/b file \"one\" 644"],
    );
    check(
        "dir a\nfile a/b one",
        &["/a dir 700", "/a/b file \"one\" 644"],
    );
}

#[test]
fn a_directory_replaces_a_symlink_to_a_directory() {
    check(
        "dir real\nsymlink a real\ndir a\nfile a/b x",
        &["/a dir 700", "/a/b file \"x\" 644", "/real dir 700"],
    );
}

#[test]
fn symlinks_in_a_path_are_followed_inside_the_root() {
    let inside = [
        "/usr dir 755",
        "/usr/lib dir 700",
        "/usr/lib/x file \"x\" 644",
    ];
    let case = |target: &str| {
        let script = format!("dir usr/lib\nsymlink lib {target}\nfile lib/x x");
        let mut expected = vec![format!("/lib -> {target} 777")];
        expected.extend(inside.map(str::to_owned));
        check(
            &script,
            &expected.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    };
    case("usr/lib");
    case("/usr/lib");
    case("/usr/./lib/");
    case("../../../usr/lib");
    case("/../usr/lib/../lib");
}

#[test]
fn symlinks_to_symlinks_are_followed() {
    check(
        "dir d\nsymlink a b\nsymlink b /c\nsymlink c d\nfile a/x x",
        &[
            "/a -> b 777",
            "/b -> /c 777",
            "/c -> d 777",
            "/d dir 700",
            "/d/x file \"x\" 644",
        ],
    );
}

#[test]
fn paths_through_bad_symlinks_are_refused() {
    check(
        "symlink a b\nfile a/x x",
        &["path \"a/x\" goes through a symlink that leads nowhere"],
    );
    check(
        "symlink a a\nfile a/x x",
        &["path \"a/x\" goes through too many symlinks"],
    );
    check(
        "symlink a b\nsymlink b a\ndir a/x",
        &["path \"a/x\" goes through too many symlinks"],
    );
    check(
        "file f x\nsymlink a f\nfile a/x x",
        &["path \"a/x\" goes through something that is not a directory"],
    );
    check(
        "file a x\nfile a/b x",
        &["path \"a/b\" goes through something that is not a directory"],
    );
}

#[test]
fn the_last_component_of_a_path_is_never_followed() {
    check(
        "file f old\nsymlink a f\nfile a new",
        &["/a file \"new\" 644", "/f file \"old\" 644"],
    );
}

#[test]
fn paths_cannot_leave_the_root() {
    check(
        "file ../x x",
        &["path \"../x\" breaks out of the layer's root"],
    );
    check(
        "link x ../../etc/shadow",
        &["path \"../../etc/shadow\" breaks out of the layer's root"],
    );
    check("file /etc/x x", &["/etc dir 755", "/etc/x file \"x\" 644"]);
}

#[test]
fn hard_links_need_an_existing_file() {
    check(
        "link a b",
        &["hard link \"a\" is to \"b\", which is not in the layer"],
    );
    check(
        "link a b/c",
        &["hard link \"a\" is to \"b/c\", which is not in the layer"],
    );
    check(
        "dir d\nlink a d",
        &["hard link \"a\" is to \"d\", which is a directory"],
    );
    check(
        "link a .",
        &["hard link \"a\" is to \".\", which is a directory"],
    );
}

#[test]
fn hard_links_are_to_symlinks_themselves() {
    check(
        "symlink s nowhere\nlink a s",
        &["/a -> nowhere 777 x2", "/s -> nowhere 777 x2"],
    );
}

#[test]
fn a_hard_link_may_replace_the_tree_that_holds_its_target() {
    check("file a/b x\nlink a a/b", &["/a file \"x\" 644"]);
    check("file a x\nlink a a", &["/a file \"x\" 644"]);
    check(
        "file a x\nlink b a\nfile a y",
        &["/a file \"y\" 644", "/b file \"x\" 644"],
    );
}

#[test]
fn whiteouts_are_character_devices_zero() {
    check("whiteout a", &["/a whiteout 0"]);
    check("whiteout d/a", &["/d dir 755", "/d/a whiteout 0"]);
}

#[test]
fn whiteouts_do_not_hide_their_own_layer() {
    let opaque = "/a dir 700 trusted.overlay.opaque=y";
    check("file a x\nwhiteout a", &["/a file \"x\" 644"]);
    check("whiteout a\nfile a x", &["/a file \"x\" 644"]);
    check("dir a\nwhiteout a", &[opaque]);
    check("whiteout a\ndir a", &[opaque]);
    check(
        "whiteout a\nfile a/b x",
        &["/a dir 755 trusted.overlay.opaque=y", "/a/b file \"x\" 644"],
    );
}

#[test]
fn opaque_directories_carry_overlayfs_mark() {
    check(
        "opaque a/b",
        &["/a dir 755", "/a/b dir 755 trusted.overlay.opaque=y"],
    );
    check(
        "dir a\nopaque a\ndir a",
        &["/a dir 700 trusted.overlay.opaque=y"],
    );
    let layer = build(|builder| builder.opaque(b"")).unwrap();
    assert_eq!(
        layer.xattr(Layer::ROOT, b"trusted.overlay.opaque"),
        Some(&b"y"[..])
    );
}

#[test]
fn everything_said_about_an_entry_is_kept() {
    let meta = Meta {
        mode: 0o104_755,
        uid: 1000,
        gid: u32::MAX,
        mtime: Timestamp { secs: -1, nanos: 5 },
        xattrs: vec![
            (b"user.b".to_vec(), b"2".to_vec()),
            (b"security.capability".to_vec(), b"\x01\0\0\x02".to_vec()),
            (b"trusted.overlay.redirect".to_vec(), b"/etc".to_vec()),
            (b"user.b".to_vec(), b"3".to_vec()),
        ],
    };
    let layer = build(|builder| builder.file(b"f", meta)?.finish()).unwrap();
    let ino = layer.lookup(Layer::ROOT, b"f").unwrap();
    let attr = layer.attr(ino).unwrap();
    assert_eq!((attr.mode, attr.uid, attr.gid), (0o104_755, 1000, u32::MAX));
    assert_eq!(
        (attr.mtime, attr.nlink, attr.size),
        (Timestamp { secs: -1, nanos: 5 }, 1, 0)
    );
    let xattrs = layer.xattrs(ino).collect::<Vec<_>>();
    assert_eq!(
        xattrs,
        [
            (&b"security.capability"[..], &b"\x01\0\0\x02"[..]),
            (&b"user.b"[..], &b"3"[..])
        ]
    );
}

#[test]
fn bad_extended_attributes_are_refused() {
    let refused = |key: &[u8], value: &[u8]| {
        let xattrs = vec![(key.to_vec(), value.to_vec())];
        let meta = Meta {
            xattrs,
            ..Meta::default()
        };
        build(|builder| builder.directory(b"d", meta))
            .map(drop)
            .unwrap_err()
    };
    assert!(matches!(refused(b"", b""), BuildError::XattrKey { .. }));
    assert!(matches!(refused(b"a\0", b""), BuildError::XattrKey { .. }));
    assert!(matches!(
        refused(&[b'k'; 256], b""),
        BuildError::XattrKey { .. }
    ));
    assert!(matches!(
        refused(b"k", &[0; 65537]),
        BuildError::XattrTooLong { .. }
    ));
}

#[test]
fn unrepresentable_devices_are_refused() {
    check(
        "char c 4096 0",
        &["device \"c\" has number 4096:0, which Linux cannot represent"],
    );
}

#[test]
fn limits_have_their_own_errors() {
    let base = Limits::default();
    let run = |limits: Limits, fill: fn(&mut Builder) -> Result<(), BuildError>| {
        build_within(limits, fill).map(drop)
    };
    let entries = Limits { entries: 2, ..base };
    assert!(run(entries, |b| put(b, "a/b", "")).is_ok());
    let error = run(entries, |b| put(b, "a/b/c", "")).unwrap_err();
    assert!(matches!(error, BuildError::TooManyEntries { limit: 2 }));
    let replaced = |b: &mut Builder| (0..3).try_for_each(|_| put(b, "a", ""));
    let error = build_within(entries, replaced).map(drop).unwrap_err();
    assert!(matches!(error, BuildError::TooManyEntries { limit: 2 }));

    let bytes = Limits { bytes: 5, ..base };
    assert!(run(bytes, |b| put(b, "a", "12345")).is_ok());
    let error = run(bytes, |b| {
        put(b, "a", "123").and_then(|()| put(b, "b", "456"))
    })
    .unwrap_err();
    assert!(matches!(error, BuildError::TooManyBytes { limit: 5 }));

    let span = Limits {
        span: 1 << 20,
        ..base
    };
    let error = run(span, |b| b.file(b"a", Meta::default())?.skip(1 << 20)).unwrap_err();
    assert!(matches!(error, BuildError::SpanTooLong { .. }));
    let error = run(base, |b| b.file(b"a", Meta::default())?.skip(u64::MAX)).unwrap_err();
    assert!(matches!(error, BuildError::SpanTooLong { .. }));

    let metadata = Limits {
        metadata: 10,
        ..base
    };
    let error = run(metadata, |b| {
        b.symlink(b"a", b"1234567890", Meta::default())
    })
    .unwrap_err();
    assert!(matches!(error, BuildError::TooMuchMetadata { limit: 10 }));
}

#[test]
fn limits_reach_through_io_write() {
    let limits = Limits {
        bytes: 1,
        ..Limits::default()
    };
    let error = build_within(limits, |builder| {
        let mut file = builder.file(b"a", Meta::default())?;
        file.write_all(b"ab").map_err(BuildError::from_io)
    });
    assert!(matches!(
        error.map(drop),
        Err(BuildError::TooManyBytes { limit: 1 })
    ));
}

#[test]
fn files_without_finish_were_never_there() {
    let layer = build(|builder| {
        put(builder, "a", "first")?;
        let mut dropped = builder.file(b"a", Meta::default())?;
        dropped.append(&[1; 600_000])?;
        drop(dropped);
        let mut dropped = builder.file(b"b", Meta::default())?;
        dropped.append(b"gone")?;
        drop(dropped);
        put(builder, "c", "last")
    })
    .unwrap();
    assert_eq!(
        lines(&layer),
        ["/ dir 755", "/a file \"first\" 644", "/c file \"last\" 644"]
    );
}

#[test]
fn contents_of_every_size_come_back() {
    let sizes = [0, 1, 4095, 4096, 4097, 262_143, 262_144, 262_145, 700_001];
    let pattern = |size: usize| {
        (0..size)
            .map(|at| (at * 7 % 251 + 1) as u8)
            .collect::<Vec<_>>()
    };
    let layer = build(|builder| {
        sizes.iter().try_for_each(|&size| {
            let mut file = builder.file(size.to_string().as_bytes(), mode(0o644))?;
            pattern(size)
                .chunks(100_000)
                .try_for_each(|chunk| file.append(chunk))?;
            file.finish()
        })
    })
    .unwrap();
    for size in sizes {
        let ino = layer.resolve(size.to_string().as_bytes()).unwrap();
        assert_eq!(contents(&layer, ino), pattern(size), "{size}");
        let (offset, length) = layer.extent(ino).unwrap();
        assert_eq!((offset % 4096, length), (0, size as u64));
        assert_eq!(
            layer.attr(ino).unwrap().blocks,
            size.div_ceil(4096) as u64 * 8
        );
    }
}

#[test]
fn sparse_files_stay_sparse() {
    let layer = build(|builder| {
        let mut file = builder.file(b"sparse", mode(0o644))?;
        file.append(b"start")?;
        file.skip((1 << 30) - 5)?;
        file.append(b"end")?;
        file.finish()?;
        let mut zeroes = builder.file(b"zeroes", mode(0o644))?;
        (0..64).try_for_each(|_| zeroes.append(&[0; 65536]))?;
        zeroes.finish()
    })
    .unwrap();
    let sparse = layer.resolve(b"sparse").unwrap();
    let attr = layer.attr(sparse).unwrap();
    assert_eq!((attr.size, attr.blocks), ((1 << 30) + 3, 16));
    let mut buf = [9; 8];
    assert_eq!(layer.read_at(sparse, 0, &mut buf).unwrap(), 8);
    assert_eq!(&buf, b"start\0\0\0");
    assert_eq!(layer.read_at(sparse, (1 << 30) - 5, &mut buf).unwrap(), 8);
    assert_eq!(&buf, b"\0\0\0\0\0end");
    let seek = |seek, offset| layer.seek(sparse, seek, offset).unwrap();
    assert_eq!(seek(Seek::Data, 0), Some(0));
    assert_eq!(seek(Seek::Hole, 0), Some(4096));
    assert_eq!(seek(Seek::Data, 4096), Some(1 << 30));
    assert_eq!(seek(Seek::Hole, 1 << 30), Some((1 << 30) + 3));
    assert_eq!(seek(Seek::Hole, (1 << 30) + 3), None);
    assert_eq!(seek(Seek::Data, u64::MAX), None);
    let zeroes = layer.resolve(b"zeroes").unwrap();
    assert_eq!(layer.seek(zeroes, Seek::Data, 0).unwrap(), None);
    assert_eq!(layer.seek(zeroes, Seek::Hole, 5).unwrap(), Some(5));
    assert_eq!(layer.attr(zeroes).unwrap().blocks, 0);
    let stored = layer.file().metadata().unwrap().blocks() * 512;
    assert!(stored < 64 << 10, "{stored} bytes are stored");
}

#[test]
fn replaced_files_give_their_room_back() {
    let layer = build(|builder| {
        for round in 1..=8 {
            let mut file = builder.file(b"big", mode(0o644))?;
            (0..16).try_for_each(|_| file.append(&[round; 65536]))?;
            file.finish()?;
        }
        Ok(())
    })
    .unwrap();
    let ino = layer.resolve(b"big").unwrap();
    assert!(contents(&layer, ino).iter().all(|&byte| byte == 8));
    let stored = layer.file().metadata().unwrap().blocks() * 512;
    assert!(stored < 2 << 20, "{stored} bytes are stored");
}

#[test]
fn deep_trees_need_no_stack() {
    let layer = build(|builder| {
        let mut path = b"d".to_vec();
        builder.directory(&path, mode(0o755))?;
        for round in 0..20 {
            let link = format!("l{round}");
            path.extend(b"/d".repeat(1000));
            builder.directory(&path, mode(0o755))?;
            let target = [b"/", path.as_slice()].concat();
            builder.symlink(link.as_bytes(), &target, mode(0o777))?;
            path = [link.as_bytes(), b"/d"].concat();
            builder.directory(&path, mode(0o755))?;
        }
        builder.file(b"d", mode(0o644))?.finish()
    })
    .unwrap();
    assert_eq!(layer.inodes(), 22);
}

#[test]
fn directories_can_be_read_on_from_any_position() {
    let names = (0..500)
        .map(|number| format!("n{number:03}"))
        .collect::<Vec<_>>();
    let layer = build(|builder| {
        names
            .iter()
            .rev()
            .try_for_each(|name| put(builder, name, ""))
    })
    .unwrap();
    for from in [0, 1, 499, 500, 501, usize::MAX] {
        let rest = layer
            .entries(Layer::ROOT, from)
            .map(|entry| entry.name.to_vec());
        let expected = names.iter().skip(from).map(|name| name.as_bytes().to_vec());
        assert!(rest.eq(expected), "{from}");
    }
    for name in &names {
        let ino = layer.lookup(Layer::ROOT, name.as_bytes()).unwrap();
        assert_eq!(layer.entries(ino, 0).count(), 0);
    }
    assert_eq!(layer.lookup(Layer::ROOT, b"n"), None);
    assert_eq!(layer.lookup(Layer::ROOT, b"n5000"), None);
    assert_eq!(layer.lookup(Layer::ROOT, b".."), None);
}

#[test]
fn the_same_entries_make_the_same_bytes() {
    let bytes = || {
        let layer = build(|builder| {
            put(builder, "b", "2")?;
            put(builder, "a/x", "1")?;
            builder.opaque(b"a")
        })
        .unwrap();
        let mut bytes = vec![0; layer.file().metadata().unwrap().len() as usize];
        layer.file().read_exact_at(&mut bytes, 0).unwrap();
        bytes
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn unfinished_files_are_not_layers() {
    let file = tempfile::tempfile().unwrap();
    let mut builder = Builder::new(file.try_clone().unwrap(), Limits::default()).unwrap();
    let mut writer = builder.file(b"a", Meta::default()).unwrap();
    writer.append(&[1; 300_000]).unwrap();
    writer.finish().unwrap();
    drop(builder);
    assert!(matches!(Layer::open(file), Err(OpenError::NotALayer)));
    let empty = tempfile::tempfile().unwrap();
    assert!(matches!(Layer::open(empty), Err(OpenError::NotALayer)));
}

#[test]
fn truncated_and_extended_layers_are_refused() {
    let layer = build(|builder| put(builder, "a", "x")).unwrap();
    let file = layer.file().try_clone().unwrap();
    drop(layer);
    let length = file.metadata().unwrap().len();
    for changed in [4096, length - 1, length + 1] {
        file.set_len(changed).unwrap();
        let opened = Layer::open(file.try_clone().unwrap());
        assert!(matches!(opened, Err(OpenError::Length { .. })), "{changed}");
    }
}
