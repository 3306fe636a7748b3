//! `index.json`: the images of an OCI layout.

use crate::config::Platform;
use crate::digest::Digest;
use crate::manifest::{Descriptor, IMAGE_NAME, Index, Manifest, REF_NAME};
use crate::reference::Reference;
use crate::register::Draft;

use super::archive::{Archive, blob_path, parse};
use super::{Candidate, LoadError};

pub(super) const INDEX: &str = "index.json";
const MAX_DEPTH: usize = 4;

/// The images of the layout: of each entry the one for `platform`, or this machine, else the first that is there.
pub(super) fn images(
    archive: &Archive,
    platform: Option<&Platform>,
) -> Result<Vec<Candidate>, LoadError> {
    let index: Index = archive.json(INDEX)?;
    let wanted = platform.cloned().unwrap_or_else(Platform::host);
    let mut candidates: Vec<(Digest, Candidate)> = Vec::new();
    for entry in index.manifests.iter().filter(|entry| !entry.is_attached()) {
        let Some(chosen) = choose(archive, entry, &wanted, 0)? else {
            return Err(LoadError::Missing(blob_path(&entry.digest)));
        };
        let names = name(entry);
        // One image with several names is several entries.
        match candidates.iter_mut().find(|(digest, _)| *digest == chosen) {
            Some((_, candidate)) => candidate.names.extend(names),
            None => {
                let names = names.into_iter().collect();
                let draft = draft(archive, &chosen)?;
                candidates.push((chosen, Candidate { draft, names }));
            }
        }
    }
    if candidates.is_empty() {
        return Err(LoadError::NoManifest);
    }
    Ok(candidates
        .into_iter()
        .map(|(_, candidate)| candidate)
        .collect())
}

/// Every image manifest that the layout holds, with its bytes.
pub(super) fn manifests(archive: &Archive) -> Result<Vec<(Vec<u8>, Manifest)>, LoadError> {
    let index: Index = archive.json(INDEX)?;
    let mut waiting: Vec<(usize, Descriptor)> = Vec::new();
    waiting.extend(index.manifests.into_iter().map(|entry| (0, entry)));
    let mut found = Vec::new();
    while let Some((depth, entry)) = waiting.pop() {
        if entry.is_attached() || !archive.has_blob(&entry.digest) {
            continue;
        }
        if entry.is_index() {
            let depth = deeper(depth)?;
            let nested = nested(archive, &entry.digest)?;
            waiting.extend(nested.manifests.into_iter().map(|entry| (depth, entry)));
        } else if entry.is_manifest() {
            found.push(manifest(archive, &entry.digest)?);
        }
    }
    Ok(found)
}

/// The manifest that an entry leads to.
fn choose(
    archive: &Archive,
    entry: &Descriptor,
    wanted: &Platform,
    depth: usize,
) -> Result<Option<Digest>, LoadError> {
    if !archive.has_blob(&entry.digest) {
        return Ok(None);
    }
    if !entry.is_index() {
        return Ok(Some(entry.digest));
    }
    let depth = deeper(depth)?;
    let mut entries = nested(archive, &entry.digest)?.manifests;
    entries.retain(|entry| !entry.is_attached());
    let fits = |entry: &Descriptor| entry.platform.as_ref().is_some_and(|p| p.provides(wanted));
    // A stable sort: among equals the index's own order counts.
    entries.sort_by_key(|entry| !fits(entry));
    for entry in &entries {
        if let Some(chosen) = choose(archive, entry, wanted, depth)? {
            return Ok(Some(chosen));
        }
    }
    Ok(None)
}

fn deeper(depth: usize) -> Result<usize, LoadError> {
    match depth < MAX_DEPTH {
        true => Ok(depth + 1),
        false => Err(LoadError::NestedTooDeep),
    }
}

fn nested(archive: &Archive, digest: &Digest) -> Result<Index, LoadError> {
    let path = blob_path(digest);
    parse(&archive.bytes(archive.blob(digest)?, &path)?, &path)
}

fn manifest(archive: &Archive, digest: &Digest) -> Result<(Vec<u8>, Manifest), LoadError> {
    let path = blob_path(digest);
    let bytes = archive.bytes(archive.blob(digest)?, &path)?;
    let manifest = parse(&bytes, &path)?;
    Ok((bytes, manifest))
}

fn draft(archive: &Archive, digest: &Digest) -> Result<Draft, LoadError> {
    let (bytes, manifest) = manifest(archive, digest)?;
    let digest = &manifest.config.digest;
    let config = archive.bytes(archive.blob(digest)?, &blob_path(digest))?;
    let layers = manifest.layers.iter();
    let layers = layers.map(|layer| archive.blob(&layer.digest).cloned());
    Ok(Draft {
        config,
        manifest: bytes,
        layers: layers.collect::<Result<_, _>>()?,
        parent: None,
    })
}

fn name(entry: &Descriptor) -> Option<Reference> {
    let full = entry.annotations.get(IMAGE_NAME);
    let full = full.or_else(|| {
        let name = entry.annotations.get(REF_NAME)?;
        name.contains([':', '/']).then_some(name)
    })?;
    let reference: Reference = full.parse().ok()?;
    Some(reference.or_latest())
}
