//! Makes an image of one layer from the tar of a root file system.

use std::io::Read;

use jiff::Timestamp;
use serde_json::Map;

use crate::change::{ChangeError, apply};
use crate::compression::{Compression, decode};
use crate::config::{History, ImageConfig, Platform, RootFs, RunConfig};
use crate::digest::{Digest, ImageId};
use crate::error::StoreError;
use crate::layers::LayerError;
use crate::lease::{Lease, Spooled};
use crate::manifest::{Manifest, OCI_CONFIG, describe};
use crate::reference::Reference;
use crate::register::{Draft, ImageError};
use crate::tar::TarError;
use crate::unpack::UnpackError;

/// What is said beside the tar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Import {
    pub name: Option<Reference>,
    /// For the history; `Imported from -` if there is none.
    pub message: Option<String>,
    /// Dockerfile instructions, applied in order.
    pub changes: Vec<String>,
    /// The host's if not given.
    pub platform: Option<Platform>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(transparent)]
    Tar(#[from] TarError),
    #[error(transparent)]
    Image(ImageError),
    #[error("the archive is longer than {limit} bytes")]
    TooLong { limit: u64 },
}

impl From<ImageError> for ImportError {
    /// There is but one layer, and whoever imports does not know it by a digest.
    fn from(error: ImageError) -> ImportError {
        match error {
            ImageError::Layer(LayerError::Unpack {
                source: UnpackError::Tar(error),
                ..
            }) => ImportError::Tar(error),
            error => ImportError::Image(error),
        }
    }
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> ImportError {
        ImportError::Image(ImageError::Layer(LayerError::Store(error)))
    }
}

pub(crate) fn import(
    lease: &Lease,
    stream: impl Read,
    import: &Import,
) -> Result<ImageId, ImportError> {
    let mut run = RunConfig::default();
    for change in &import.changes {
        apply(&mut run, change)?;
    }
    let (layer, media_type) = spool(lease, stream)?;
    let created = Some(Timestamp::now());
    let comment = import.message.clone().filter(|text| !text.is_empty());
    let comment = comment.unwrap_or_else(|| "Imported from -".to_owned());
    let config = ImageConfig {
        created,
        author: String::new(),
        comment: comment.clone(),
        platform: import.platform.clone().unwrap_or_else(Platform::host),
        config: run,
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: vec![lease.diff_of(&layer.path)?],
        },
        history: vec![History {
            created,
            comment,
            ..History::default()
        }],
        docker_version: String::new(),
        other: Map::new(),
    };
    let config = serde_json::to_vec(&config).map_err(ImageError::Configuration)?;
    let described = describe(OCI_CONFIG, Digest::of(&config), config.len() as u64);
    let layers = vec![describe(media_type, layer.digest, layer.size)];
    let manifest = Manifest::made(described, layers);
    let draft = Draft {
        config,
        manifest: serde_json::to_vec(&manifest).map_err(ImageError::Configuration)?,
        layers: vec![layer],
        parent: None,
    };
    let names: Vec<Reference> = import.name.iter().cloned().collect();
    Ok(lease.register(&draft, &names, &mut |_| {})?.image)
}

/// Spools the stream as it is where layers may be compressed so, and plain where not.
pub(crate) fn spool(
    lease: &Lease,
    stream: impl Read,
) -> Result<(Spooled, &'static str), ImportError> {
    let copy = |reader: &mut dyn Read| {
        lease.spool(|buffer| -> Result<usize, ImportError> {
            Ok(reader.read(buffer).map_err(TarError::from)?)
        })
    };
    let limit = lease.store.options.stream_bytes;
    // One more byte than there may be tells that there are more.
    let raw = copy(&mut stream.take(limit.saturating_add(1)))?;
    if raw.size > limit {
        return Err(ImportError::TooLong { limit });
    }
    let file = std::fs::File::open(&raw.path).map_err(StoreError::file("open", &raw.path))?;
    let (compression, mut plain) = decode(file, limit).map_err(TarError::from)?;
    if let Some(media_type) = compression.layer_media_type() {
        return Ok((raw, media_type));
    }
    let plain = copy(&mut plain)?;
    let media_type = Compression::None.layer_media_type();
    Ok((plain, media_type.unwrap_or_default()))
}
