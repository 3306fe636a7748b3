//! Layers and requests for tests.

use std::fs::File;

use hull_layer::{BuildError, Builder, Layer, Limits, Meta, Timestamp};

use super::abi::IN_HEADER;
use super::backend::Layers;

/// Longer than a page, and different everywhere.
pub(super) fn large() -> Vec<u8> {
    (0..20_000_u32).flat_map(u32::to_le_bytes).collect()
}

pub(super) fn meta(mode: u32) -> Meta {
    let mtime = Timestamp {
        secs: 1_700_000_000,
        nanos: 7,
    };
    Meta {
        mode,
        uid: 10,
        gid: 20,
        mtime,
        xattrs: Vec::new(),
    }
}

pub(super) fn put(builder: &mut Builder, path: &str, bytes: &[u8]) -> Result<(), BuildError> {
    let mut file = builder.file(path.as_bytes(), meta(0o640))?;
    file.append(bytes)?;
    file.finish()
}

pub(super) fn layer(fill: impl FnOnce(&mut Builder) -> Result<(), BuildError>) -> File {
    let file = tempfile::tempfile().unwrap();
    let mut builder = Builder::new(file.try_clone().unwrap(), Limits::default()).unwrap();
    fill(&mut builder).unwrap();
    builder.finish().unwrap();
    file
}

/// Two layers: files of all kinds below, an opaque directory and a whiteout above.
pub(super) fn files() -> Vec<File> {
    let lower = layer(|builder| {
        put(builder, "etc/motd", b"hello\n")?;
        put(builder, "large", &large())?;
        builder.symlink(b"link", b"etc/motd", meta(0o777))?;
        builder.hardlink(b"etc/again", b"etc/motd")?;
        let mut sparse = builder.file(b"sparse", meta(0o600))?;
        sparse.skip(1 << 20)?;
        sparse.append(b"end")?;
        sparse.finish()?;
        (0..100).try_for_each(|number| put(builder, &format!("many/{number:03}"), b""))
    });
    let upper = layer(|builder| {
        let xattrs = vec![(b"user.color".to_vec(), b"blue".to_vec())];
        builder.directory(
            b"etc",
            Meta {
                xattrs,
                ..meta(0o755)
            },
        )?;
        builder.opaque(b"etc")?;
        builder.whiteout(b"large")
    });
    vec![lower, upper]
}

pub(super) fn open(files: Vec<File>) -> Layers {
    Layers::new(
        files
            .into_iter()
            .map(|file| Layer::open(file).unwrap())
            .collect(),
    )
}

/// The bytes of a request.
pub(super) fn request(opcode: u32, unique: u64, node: u64, arguments: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(((IN_HEADER + arguments.len()) as u32).to_le_bytes());
    bytes.extend(opcode.to_le_bytes());
    bytes.extend(unique.to_le_bytes());
    bytes.extend(node.to_le_bytes());
    bytes.extend([0; 16]);
    bytes.extend(arguments);
    bytes
}

/// `struct fuse_read_in`.
pub(super) fn read(offset: u64, size: u32) -> Vec<u8> {
    let mut bytes = vec![0xee; 8];
    bytes.extend(offset.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend([0; 20]);
    bytes
}

/// `struct fuse_getxattr_in` and a name.
pub(super) fn xattr(size: u32, name: &[u8]) -> Vec<u8> {
    let mut bytes = size.to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.extend(name);
    bytes
}

/// `struct fuse_init_in`.
pub(super) fn init(major: u32, minor: u32, features: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [
        major,
        minor,
        131_072,
        features as u32,
        (features >> 32) as u32,
    ] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([0; 44]);
    bytes
}

/// `struct fuse_lseek_in`.
pub(super) fn seek(offset: u64, whence: i32) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend(offset.to_le_bytes());
    bytes.extend(whence.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}
