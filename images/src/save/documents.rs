//! The lists of a saved archive, and the manifests that they lead to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::{DiffId, Digest};
use crate::manifest::{
    Descriptor, IMAGE_NAME, Index, Manifest, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, REF_NAME,
    describe,
};

use crate::reference::Reference;

use super::Packed;

const PLAIN_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Spaced as Docker writes it.
const LAYOUT: &[u8] = br#"{"imageLayoutVersion": "1.0.0"}"#;

pub(super) struct Documents {
    /// One for each image; its digest is its name.
    pub(super) manifests: Vec<Vec<u8>>,
    /// Files at the archive's root, sorted.
    pub(super) lists: Vec<(&'static str, Vec<u8>)>,
}

/// An image in `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    /// `null` where there are none.
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    layer_sources: BTreeMap<DiffId, Source>,
}

/// A descriptor in the order of Docker's older type.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    media_type: &'static str,
    size: u64,
    digest: DiffId,
}

impl Documents {
    pub(super) fn new(
        images: &[Packed],
        sizes: &BTreeMap<DiffId, u64>,
    ) -> Result<Documents, serde_json::Error> {
        let size = |diff: &DiffId| sizes.get(diff).copied().unwrap_or_default();
        let mut items = Vec::new();
        let mut index = Vec::new();
        let mut manifests = Vec::new();
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for image in images {
            let manifest = serde_json::to_vec(&manifest(image, size))?;
            let described = describe(OCI_MANIFEST, Digest::of(&manifest), manifest.len() as u64);
            manifests.push(manifest);
            index.extend(named(image, &described));
            items.push(item(image, images, size));
            let Some((top, _)) = image.layers.last() else {
                continue;
            };
            for name in &image.names {
                let tags = repositories.entry(name.repository().familiar());
                let tag = name.tag().unwrap_or_default().to_owned();
                tags.or_default().insert(tag, top.0.hex());
            }
        }
        let index = Index {
            schema_version: 2,
            media_type: OCI_INDEX.to_owned(),
            manifests: index,
        };
        let mut lists = vec![
            ("index.json", serde_json::to_vec(&index)?),
            ("manifest.json", line(&items)?),
            ("oci-layout", LAYOUT.to_vec()),
        ];
        if !repositories.is_empty() {
            lists.push(("repositories", line(&repositories)?));
        }
        Ok(Documents { manifests, lists })
    }
}

fn manifest(image: &Packed, size: impl Fn(&DiffId) -> u64) -> Manifest {
    let config = describe(OCI_CONFIG, image.id.0, image.config.len() as u64);
    let layers = image.layers.iter();
    let layers = layers.map(|(diff, _)| describe(PLAIN_LAYER, diff.0, size(diff)));
    Manifest::archived(config, layers.collect())
}

/// The image's entries in the index: one for each name.
fn named(image: &Packed, described: &Descriptor) -> Vec<Descriptor> {
    if image.names.is_empty() {
        return vec![described.clone()];
    }
    let entry = |name: &Reference| {
        let mut entry = described.clone();
        let tag = name.tag().unwrap_or_default();
        entry.annotations = BTreeMap::from([
            (IMAGE_NAME.to_owned(), name.to_string()),
            (REF_NAME.to_owned(), tag.to_owned()),
        ]);
        entry
    };
    image.names.iter().map(entry).collect()
}

fn item(image: &Packed, images: &[Packed], size: impl Fn(&DiffId) -> u64) -> Item {
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let names = image.names.iter().map(Reference::familiar);
    let source = |diff: &DiffId| Source {
        media_type: PLAIN_LAYER,
        size: size(diff),
        digest: *diff,
    };
    let parent = image.parent.as_ref();
    let parent = parent.filter(|parent| images.iter().any(|other| other.id == **parent));
    Item {
        config: blob(&image.id.0),
        repo_tags: Some(names.collect()).filter(|names: &Vec<_>| !names.is_empty()),
        layers: image.layers.iter().map(|(diff, _)| blob(&diff.0)).collect(),
        parent: parent.map(ToString::to_string),
        layer_sources: image
            .layers
            .iter()
            .map(|(diff, _)| (*diff, source(diff)))
            .collect(),
    }
}

/// As Go's encoder writes a document.
fn line(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::ImageId;

    /// What Docker 28.5 wrote for one image.
    #[test]
    fn the_lists_are_byte_for_byte_docker_s() {
        let digest = |hex: &str| Digest::from_hex(hex).unwrap();
        let layer = "39e26462865df249ca12631963ab796b76ad00503aa67f78dfd0619b54f84a2b";
        let config = "74f48f4f988c99e95678dcdb4c6584ac453d7d2576cccb4b1eb9918afe06b542";
        let diff = DiffId(digest(layer));
        let image = Packed {
            id: ImageId(digest(config)),
            config: vec![0; 899],
            created: 0,
            parent: None,
            names: vec!["hello-world:latest".parse().unwrap()],
            layers: vec![(diff, digest(layer))],
        };
        let documents = Documents::new(&[image], &BTreeMap::from([(diff, 686_080)])).unwrap();
        assert_eq!(
            Digest::of(&documents.manifests[0]).hex(),
            "17497727dd14b93eac9cc4cc34fc47e89312a084f6f9d2570e32d27dd9079646"
        );
        let lists: Vec<String> = documents
            .lists
            .iter()
            .map(|(name, bytes)| format!("{name} {}", String::from_utf8_lossy(bytes)))
            .collect();
        assert_eq!(
            lists,
            [
                r#"index.json {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:17497727dd14b93eac9cc4cc34fc47e89312a084f6f9d2570e32d27dd9079646","size":399,"annotations":{"io.containerd.image.name":"docker.io/library/hello-world:latest","org.opencontainers.image.ref.name":"latest"}}]}"#.to_owned(),
                format!("manifest.json [{{\"Config\":\"blobs/sha256/{config}\",\"RepoTags\":[\"hello-world:latest\"],\"Layers\":[\"blobs/sha256/{layer}\"],\"LayerSources\":{{\"sha256:{layer}\":{{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"size\":686080,\"digest\":\"sha256:{layer}\"}}}}}}]\n"),
                "oci-layout {\"imageLayoutVersion\": \"1.0.0\"}".to_owned(),
                format!("repositories {{\"hello-world\":{{\"latest\":\"{layer}\"}}}}\n"),
            ]
        );
    }
}
