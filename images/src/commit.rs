//! Makes an image of another one and what was changed in a container of it.

use std::io::Read;

use jiff::Timestamp;

use crate::change::apply;
use crate::config::{History, RunConfig};
use crate::digest::{Digest, ImageId};
use crate::import::{ImportError, spool};
use crate::lease::{Lease, Spooled};
use crate::manifest::{Manifest, OCI_CONFIG, describe};
use crate::reference::Reference;
use crate::register::{Draft, ImageError, read_config};

/// What is said beside the layer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    pub name: Option<Reference>,
    pub author: String,
    pub comment: String,
    /// What the container ran, for the history.
    pub created_by: String,
    /// How containers of it run.
    pub config: RunConfig,
    /// Dockerfile instructions, applied to the configuration in order.
    pub changes: Vec<String>,
}

pub(crate) fn commit(
    lease: &Lease,
    parent: &ImageId,
    layer: impl Read,
    commit: &Commit,
) -> Result<ImageId, ImportError> {
    let mut run = commit.config.clone();
    for change in &commit.changes {
        apply(&mut run, change)?;
    }
    let (manifest, config) = inherited(lease, parent)?;
    let (layer, media_type) = spool(lease, layer)?;
    let created = Some(Timestamp::now());
    let mut config = read_config(&config, manifest.layers.len())?;
    config.rootfs.diff_ids.push(lease.diff_of(&layer.path)?);
    config.history.push(History {
        created,
        created_by: commit.created_by.clone(),
        author: commit.author.clone(),
        comment: commit.comment.clone(),
        ..History::default()
    });
    config.created = created;
    config.author.clone_from(&commit.author);
    config.comment.clone_from(&commit.comment);
    config.config = run;
    let config = serde_json::to_vec(&config).map_err(ImageError::Configuration)?;
    let described = describe(OCI_CONFIG, Digest::of(&config), config.len() as u64);
    let mut layers = manifest.layers;
    let mut blobs: Vec<Spooled> = layers
        .iter()
        .map(|layer| Spooled {
            path: lease.store.layout.blob(&layer.digest),
            digest: layer.digest,
            size: layer.size,
        })
        .collect();
    layers.push(describe(media_type, layer.digest, layer.size));
    blobs.push(layer);
    let manifest = Manifest::made(described, layers);
    let draft = Draft {
        config,
        manifest: serde_json::to_vec(&manifest).map_err(ImageError::Configuration)?,
        layers: blobs,
        parent: Some(*parent),
    };
    let names: Vec<Reference> = commit.name.iter().cloned().collect();
    Ok(lease.register(&draft, &names, &mut |_| {})?.image)
}

/// The parent's manifest and configuration, its blobs kept until the lease ends.
fn inherited(lease: &Lease, parent: &ImageId) -> Result<(Manifest, Vec<u8>), ImportError> {
    let held = lease.hold(parent)?;
    Ok((held.manifest, lease.store.blob_bytes(&parent.0)?))
}
