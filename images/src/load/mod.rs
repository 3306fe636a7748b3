//! Loads images from an archive: what `docker save` writes, or an OCI layout in a tar.
//!
//! ```text
//!   stream ──► archive: every file spooled aside and hashed, in whatever order it comes
//!                 └──► docker (manifest.json), oci (index.json) or legacy (before Docker 1.10):
//!                 drafts of images with names
//!                         └──► register: layers checked and unpacked, blobs adopted, tags set
//! ```
//!
//! Nothing is in the store before its digests were checked, and nothing stays of an archive that
//! is refused. Of an archive that is laid out in several ways, Docker's list counts first.

mod archive;
mod docker;
mod legacy;
mod oci;
#[cfg(test)]
mod tests;

use std::io::Read;

use crate::compression::decode;
use crate::config::Platform;
use crate::digest::{Digest, DigestError, ImageId};
use crate::error::StoreError;
use crate::layers::{LayerError, Watcher};
use crate::lease::Lease;
use crate::reference::{Reference, ReferenceError};
use crate::register::{Draft, ImageError, read_config};
use crate::tar::TarError;
use archive::Archive;

/// A manifest, an index or a configuration: as much as registries take.
const MAX_DOCUMENT: u64 = 4 << 20;

/// An image that an archive held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub image: ImageId,
    /// `None`: the archive gives it no name.
    pub name: Option<Reference>,
    /// The other image that had this name, and has it no more.
    pub replaced: Option<ImageId>,
}

/// Why an archive was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Tar(#[from] TarError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("invalid archive: does not contain a manifest.json")]
    NoManifest,
    #[error("invalid archive: {0} is missing")]
    Missing(String),
    #[error("invalid archive: {path} has digest {found}")]
    Mismatch { path: String, found: Digest },
    #[error("invalid archive: {path}: {source}")]
    Document {
        path: String,
        source: serde_json::Error,
    },
    #[error("invalid archive: {path} is longer than {limit} bytes")]
    DocumentTooLong { path: String, limit: u64 },
    #[error("invalid archive: {path}: {source}")]
    Digest { path: String, source: DigestError },
    #[error("invalid archive: more than {limit} files")]
    TooManyFiles { limit: usize },
    #[error("invalid archive: a name of {length} bytes")]
    NameTooLong { length: usize },
    #[error("invalid archive: indexes are nested too deep")]
    NestedTooDeep,
    #[error("invalid tag {name:?}: {source}")]
    Name {
        name: String,
        source: ReferenceError,
    },
    #[error("requested platform ({0}) not found: the archive has no image for it")]
    Platform(Platform),
    #[error("layer {0} is compressed in a way that images do not use")]
    LayerCompression(String),
}

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> LoadError {
        LoadError::Image(ImageError::Layer(LayerError::Store(error)))
    }
}

/// An image of an archive, with the names that it has there.
struct Candidate {
    draft: Draft,
    names: Vec<Reference>,
}

pub(crate) fn load(
    lease: &Lease,
    stream: impl Read,
    platform: Option<&Platform>,
    watcher: Watcher<'_>,
) -> Result<Vec<Loaded>, LoadError> {
    let (_, plain) = decode(stream, lease.store.options.archive_bytes).map_err(TarError::from)?;
    let archive = Archive::read(plain, lease)?;
    let candidates = match archive.find(docker::MANIFEST) {
        Some(_) => docker::images(&archive)?,
        None if archive.find(oci::INDEX).is_some() => oci::images(&archive, platform)?,
        None if legacy::is_here(&archive) => legacy::images(&archive, lease)?,
        None => return Err(LoadError::NoManifest),
    };
    let candidates = match platform {
        Some(platform) => fitting(candidates, platform)?,
        None => candidates,
    };
    let mut ready = Vec::new();
    for candidate in &candidates {
        let image = lease.prepare(&candidate.draft, watcher)?;
        ready.push((image, &candidate.names[..]));
    }
    let mut loaded = Vec::new();
    for (registered, candidate) in lease.commit(&ready)?.into_iter().zip(candidates) {
        let image = registered.image;
        if candidate.names.is_empty() {
            loaded.push(Loaded {
                image,
                name: None,
                replaced: None,
            });
        }
        for (name, replaced) in candidate.names.into_iter().zip(registered.replaced) {
            loaded.push(Loaded {
                image,
                name: Some(name),
                replaced,
            });
        }
    }
    Ok(loaded)
}

/// The images for a platform; there must be one.
fn fitting(candidates: Vec<Candidate>, platform: &Platform) -> Result<Vec<Candidate>, LoadError> {
    let mut kept = Vec::new();
    for candidate in candidates {
        let config = read_config(&candidate.draft.config, candidate.draft.layers.len())?;
        if config.platform.provides(platform) {
            kept.push(candidate);
        }
    }
    match kept.is_empty() {
        true => Err(LoadError::Platform(platform.clone())),
        false => Ok(kept),
    }
}
