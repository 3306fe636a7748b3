//! A finished layer as text, one line for each name, for comparing with what was expected.

use std::fs::File;

use hull_layer::{FileKind, Ino, Layer};

pub(crate) fn open(file: File) -> Layer {
    let layer = Layer::open(file).expect("finished layer opens");
    layer.verify().expect("finished layer is sound");
    layer
}

/// `path kind mode uid:gid detail [xattrs]`, sorted by path as a walk meets them.
pub(crate) fn lines(layer: &Layer) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending = vec![(String::new(), Layer::ROOT)];
    while let Some((path, ino)) = pending.pop() {
        lines.push(line(layer, &path, ino));
        let entries = layer.entries(ino, 0).collect::<Vec<_>>();
        for entry in entries.into_iter().rev() {
            let name = String::from_utf8_lossy(entry.name);
            pending.push((format!("{path}/{name}"), entry.ino));
        }
    }
    lines
}

fn line(layer: &Layer, path: &str, ino: Ino) -> String {
    let attr = layer.attr(ino).expect("listed inode has attributes");
    let path = if path.is_empty() { "/" } else { path };
    let detail = match attr.kind {
        FileKind::File => format!("file {:?}", String::from_utf8_lossy(&contents(layer, ino))),
        FileKind::Directory => "dir".to_owned(),
        FileKind::Symlink => {
            let target = layer.readlink(ino).expect("symlink has a target");
            format!("-> {}", String::from_utf8_lossy(target))
        }
        FileKind::Char if attr.is_whiteout() => "whiteout".to_owned(),
        kind => format!("{kind:?} {:x}", attr.rdev),
    };
    let links = match attr.kind {
        FileKind::Directory => String::new(),
        _ if attr.nlink == 1 => String::new(),
        _ => format!(" x{}", attr.nlink),
    };
    let xattrs = layer.xattrs(ino).map(|(key, value)| {
        format!(
            " {}={}",
            String::from_utf8_lossy(key),
            String::from_utf8_lossy(value)
        )
    });
    format!(
        "{path} {detail} {:o}{links}{}",
        attr.mode & 0o7777,
        xattrs.collect::<String>()
    )
}

pub(crate) fn contents(layer: &Layer, ino: Ino) -> Vec<u8> {
    let (_, length) = layer.extent(ino).expect("regular file has an extent");
    let mut bytes = vec![0; length as usize];
    let mut at = 0;
    while at < bytes.len() {
        let read = layer
            .read_at(ino, at as u64, &mut bytes[at..])
            .expect("readable contents");
        assert_ne!(read, 0, "contents end early");
        at += read;
    }
    assert_eq!(
        layer
            .read_at(ino, length, &mut [0])
            .expect("read at the end"),
        0
    );
    bytes
}
