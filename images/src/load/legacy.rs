//! The layout of before Docker 1.10: a folder for each layer, named by an id that is no digest.
//!
//! ```text
//!   repositories      {"busybox": {"latest": "<id>"}}
//!   <id>/VERSION      1.0
//!   <id>/json         the configuration as of this layer; `parent` is the layer below
//!   <id>/layer.tar
//! ```
//!
//! As Docker's own migration does, the chain of `json` files becomes one configuration: the top
//! one's, with a history entry for each layer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::digest::DiffId;
use crate::lease::{Lease, Spooled};
use crate::reference::{Reference, Repository};
use crate::register::{Draft, MAX_LAYERS};

use super::archive::Archive;
use super::docker::made;
use super::{Candidate, LoadError};

pub(super) const REPOSITORIES: &str = "repositories";
/// What a layer's `json` says that is not an image's to say.
const NOT_KEPT: [&str; 6] = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];

/// What of a layer's `json` is looked into.
#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    parent: String,
    #[serde(default)]
    created: Value,
    #[serde(default)]
    author: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    container_config: Option<Command>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Command {
    #[serde(default)]
    cmd: Option<Vec<String>>,
}

/// Whether the archive has this layout at all.
pub(super) fn is_here(archive: &Archive) -> bool {
    ids(archive).next().is_some()
}

pub(super) fn images(archive: &Archive, lease: &Lease) -> Result<Vec<Candidate>, LoadError> {
    let mut named: BTreeMap<String, Vec<Reference>> = BTreeMap::new();
    if archive.find(REPOSITORIES).is_some() {
        let repositories: BTreeMap<String, BTreeMap<String, String>> =
            archive.json(REPOSITORIES)?;
        for (repository, tags) in repositories {
            for (tag, id) in tags {
                named.entry(id).or_default().push(name(&repository, &tag)?);
            }
        }
    }
    if named.is_empty() {
        // Then whatever nothing else stands on is an image.
        let mut below = BTreeSet::new();
        for id in ids(archive) {
            below.insert(step(archive, id)?.parent);
        }
        let tops = ids(archive).filter(|id| !below.contains(*id));
        named.extend(tops.map(|id| (id.to_owned(), Vec::new())));
    }
    let mut diffs = BTreeMap::new();
    let mut found = Vec::new();
    for (id, names) in named {
        let draft = draft(archive, lease, &id, &mut diffs)?;
        found.push(Candidate { draft, names });
    }
    Ok(found)
}

/// Folders that hold a layer.
fn ids(archive: &Archive) -> impl Iterator<Item = &str> {
    let folder = |path: &'_ str| -> Option<usize> {
        let id = path.strip_suffix("/layer.tar")?;
        (!id.contains('/')).then_some(id.len())
    };
    archive
        .names()
        .filter_map(move |path| path.get(..folder(path)?))
}

fn name(repository: &str, tag: &str) -> Result<Reference, LoadError> {
    let parsed: Result<Repository, _> = repository.parse();
    parsed
        .and_then(|repository| repository.with_tag(tag))
        .map_err(|source| LoadError::Name {
            name: format!("{repository}:{tag}"),
            source,
        })
}

fn step(archive: &Archive, id: &str) -> Result<Step, LoadError> {
    archive.json(&format!("{id}/json"))
}

fn draft(
    archive: &Archive,
    lease: &Lease,
    id: &str,
    diffs: &mut BTreeMap<String, DiffId>,
) -> Result<Draft, LoadError> {
    // Topmost first, as the ids lead.
    let mut layers: Vec<Spooled> = Vec::new();
    let mut diff_ids = Vec::new();
    let mut history = Vec::new();
    let mut next = id.to_owned();
    while !next.is_empty() {
        if layers.len() == MAX_LAYERS {
            // Also what a chain that leads back to itself comes to.
            return Err(LoadError::Image(crate::register::ImageError::TooManyLayers));
        }
        let path = format!("{next}/layer.tar");
        let layer = archive.get(&path)?.clone();
        let diff = match diffs.get(&next) {
            Some(diff) => *diff,
            None => lease.diff_of(&layer.path)?,
        };
        diffs.insert(next.clone(), diff);
        let step = step(archive, &next)?;
        layers.push(layer);
        diff_ids.push(diff);
        next.clone_from(&step.parent);
        history.push(told(step));
    }
    layers.reverse();
    diff_ids.reverse();
    history.reverse();
    let mut config: Map<String, Value> = archive.json(&format!("{id}/json"))?;
    config.retain(|key, _| !NOT_KEPT.contains(&key.as_str()));
    config.insert("history".into(), Value::Array(history));
    config.insert(
        "rootfs".into(),
        json!({"type": "layers", "diff_ids": diff_ids}),
    );
    let config = serde_json::to_vec(&config).map_err(|source| LoadError::Document {
        path: format!("{id}/json"),
        source,
    })?;
    let described = crate::manifest::describe(
        crate::manifest::OCI_CONFIG,
        crate::digest::Digest::of(&config),
        config.len() as u64,
    );
    Ok(Draft {
        manifest: made(described, &layers)?,
        config,
        layers,
        parent: None,
    })
}

fn told(step: Step) -> Value {
    let command = step.container_config.and_then(|config| config.cmd);
    let texts = [
        ("created_by", command.unwrap_or_default().join(" ")),
        ("author", step.author),
        ("comment", step.comment),
    ];
    let mut entry = Map::new();
    if !step.created.is_null() {
        entry.insert("created".into(), step.created);
    }
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    entry.extend(texts.map(|(key, text)| (key.to_owned(), Value::String(text))));
    Value::Object(entry)
}
