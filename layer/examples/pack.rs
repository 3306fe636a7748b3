//! Packs a directory of this host into a layer, for trying things out: an overlay's upper
//! directory too, with its whiteouts and opaque directories. Other attributes are left out.
//!
//! `cargo run -p hull-layer --example pack DIRECTORY LAYER`

use std::error::Error;
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{env, io};

use hull_layer::{Builder, DeviceKind, Limits, Meta, Timestamp};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .collect::<Vec<_>>();
    let [directory, layer] = &arguments[..] else {
        return Err("usage: pack DIRECTORY LAYER".into());
    };
    let mut builder = Builder::new(File::create(layer)?, Limits::default())?;
    builder.directory(b"", meta(&fs::metadata(directory)?))?;
    let mut pending = vec![directory.clone()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(at)? {
            let path = entry?.path();
            let metadata = fs::symlink_metadata(&path)?;
            add(
                &mut builder,
                &path,
                path.strip_prefix(directory)?,
                &metadata,
            )?;
            if metadata.is_dir() {
                pending.push(path);
            }
        }
    }
    println!("{:?}", builder.finish()?);
    Ok(())
}

fn add(
    builder: &mut Builder,
    path: &Path,
    name: &Path,
    metadata: &Metadata,
) -> Result<(), Box<dyn Error>> {
    let (name, meta) = (name.as_os_str().as_bytes(), meta(metadata));
    let kind = metadata.file_type();
    if kind.is_dir() {
        builder.directory(name, meta)?;
        let mut value = [0; 1];
        if rustix::fs::lgetxattr(path, c"trusted.overlay.opaque", &mut value) == Ok(1) {
            builder.opaque(name)?;
        }
    } else if kind.is_symlink() {
        builder.symlink(name, fs::read_link(path)?.as_os_str().as_bytes(), meta)?;
    } else if kind.is_file() {
        let mut writer = builder.file(name, meta)?;
        io::copy(&mut File::open(path)?, &mut writer)?;
        writer.finish()?;
    } else {
        let (major, minor) = (metadata.rdev() >> 8 & 0xfff, metadata.rdev() & 0xff);
        let device = match () {
            () if kind.is_char_device() => DeviceKind::Char,
            () if kind.is_block_device() => DeviceKind::Block,
            () if kind.is_fifo() => DeviceKind::Fifo,
            () => DeviceKind::Socket,
        };
        builder.device(name, device, major as u32, minor as u32, meta)?;
    }
    Ok(())
}

fn meta(metadata: &Metadata) -> Meta {
    Meta {
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: Timestamp {
            secs: metadata.mtime(),
            nanos: metadata.mtime_nsec() as u32,
        },
        xattrs: Vec::new(),
    }
}
