//! What a container sees besides its image's files: filesystems in memory, for now.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::is_empty;
use crate::api::{HostConfig, Mount};
use crate::error::EngineError;

pub(super) fn judge(host: &HostConfig) -> Result<(), EngineError> {
    for path in host.tmpfs.keys() {
        absolute(path).map_err(EngineError::Invalid)?;
    }
    for mount in &host.mounts {
        judge_mount(mount)?;
    }
    let given = host.mounts.iter().map(|mount| mount.target.as_str());
    let mut seen = BTreeSet::new();
    for target in given.chain(host.tmpfs.keys().map(String::as_str)) {
        if !seen.insert(cleaned(target)) {
            return Err(EngineError::Invalid(format!(
                "Duplicate mount point: {target}"
            )));
        }
    }
    Ok(())
}

fn judge_mount(mount: &Mount) -> Result<(), EngineError> {
    let kind = mount.r#type.as_str();
    let unsupported = |what: String| Err(EngineError::NotSupported(what));
    let invalid = |what: &str| {
        Err(EngineError::Invalid(format!(
            "invalid mount config for type \"{kind}\": {what}"
        )))
    };
    match kind {
        "tmpfs" => {}
        "bind" | "volume" | "image" | "npipe" | "cluster" => {
            return unsupported(format!("a mount of type {kind}"));
        }
        _ => return invalid("mount type unknown"),
    }
    if mount.target.is_empty() {
        return invalid("field Target must not be empty");
    }
    if let Err(what) = absolute(&mount.target) {
        return invalid(&what);
    }
    if cleaned(&mount.target) == Path::new("/") {
        return invalid("invalid specification: destination can't be '/'");
    }
    if !mount.source.is_empty() {
        return invalid("field Source must not be specified");
    }
    for (field, value) in &mount.other {
        match field.as_str() {
            // For a host's page cache, which a filesystem in memory has no part in.
            "Consistency" => {}
            "BindOptions" | "VolumeOptions" | "ImageOptions" if !value.is_null() => {
                return invalid(&format!("field {field} must not be specified"));
            }
            _ if is_empty(value) => {}
            _ => return unsupported(format!("HostConfig.Mounts.{field} {value}")),
        }
    }
    let Some(options) = &mount.tmpfs_options else {
        return Ok(());
    };
    if options.size_bytes < 0 {
        return invalid("field SizeBytes must not be negative");
    }
    match options.other.iter().find(|(_, value)| !is_empty(value)) {
        Some((field, value)) => {
            unsupported(format!("HostConfig.Mounts.TmpfsOptions.{field} {value}"))
        }
        None => Ok(()),
    }
}

fn absolute(path: &str) -> Result<(), String> {
    match path.starts_with('/') {
        true => Ok(()),
        false => Err(format!(
            "invalid mount path: '{path}' mount path must be absolute"
        )),
    }
}

/// Without what leads nowhere: `/a/../b/` is `/b`.
fn cleaned(path: &str) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn verdict(host: Value) -> Result<(), String> {
        let host: HostConfig = serde_json::from_value(host).unwrap();
        judge(&host).map_err(|e| e.to_string())
    }

    #[test]
    fn a_tmpfs_is_all_that_can_be_mounted() {
        let full = json!({ "Type": "tmpfs", "Target": "/a", "ReadOnly": true, "Source": "",
            "Consistency": "default", "BindOptions": null,
            "TmpfsOptions": { "SizeBytes": 1024, "Mode": 448, "Options": null } });
        assert_eq!(
            verdict(json!({ "Mounts": [full], "Tmpfs": { "/b": "" } })),
            Ok(())
        );
        let refused = |mount: Value| verdict(json!({ "Mounts": [mount] })).unwrap_err();
        for (mount, error) in [
            (
                json!({ "Type": "bind", "Source": "/x", "Target": "/a" }),
                "a mount of type bind",
            ),
            (
                json!({ "Type": "volume", "Target": "/a" }),
                "a mount of type volume",
            ),
            (
                json!({ "Target": "/a" }),
                "invalid mount config for type \"\": mount type unknown",
            ),
            (json!({ "Type": "tmpfs" }), "field Target must not be empty"),
            (
                json!({ "Type": "tmpfs", "Target": "a" }),
                "mount path must be absolute",
            ),
            (
                json!({ "Type": "tmpfs", "Target": "/x/.." }),
                "destination can't be '/'",
            ),
            (
                json!({ "Type": "tmpfs", "Target": "/a", "Source": "x" }),
                "invalid mount config for type \"tmpfs\": field Source must not be specified",
            ),
            (
                json!({ "Type": "tmpfs", "Target": "/a", "BindOptions": {} }),
                "field BindOptions must not be specified",
            ),
            (
                json!({ "Type": "tmpfs", "Target": "/a", "TmpfsOptions": { "SizeBytes": -1 } }),
                "must not be negative",
            ),
            (
                json!({ "Type": "tmpfs", "Target": "/a",
                        "TmpfsOptions": { "Options": [["exec"]] } }),
                "TmpfsOptions.Options",
            ),
        ] {
            assert!(refused(mount).contains(error), "{error}");
        }
    }

    #[test]
    fn a_place_is_mounted_on_once() {
        let mount = json!({ "Type": "tmpfs", "Target": "/a" });
        for twice in [
            json!({ "Mounts": [mount, { "Type": "tmpfs", "Target": "/b/../a/" }] }),
            json!({ "Mounts": [mount], "Tmpfs": { "/a": "" } }),
        ] {
            let error = verdict(twice).unwrap_err();
            assert!(error.contains("Duplicate mount point: /"), "{error}");
        }
    }
}
