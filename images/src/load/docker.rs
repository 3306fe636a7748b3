//! `manifest.json`: Docker's list of the images in an archive.

use serde::Deserialize;

use crate::compression::Compression;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::lease::Spooled;
use crate::manifest::{Descriptor, Manifest, OCI_CONFIG, describe};
use crate::reference::Reference;
use crate::register::Draft;

use super::archive::Archive;
use super::{Candidate, LoadError, oci};

pub(super) const MANIFEST: &str = "manifest.json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

pub(super) fn images(archive: &Archive) -> Result<Vec<Candidate>, LoadError> {
    let items: Vec<Item> = archive.json(MANIFEST)?;
    // Since Docker 25 the same archive is an OCI layout with the images' own manifests.
    let known = match archive.find(oci::INDEX) {
        Some(_) => oci::manifests(archive)?,
        None => Vec::new(),
    };
    items
        .iter()
        .map(|item| image(archive, item, &known))
        .collect()
}

fn image(
    archive: &Archive,
    item: &Item,
    known: &[(Vec<u8>, Manifest)],
) -> Result<Candidate, LoadError> {
    let spooled = archive.get(&item.config)?;
    // The name says the digest: `<hex>.json`, or a blob's path.
    let name = item.config.rsplit('/').next().unwrap_or_default();
    let stated = Digest::from_hex(name.strip_suffix(".json").unwrap_or(name));
    if stated.is_ok_and(|stated| stated != spooled.digest) {
        return Err(LoadError::Mismatch {
            path: item.config.clone(),
            found: spooled.digest,
        });
    }
    let config = archive.bytes(spooled, &item.config)?;
    let paths = item.layers.as_deref().unwrap_or_default();
    let layers = paths.iter().map(|path| layer(archive, path));
    let layers: Vec<Spooled> = layers.collect::<Result<_, _>>()?;
    let digests: Vec<Digest> = layers.iter().map(|layer| layer.digest).collect();
    let original = known.iter().find(|(_, manifest)| {
        manifest.config.digest == spooled.digest
            && manifest
                .layers
                .iter()
                .map(|layer| layer.digest)
                .eq(digests.iter().copied())
    });
    let manifest = match original {
        Some((bytes, _)) => bytes.clone(),
        None => made(describe(OCI_CONFIG, spooled.digest, spooled.size), &layers)?,
    };
    let names = item.repo_tags.iter().flatten().map(|name| tagged(name));
    Ok(Candidate {
        names: names.collect::<Result<_, _>>()?,
        draft: Draft {
            config,
            manifest,
            layers,
            parent: None,
        },
    })
}

/// A layer's file; where it is named as a blob it must be that blob.
fn layer(archive: &Archive, path: &str) -> Result<Spooled, LoadError> {
    match path.strip_prefix("blobs/sha256/").map(Digest::from_hex) {
        Some(Ok(digest)) => archive.blob(&digest).cloned(),
        _ => archive.get(path).cloned(),
    }
}

fn tagged(name: &str) -> Result<Reference, LoadError> {
    let parsed: Result<Reference, _> = name.parse();
    let reference = parsed.map_err(|source| LoadError::Name {
        name: name.to_owned(),
        source,
    })?;
    Ok(reference.or_latest())
}

/// A manifest for an image that came without one.
pub(super) fn made(config: Descriptor, layers: &[Spooled]) -> Result<Vec<u8>, LoadError> {
    let layers = layers.iter().map(|layer| {
        let media_type = media_type(layer)?;
        Ok(describe(media_type, layer.digest, layer.size))
    });
    let layers = layers.collect::<Result<_, LoadError>>()?;
    serde_json::to_vec(&Manifest::made(config, layers)).map_err(|source| LoadError::Document {
        path: MANIFEST.to_owned(),
        source,
    })
}

fn media_type(layer: &Spooled) -> Result<&'static str, LoadError> {
    use std::io::Read;

    let mut start = Vec::new();
    let read =
        std::fs::File::open(&layer.path).and_then(|file| file.take(6).read_to_end(&mut start));
    read.map_err(StoreError::file("read", &layer.path))?;
    let media_type = Compression::sniff(&start).layer_media_type();
    media_type.ok_or_else(|| LoadError::LayerCompression(layer.digest.to_string()))
}
