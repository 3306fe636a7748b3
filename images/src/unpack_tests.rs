use std::fmt::Write as _;

use hull_layer::{FileKind, Ino, Layer, Limits};

use crate::tar::sample::Sample;

use super::*;

fn packed(archive: &[u8], limits: Limits) -> Result<Layer, UnpackError> {
    let out = tempfile::tempfile().unwrap();
    unpack(archive, out.try_clone().unwrap(), limits)?;
    let layer = Layer::open(out).unwrap();
    layer.verify().unwrap();
    Ok(layer)
}

/// The tree in lines: `path=contents`, `path/`, `path->target`, `path!` for a whiteout.
fn shown(layer: &Layer, dir: Ino, prefix: &str, out: &mut String) {
    for entry in layer.entries(dir, 0) {
        let name = String::from_utf8_lossy(entry.name);
        let attr = layer.attr(entry.ino).unwrap();
        write!(out, " {prefix}{name}").unwrap();
        match attr.kind {
            FileKind::Directory => {
                let opaque = layer.xattr(entry.ino, b"trusted.overlay.opaque").is_some();
                out.push_str(if opaque { "/(opaque)" } else { "/" });
                shown(layer, entry.ino, &format!("{prefix}{name}/"), out);
            }
            FileKind::File => {
                let mut contents = vec![0; usize::try_from(attr.size).unwrap()];
                layer.read_at(entry.ino, 0, &mut contents).unwrap();
                write!(out, "={}", String::from_utf8_lossy(&contents)).unwrap();
            }
            FileKind::Symlink => {
                let target = layer.readlink(entry.ino).unwrap();
                write!(out, "->{}", String::from_utf8_lossy(target)).unwrap();
            }
            FileKind::Char if attr.is_whiteout() => out.push('!'),
            kind => write!(out, ":{kind:?}").unwrap(),
        }
    }
}

/// `sample` unpacks to the tree `expected`, or fails with that text.
fn check(sample: Sample, expected: Result<&str, &str>) {
    check_limited(sample, Limits::default(), expected);
}

fn check_limited(sample: Sample, limits: Limits, expected: Result<&str, &str>) {
    let found = packed(&sample.end(), limits).map(|layer| {
        let mut out = String::new();
        shown(&layer, Layer::ROOT, "", &mut out);
        out.trim_start().to_owned()
    });
    let found = found.map_err(|error| error.to_string());
    assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
}

fn new() -> Sample {
    Sample::default()
}

#[test]
fn entries_become_files() {
    let sample = new()
        .directory("./")
        .file("./a", b"1")
        .directory("d/")
        .file("d/f", b"2")
        .entry(b'2', "l", "../../etc/passwd", b"")
        .entry(b'1', "h", "d/f", b"")
        .entry(b'3', "null", "", b"")
        .entry(b'6', "pipe", "", b"")
        .entry(b'0', "old/", "", b"")
        .entry(b'7', "contiguous", "", b"3")
        .entry(b'g', "global", "", b"18 comment=ignore\n");
    check(
        sample,
        Ok("a=1 contiguous=3 d/ d/f=2 h=2 l->../../etc/passwd null:Char old/ pipe:Fifo"),
    );
}

#[test]
fn nothing_leaves_the_root() {
    let breakout = Err("path \"../x\" breaks out of the layer's root");
    check(new().file("../x", b"1"), breakout);
    check(new().file("/x", b"1"), Ok("x=1"));
    check(new().file("a/../x", b"1"), Ok("x=1"));
    // Through a symlink that leads out: the root is as far as it goes.
    let sample = new().directory("etc").entry(b'2', "up", "../../etc", b"");
    check(sample.file("up/x", b"1"), Ok("etc/ etc/x=1 up->../../etc"));
    let sample = new().directory("etc").entry(b'2', "abs", "/etc", b"");
    check(sample.file("abs/x", b"1"), Ok("abs->/etc etc/ etc/x=1"));
    let link = new().entry(b'1', "x", "../../etc/passwd", b"");
    check(
        link,
        Err("path \"../../etc/passwd\" breaks out of the layer's root"),
    );
    let looped = new().entry(b'2', "a", "b", b"").entry(b'2', "b", "a", b"");
    check(
        looped.file("a/x", b""),
        Err("path \"a/x\" goes through too many symlinks"),
    );
    let missing = new().entry(b'1', "x", "/etc/passwd", b"");
    check(
        missing,
        Err("hard link \"x\" is to \"/etc/passwd\", which is not in the layer"),
    );
}

#[test]
fn later_entries_replace_earlier_ones() {
    check(new().file("a", b"1").file("a", b"2"), Ok("a=2"));
    let sample = new().directory("d").file("d/x", b"1").directory("d");
    check(sample, Ok("d/ d/x=1"));
    let sample = new().directory("d").file("d/x", b"1").file("d", b"2");
    check(sample, Ok("d=2"));
    let sample = new().entry(b'2', "l", "a", b"").file("a", b"1");
    check(sample.file("l", b"2"), Ok("a=1 l=2"));
}

#[test]
fn whiteouts_hide_what_is_below() {
    let sample = new()
        .file("d/.wh.gone", b"")
        .file(".wh.top", b"")
        .file("o/.wh..wh..opq", b"")
        .file("o/kept", b"1")
        .file(".wh..wh.plnk/x", b"2")
        .file(".wh..wh.aufs", b"");
    check(
        sample,
        Ok(".wh..wh.plnk/ .wh..wh.plnk/x=2 d/ d/gone! o/(opaque) o/kept=1 top!"),
    );
    for name in [".wh.", "a/.wh..", ".wh..."] {
        let message = format!("whiteout {name:?} hides no name");
        check(new().file(name, b""), Err(&message));
    }
    // A device 0/0 is what overlayfs takes for a whiteout: it cannot be smuggled in.
    let device = new().entry(b'3', "sneaky", "", b"");
    let device = device.patch(329, b"0000000\0").patch(337, b"0000000\0");
    check(device, Ok(""));
    let opaque = new()
        .pax(&[("SCHILY.xattr.trusted.overlay.opaque", "y")])
        .directory("d");
    check(opaque, Ok("d/"));
}

#[test]
fn long_names_come_in_all_formats() {
    let long = "n".repeat(120);
    let gnu = new()
        .entry(b'L', "././@LongLink", "", format!("{long}\0").as_bytes())
        .entry(
            b'K',
            "././@LongLink",
            "",
            format!("{long}-target\0").as_bytes(),
        )
        .entry(b'2', "short", "short", b"");
    check(gnu, Ok(&format!("{long}->{long}-target")));
    let pax = new()
        .pax(&[("path", &long), ("linkpath", "ü")])
        .entry(b'2', "short", "short", b"");
    check(pax, Ok(&format!("{long}->ü")));
    let ustar = new().directory("x").patch(345, b"some/prefix");
    check(ustar, Ok("some/ some/prefix/ some/prefix/x/"));
}

#[test]
fn sparse_files_come_in_all_formats() {
    let expected = Ok("s=\0\0\0\0ab\0\0c\0");
    let pax_0_0 = new()
        .pax(&[
            ("GNU.sparse.size", "10"),
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.offset", "4"),
            ("GNU.sparse.numbytes", "2"),
            ("GNU.sparse.offset", "8"),
            ("GNU.sparse.numbytes", "1"),
        ])
        .file("s", b"abc");
    check(pax_0_0, expected);
    let pax_0_1 = new()
        .pax(&[
            ("GNU.sparse.size", "10"),
            ("GNU.sparse.map", "4,2,8,1"),
            ("GNU.sparse.name", "s"),
        ])
        .file("GNUSparseFile.1/s", b"abc");
    check(pax_0_1, expected);
    let mut stored = b"2\n4\n2\n8\n1\n".to_vec();
    stored.resize(512, 0);
    stored.extend(b"abc");
    let pax_1_0 = new()
        .pax(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "s"),
            ("GNU.sparse.realsize", "10"),
        ])
        .file("GNUSparseFile.1/s", &stored);
    check(pax_1_0, expected);
    let old = new()
        .entry(b'S', "s", "", b"")
        .patch(257, b"ustar  \0")
        .patch(345, &[0; 100])
        .patch(124, b"00000000003\0")
        .patch(386, b"00000000004\x0000000000002\0")
        .patch(483, b"00000000012\0");
    let continued = |old: Sample| {
        let mut more = [0; 512];
        more[..24].copy_from_slice(b"00000000010\x0000000000001\0");
        let mut contents = b"abc".to_vec();
        contents.resize(512, 0);
        old.patch(482, &[1]).bytes(&more).bytes(&contents)
    };
    check(continued(old), expected);
}

#[test]
fn a_giant_hole_costs_nothing_and_has_a_limit() {
    let giant = |size: &str| {
        new()
            .pax(&[("GNU.sparse.size", size), ("GNU.sparse.map", "")])
            .file("s", b"")
    };
    let out = tempfile::tempfile().unwrap();
    let archive = giant("1099511627776").end();
    unpack(&archive[..], out.try_clone().unwrap(), Limits::default()).unwrap();
    let layer = Layer::open(out.try_clone().unwrap()).unwrap();
    let attr = layer.attr(layer.resolve(b"s").unwrap()).unwrap();
    assert_eq!((attr.size, attr.blocks), (1 << 40, 0));
    let stretched =
        Err("layer's files with their holes stretch over more than 8796093022208 bytes");
    check(giant("18446744073709551615"), stretched);
    let lying = new()
        .pax(&[("GNU.sparse.size", "4"), ("GNU.sparse.map", "0,9")])
        .file("s", b"123456789");
    check(lying, Err("archive/tar: invalid sparse file map"));
}

#[test]
fn limits_are_kept() {
    let limits = Limits {
        entries: 3,
        bytes: 10,
        ..Limits::default()
    };
    let many = (0..5).fold(new(), |sample, n| sample.directory(&format!("d{n}")));
    check_limited(many, limits, Err("layer has more than 3 entries"));
    let large = new().file("f", b"more than ten");
    check_limited(large, limits, Err("layer's files hold more than 10 bytes"));
    let name = "n".repeat(300);
    let long = new().pax(&[("path", &name)]).file("x", b"");
    let message = format!("name {name:?} is longer than 255 bytes");
    check(long, Err(&message));
    let huge = new()
        .entry(b'x', "pax", "", b"")
        .patch(124, b"77777777777\0");
    check(huge, Err("archive/tar: header field too long"));
}

/// An archive of empty files that is made while it is read.
struct Endless {
    count: u64,
    block: Vec<u8>,
    at: usize,
}

impl Endless {
    fn of(count: u64) -> Endless {
        Endless {
            count,
            block: Vec::new(),
            at: 0,
        }
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() && self.count > 0 {
            self.count -= 1;
            let (folder, name) = (self.count / 1000, self.count % 1000);
            let entry = new().file(&format!("d{folder}/f{name}"), b"");
            self.block = entry.end();
            self.block.truncate(512);
            self.at = 0;
        }
        let count = (&self.block[self.at..]).read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

#[test]
fn many_entries_are_unpacked_and_more_than_may_be_refused() {
    let out = tempfile::tempfile().unwrap();
    let copy = out.try_clone().unwrap();
    unpack(Endless::of(20_000), copy, Limits::default()).unwrap();
    let layer = Layer::open(out).unwrap();
    for path in ["d0/f0", "d19/f999", "d5/f1"] {
        assert!(layer.resolve(path.as_bytes()).is_some(), "{path}");
    }
    let limits = Limits {
        entries: 5_000,
        ..Limits::default()
    };
    let out = tempfile::tempfile().unwrap();
    let error = unpack(Endless::of(u64::MAX), out, limits).unwrap_err();
    assert_eq!(error.to_string(), "layer has more than 5000 entries");
}

#[test]
fn a_failed_write_says_why() {
    let archive = new().file("a", b"1").end();
    let closed = File::open("/dev/null").unwrap();
    let error = unpack(&archive[..], closed, Limits::default()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("cannot write the layer's file: Invalid argument"),
        "{message}"
    );
}

#[test]
fn broken_archives_are_refused() {
    check(
        new().bytes(&[b'x'; 512]),
        Err("archive/tar: invalid tar header"),
    );
    check(
        new().entry(b'Z', "x", "", b""),
        Err("unhandled tar header type 90"),
    );
    check(
        new().bytes(&[0; 512]).file("x", b""),
        Err("archive/tar: invalid tar header"),
    );
    let whole = new().file("a", &[1; 2000]).file("b", &[2; 2000]).end();
    for length in [1, 100, 511, 513, 1000, 2559, 2561, 3100] {
        let error = packed(&whole[..length], Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), "unexpected EOF", "{length}");
    }
    // As for Go, an archive may lack its end.
    packed(&whole[..5120], Limits::default()).unwrap();
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_archives_never_panic(
        at in 0usize..4000,
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..12),
        fix in proptest::prelude::any::<bool>(),
    ) {
        let mut archive = new()
            .pax(&[("GNU.sparse.size", "10"), ("GNU.sparse.map", "4,2,8,1"), ("mtime", "1.5")])
            .file("s", b"abc")
            .entry(b'L', "././@LongLink", "", b"name\0")
            .entry(b'2', "short", "short", b"")
            .file(".wh.x", b"")
            .end();
        let at = at % (archive.len() - 12);
        archive[at..at + bytes.len()].copy_from_slice(&bytes);
        if fix {
            let start = at - at % 512;
            let mut block: [u8; 512] = archive[start..start + 512].try_into().unwrap();
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            archive[start + 148..start + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let limits = Limits { span: 1 << 40, ..Limits::default() };
        let _ = packed(&archive, limits);
    }
}
