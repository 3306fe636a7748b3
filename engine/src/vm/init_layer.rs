//! The layer between the image and what the container writes: the places that Docker's engine
//! makes before a container starts, so that they are no change of the container's.
//!
//! Only what the image lacks is in it, and the folders above that, as the image has them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hull_layer::{BuildError, Builder, FileKind, Ino, Layer, Limits, Meta, OpenError};

use super::VmError;

/// What is made, in order.
const PLACES: [(&str, Place); 10] = [
    (".dockerenv", Place::File),
    ("dev/console", Place::File),
    ("dev/pts", Place::Folder),
    ("dev/shm", Place::Folder),
    ("etc/hostname", Place::File),
    ("etc/hosts", Place::File),
    ("etc/mtab", Place::Link("/proc/mounts")),
    ("etc/resolv.conf", Place::File),
    ("proc", Place::Folder),
    ("sys", Place::Folder),
];

#[derive(Clone, Copy)]
enum Place {
    File,
    Folder,
    Link(&'static str),
}

/// Why it cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InitLayerError {
    /// A layer of the image cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A layer of the image cannot be opened.
    #[error(transparent)]
    File(#[from] io::Error),
    /// It cannot be written.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Makes it for an image with these layers, the lowest first, unless it is there.
pub(super) fn ensure(layers: &[PathBuf], path: &Path) -> Result<(), VmError> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = [0; 8];
    crate::random::fill(&mut name).map_err(VmError::step("get random bytes"))?;
    let part = folder.join(format!("{}.part", hex::encode(name)));
    let made = build(layers, &part)
        .map_err(VmError::InitLayer)
        .and_then(|()| fs::rename(&part, path).map_err(VmError::file("make", path)));
    made.inspect_err(|_| {
        // What there is of it is of no use; the error matters more than a failed removal.
        let _ = fs::remove_file(&part);
    })
}

fn build(layers: &[PathBuf], path: &Path) -> Result<(), InitLayerError> {
    let mut image = Vec::new();
    for layer in layers.iter().rev() {
        image.push(Layer::open(File::open(layer)?)?);
    }
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let synced = file.try_clone()?;
    let mut builder = Builder::new(file, Limits::default())?;
    if let Some(root) = find(&image, b"") {
        builder.directory(b"", root)?;
    }
    for (name, place) in PLACES {
        if exists(&image, name.as_bytes()) {
            continue;
        }
        if let Some((parent, _)) = name.rsplit_once('/') {
            match find(&image, parent.as_bytes()) {
                Some(meta) => builder.directory(parent.as_bytes(), meta)?,
                // A link or a file where a folder would be: the image's own way of having it.
                None if exists(&image, parent.as_bytes()) => continue,
                None => {}
            }
        }
        let name = name.as_bytes();
        let meta = Meta {
            mode: 0o755,
            ..Meta::default()
        };
        match place {
            Place::Folder => builder.directory(name, meta)?,
            Place::File => builder.file(name, meta)?.finish()?,
            Place::Link(target) => builder.symlink(name, target.as_bytes(), meta)?,
        }
    }
    builder.finish()?;
    synced.sync_all()?;
    Ok(())
}

/// What the stack of layers, the highest first, says about a path.
enum Sight<'l> {
    Here(&'l Layer, Ino),
    Hidden,
    /// This layer says nothing.
    Silent,
}

fn look<'l>(layer: &'l Layer, path: &[u8]) -> Sight<'l> {
    let mut at = Layer::ROOT;
    let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
    for part in parts {
        let opaque = layer.xattr(at, b"trusted.overlay.opaque").is_some();
        match layer.lookup(at, part) {
            Some(found) => at = found,
            None if opaque => return Sight::Hidden,
            None => return Sight::Silent,
        }
        match layer.attr(at) {
            Some(attr) if attr.is_whiteout() => return Sight::Hidden,
            Some(_) => {}
            None => return Sight::Silent,
        }
    }
    Sight::Here(layer, at)
}

fn top<'l>(image: &'l [Layer], path: &[u8]) -> Option<(&'l Layer, Ino)> {
    for layer in image {
        match look(layer, path) {
            Sight::Here(layer, ino) => return Some((layer, ino)),
            Sight::Hidden => return None,
            Sight::Silent => {}
        }
    }
    None
}

fn exists(image: &[Layer], path: &[u8]) -> bool {
    top(image, path).is_some()
}

/// How a folder looks.
fn find(image: &[Layer], path: &[u8]) -> Option<Meta> {
    let (layer, ino) = top(image, path)?;
    let attr = layer.attr(ino)?;
    (attr.kind == FileKind::Directory).then(|| Meta {
        mode: attr.mode & 0o7777,
        uid: attr.uid,
        gid: attr.gid,
        mtime: attr.mtime,
        xattrs: layer
            .xattrs(ino)
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(folder: &Path, name: &str, make: impl FnOnce(&mut Builder)) -> PathBuf {
        let path = folder.join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        let mut builder = Builder::new(file.unwrap(), Limits::default()).unwrap();
        make(&mut builder);
        builder.finish().unwrap();
        path
    }

    fn meta(mode: u32) -> Meta {
        Meta {
            mode,
            uid: 3,
            ..Meta::default()
        }
    }

    /// Paths of the init layer with their modes.
    fn made(folder: &Path, layers: &[PathBuf]) -> Vec<(String, u32)> {
        let path = folder.join("init.layer");
        ensure(layers, &path).unwrap();
        ensure(layers, &path).unwrap();
        let layer = Layer::open(File::open(&path).unwrap()).unwrap();
        let mut waiting = vec![(Layer::ROOT, String::new())];
        let mut seen = Vec::new();
        while let Some((dir, prefix)) = waiting.pop() {
            for entry in layer.entries(dir, 0) {
                let name = format!("{prefix}{}", String::from_utf8_lossy(entry.name));
                let attr = layer.attr(entry.ino).unwrap();
                seen.push((name.clone(), attr.mode & 0o7777));
                if attr.kind == FileKind::Directory {
                    waiting.push((entry.ino, format!("{name}/")));
                }
            }
        }
        seen.sort();
        seen
    }

    #[test]
    fn an_empty_image_gets_everything() {
        let folder = tempfile::tempdir().unwrap();
        let empty = layer(folder.path(), "0", |_| {});
        let names: Vec<String> = made(folder.path(), &[empty])
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            [
                ".dockerenv",
                "dev",
                "dev/console",
                "dev/pts",
                "dev/shm",
                "etc",
                "etc/hostname",
                "etc/hosts",
                "etc/mtab",
                "etc/resolv.conf",
                "proc",
                "sys",
            ]
        );
    }

    #[test]
    fn what_the_image_has_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let low = layer(folder.path(), "0", |b| {
            b.directory(b"etc", meta(0o700)).unwrap();
            b.file(b"etc/hosts", meta(0o644)).unwrap().finish().unwrap();
            b.file(b"etc/mtab", meta(0o644)).unwrap().finish().unwrap();
            b.directory(b"proc", meta(0o555)).unwrap();
            b.directory(b"dev/pts", meta(0o755)).unwrap();
        });
        let high = layer(folder.path(), "1", |b| {
            b.directory(b"etc", meta(0o700)).unwrap();
            b.whiteout(b"etc/mtab").unwrap();
            b.symlink(b"sys", b"/elsewhere", meta(0)).unwrap();
            b.directory(b"dev", meta(0o711)).unwrap();
            b.opaque(b"dev").unwrap();
        });
        let made = made(folder.path(), &[low, high]);
        let mode = |name: &str| made.iter().find(|(n, _)| n == name).map(|(_, mode)| *mode);
        assert_eq!(mode("etc"), Some(0o700));
        assert_eq!(mode("dev"), Some(0o711));
        for absent in ["etc/hosts", "proc", "sys"] {
            assert_eq!(mode(absent), None, "{absent}");
        }
        for present in ["etc/mtab", "etc/hostname", "dev/pts"] {
            assert!(mode(present).is_some(), "{present}");
        }
    }
}
