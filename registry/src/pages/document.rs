//! Reads manifests and configurations as far as a page shows them. Pure, and lenient: what is
//! stored was taken for a manifest once, and what of it makes no sense is left out.

use std::collections::BTreeMap;

use hull_images::repositories::ContentDigest;
use hull_images::{ImageConfig, Platform};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Marks what BuildKit attaches to an image and is none.
const ATTACHED: &str = "vnd.docker.reference.type";
/// Of configurations that are an image's, and not a chart's or a signature's.
const CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// A manifest or an index.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Document {
    pub(super) artifact_type: String,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Vec<Descriptor>,
    pub(super) manifests: Vec<Descriptor>,
    pub(super) subject: Option<Descriptor>,
    annotations: Map<String, Value>,
}

/// Part of one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) artifact_type: String,
    pub(super) platform: Option<Platform>,
    annotations: Map<String, Value>,
}

impl Document {
    pub(super) fn read(bytes: &[u8]) -> Option<Document> {
        serde_json::from_slice(bytes).ok()
    }

    /// Bytes of its configuration and layers.
    pub(super) fn size(&self) -> u64 {
        let parts = self.config.iter().chain(&self.layers);
        parts.fold(0, |sum, part| sum.saturating_add(part.size))
    }

    /// What it is, if it is no container image.
    pub(super) fn artifact(&self) -> Option<&str> {
        let config = self.config.as_ref().map(|config| &*config.media_type);
        let known = config.is_none_or(|kind| CONFIGS.contains(&kind));
        match (known, self.artifact_type.as_str()) {
            (true, "") => None,
            (false, "") => config,
            (_, kind) => Some(kind),
        }
    }

    /// The digest of an image's configuration.
    pub(super) fn image_config(&self) -> Option<ContentDigest> {
        let config = self.config.as_ref()?;
        let known = CONFIGS.contains(&&*config.media_type);
        known.then(|| config.digest()).flatten()
    }

    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        plain(&self.annotations)
    }
}

impl Descriptor {
    pub(super) fn digest(&self) -> Option<ContentDigest> {
        self.digest.parse().ok()
    }

    /// Whether this is an attestation or the like, which stands among images.
    pub(super) fn is_attached(&self) -> bool {
        self.annotations.contains_key(ATTACHED)
    }
}

/// An annotation's or a label's value is a text; another is shown as what it is.
fn plain(map: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    map.iter()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

/// The annotations that a referrer came with.
pub(super) fn annotations(json: &str) -> BTreeMap<String, String> {
    plain(&serde_json::from_str(json).unwrap_or_default())
}

pub(super) fn config(bytes: &[u8]) -> Option<ImageConfig> {
    serde_json::from_slice(bytes).ok()
}

/// What made each of `layers` layers, bottom first; nothing where the history does not tell.
pub(super) fn makers(config: &ImageConfig, layers: usize) -> Vec<String> {
    let steps = config.history.iter().filter(|step| !step.empty_layer);
    let made: Vec<String> = steps
        .map(|step| match step.created_by.as_str() {
            "" => step.comment.clone(),
            text => text.to_owned(),
        })
        .collect();
    match made.len() == layers {
        true => made,
        false => vec![String::new(); layers],
    }
}

/// The names of a configuration's variables. Their values are for who pulls the image: a page that
/// is left open need not show them.
pub(super) fn variables(config: &ImageConfig) -> Vec<&str> {
    let all = config.config.env.iter().flatten();
    all.map(|text| text.split_once('=').map_or(text.as_str(), |(name, _)| name))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn document(value: &Value) -> Document {
        Document::read(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn sizes_of_strangers_do_not_overflow() {
        let huge = json!({"mediaType": CONFIGS[0], "digest": "sha256:x", "size": u64::MAX});
        let image = document(&json!({"config": huge, "layers": [huge, huge]}));
        assert_eq!(image.size(), u64::MAX);
        assert_eq!(image.image_config(), None);
    }

    #[test]
    fn an_artifact_is_told_from_an_image() {
        let with = |kind: &str, artifact: &str| {
            let config = json!({"mediaType": kind, "digest": "", "size": 1});
            document(&json!({"config": config, "artifactType": artifact}))
        };
        assert_eq!(with(CONFIGS[0], "").artifact(), None);
        assert_eq!(with(CONFIGS[1], "").artifact(), None);
        assert_eq!(with("a/b", "").artifact(), Some("a/b"));
        assert_eq!(with("a/b", "c/d").artifact(), Some("c/d"));
        assert_eq!(document(&json!({"manifests": []})).artifact(), None);
    }

    #[test]
    fn layers_are_told_what_made_them_if_the_history_fits() {
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "config": {"Env": ["PATH=/bin", "TOKEN=s3cret=1", "BARE"]},
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [
                {"created_by": "ADD /"},
                {"created_by": "ENV A=b", "empty_layer": true},
                {"comment": "Imported from -"},
            ],
        });
        let config = super::config(config.to_string().as_bytes()).unwrap();
        assert_eq!(makers(&config, 2), ["ADD /", "Imported from -"]);
        assert_eq!(makers(&config, 3), ["", "", ""]);
        assert_eq!(variables(&config), ["PATH", "TOKEN", "BARE"]);
    }

    #[test]
    fn annotations_are_texts() {
        let odd = annotations(r#"{"a": "x", "b": 1, "c": {"d": null}}"#);
        let shown: Vec<_> = odd.values().map(String::as_str).collect();
        assert_eq!(shown, ["x", "1", r#"{"d":null}"#]);
        assert!(annotations("[]").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[\[\]{}":,a-z0-9]{0,80}"#) {
            let _ = Document::read(text.as_bytes());
            let _ = config(text.as_bytes());
            let _ = annotations(&text);
        }
    }
}
