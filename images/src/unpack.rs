//! Turns a layer's tar into a packed layer.
//!
//! The archive's names mean what they mean to Docker: `.wh.x` hides `x` of the layers below,
//! `.wh..wh..opq` hides all that the layers below have in its directory, and other names that
//! start with `.wh..wh.` are aufs's own and mean nothing. Everything else about paths is
//! contained by [`hull_layer::Builder`].

use std::fs::File;
use std::io::{self, Read};

use hull_layer::{BuildError, Builder, DeviceKind, Limits, Summary};

use crate::tar::{Entry, Kind, Reader, Segment, TarError};

const BUFFER: usize = 128 << 10;
const WHITEOUT: &[u8] = b".wh.";
const META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error(transparent)]
    Tar(#[from] TarError),
    #[error(transparent)]
    Build(BuildError),
    /// A full disk, most likely: the reason is part of the message.
    #[error("cannot write the layer's file: {0}")]
    Write(#[source] io::Error),
    #[error("whiteout {path:?} hides no name")]
    Whiteout { path: String },
}

impl From<BuildError> for UnpackError {
    fn from(error: BuildError) -> UnpackError {
        match error {
            BuildError::Write { source } => UnpackError::Write(source),
            error => UnpackError::Build(error),
        }
    }
}

/// Unpacks the plain tar `archive` into `out`, and reads `archive` to its end.
pub fn unpack(archive: impl Read, out: File, limits: Limits) -> Result<Summary, UnpackError> {
    let mut reader = Reader::new(archive);
    let mut builder = Builder::new(out, limits)?;
    let mut buffer = vec![0; BUFFER];
    while let Some(entry) = reader.entry()? {
        add(&mut builder, &mut reader, entry, &mut buffer)?;
    }
    // Padding behind the end of the archive is part of what was hashed.
    io::copy(&mut reader.into_inner(), &mut io::sink()).map_err(TarError::from)?;
    Ok(builder.finish()?)
}

fn add<R: Read>(
    builder: &mut Builder,
    reader: &mut Reader<R>,
    entry: Entry,
    buffer: &mut [u8],
) -> Result<(), UnpackError> {
    let Entry {
        path, kind, meta, ..
    } = entry;
    let (parent, name) = split(&path);
    if name.starts_with(META) {
        if name == OPAQUE {
            builder.opaque(parent)?;
        }
        return Ok(());
    }
    if let Some(hidden) = name.strip_prefix(WHITEOUT) {
        if matches!(hidden, b"" | b"." | b"..") {
            let path = String::from_utf8_lossy(&path).into_owned();
            return Err(UnpackError::Whiteout { path });
        }
        let hidden = [parent, b"/", hidden].concat();
        // Joined so that a parent of "" stays relative.
        let hidden = if parent.is_empty() {
            &hidden[1..]
        } else {
            &hidden
        };
        return Ok(builder.whiteout(hidden)?);
    }
    match kind {
        Kind::Directory => builder.directory(&path, meta)?,
        Kind::Symlink(target) => builder.symlink(&path, &target, meta)?,
        Kind::HardLink(existing) => builder.hardlink(&path, &existing)?,
        // Only a whiteout's name makes a whiteout: a bare 0/0 device would hide files, too.
        Kind::Device {
            kind: DeviceKind::Char,
            major: 0,
            minor: 0,
        } => {}
        Kind::Device { kind, major, minor } => {
            builder.device(&path, kind, major, minor, meta)?;
        }
        Kind::File => {
            let mut file = builder.file(&path, meta)?;
            loop {
                match reader.segment(buffer)? {
                    Segment::Data(count) => file.append(buffer.get(..count).unwrap_or_default())?,
                    Segment::Hole(length) => file.skip(length)?,
                    Segment::End => break,
                }
            }
            file.finish()?;
        }
    }
    Ok(())
}

/// The directory part and the last name of a path; slashes at its end do not count.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|&byte| byte != b'/');
    let path = path.get(..end.map_or(0, |end| end + 1)).unwrap_or_default();
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
#[path = "unpack_many_tests.rs"]
mod many_tests;
#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
