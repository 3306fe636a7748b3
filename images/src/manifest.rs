//! Manifests and indexes, OCI's and Docker's: they differ in media types only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Platform;
use crate::digest::Digest;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// containerd's and Docker's annotation for an image's whole name.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// OCI's: a tag to some writers, a whole name to others.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A plain layer; compressed ones have `+gzip`, `.gzip` and the like behind it.
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// What is asked of registries, best first.
pub(crate) const READABLE: [&str; 4] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];
/// Marks what BuildKit attaches to an image and is none.
const ATTACHED: &str = "vnd.docker.reference.type";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(default)]
    pub media_type: String,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(default)]
    pub media_type: String,
    pub manifests: Vec<Descriptor>,
}

impl Descriptor {
    pub fn is_manifest(&self) -> bool {
        matches!(self.media_type.as_str(), OCI_MANIFEST | DOCKER_MANIFEST)
    }

    pub fn is_index(&self) -> bool {
        is_index(&self.media_type)
    }

    /// Whether this is an image's configuration, and not a chart's or a signature's.
    pub(crate) fn is_image_config(&self) -> bool {
        matches!(self.media_type.as_str(), OCI_CONFIG | DOCKER_CONFIG)
    }

    /// Whether this is a layer that comes from a registry.
    pub(crate) fn is_layer(&self) -> bool {
        let known = [OCI_LAYER, DOCKER_LAYER]
            .iter()
            .find_map(|kind| self.media_type.strip_prefix(kind));
        matches!(known, Some("" | "+gzip" | "+zstd" | ".gzip" | ".zstd"))
    }

    /// Whether this is an attestation or the like, which stands among images.
    pub fn is_attached(&self) -> bool {
        self.annotations.contains_key(ATTACHED)
    }
}

impl Manifest {
    /// The manifest of an image that came without one: Docker's, as dockerd would push it. There
    /// are scripts that ask registries for no other.
    pub(crate) fn made(mut config: Descriptor, mut layers: Vec<Descriptor>) -> Manifest {
        config.media_type = DOCKER_CONFIG.to_owned();
        for layer in &mut layers {
            if let Some(how) = layer.media_type.strip_prefix(OCI_LAYER) {
                layer.media_type = format!("{DOCKER_LAYER}{}", how.replace('+', "."));
            }
        }
        Manifest {
            schema_version: 2,
            media_type: DOCKER_MANIFEST.to_owned(),
            config,
            layers,
        }
    }

    /// OCI's, as archives have it.
    pub(crate) fn archived(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: OCI_MANIFEST.to_owned(),
            config,
            layers,
        }
    }
}

pub(crate) fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

pub(crate) fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// What a document says that it is itself.
pub(crate) fn media_type_of(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Header {
        #[serde(default)]
        media_type: String,
    }
    let header: Header = serde_json::from_slice(bytes).ok()?;
    Some(header.media_type).filter(|media_type| !media_type.is_empty())
}

/// A descriptor with nothing but the necessary.
pub(crate) fn describe(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        annotations: BTreeMap::new(),
        platform: None,
    }
}
