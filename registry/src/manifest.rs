//! Reads manifests and indexes as far as a registry must: what they are made of. Pure.
//!
//! OCI's and Docker's differ in media types only. Schema 1 is not taken: no client makes it since
//! 2017.

use hull_images::repositories::ContentDigest;
use serde::Deserialize;
use serde_json::{Map, Value};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// More parts than any image has.
const MAX_PARTS: usize = 20_000;

/// Why a text is no manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("the manifest is not what it should be: {0}")]
    Json(#[from] serde_json::Error),
    #[error("media type {0:?} is not one of a manifest that this registry takes")]
    MediaType(String),
    #[error("the manifest says that it is {inside:?}, the request that it is {outside:?}")]
    Contradiction { inside: String, outside: String },
    #[error("the manifest's schema version is {0}, not 2")]
    SchemaVersion(u64),
    #[error("a manifest has no \"manifests\", an index no \"config\" or \"layers\"")]
    Mixed,
    #[error("the manifest has more than {MAX_PARTS} parts")]
    TooManyParts,
    #[error("the manifest has a digest that is none: {0}")]
    Digest(String),
}

/// What a registry has to know of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) media_type: String,
    pub(crate) blobs: Vec<ContentDigest>,
    pub(crate) foreign: Vec<ContentDigest>,
    pub(crate) manifests: Vec<ContentDigest>,
    pub(crate) subject: Option<ContentDigest>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    /// Not used, but it must be a size.
    #[allow(dead_code)]
    size: u64,
    #[serde(default)]
    urls: Option<Vec<String>>,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

impl Descriptor {
    fn digest(&self) -> Result<ContentDigest, ManifestError> {
        let wrong = |_| ManifestError::Digest(self.digest.clone());
        self.digest.parse().map_err(wrong)
    }

    /// Whether its bytes may have to be fetched from elsewhere.
    fn is_foreign(&self) -> bool {
        self.media_type.contains(".nondistributable.")
            || self.media_type.contains(".foreign.")
            || self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    }
}

/// Reads a manifest that a request calls `given`.
pub(crate) fn parse(bytes: &[u8], given: Option<&str>) -> Result<Parsed, ManifestError> {
    let document: Document = serde_json::from_slice(bytes)?;
    if document.schema_version != 2 {
        return Err(ManifestError::SchemaVersion(document.schema_version));
    }
    let media_type = media_type(&document, given)?;
    let is_index = is_index(&media_type);
    let contradicts = match is_index {
        true => document.config.is_some() || document.layers.is_some(),
        false => document.manifests.is_some(),
    };
    let lacks = match is_index {
        true => document.manifests.is_none(),
        false => document.config.is_none() || document.layers.is_none(),
    };
    if contradicts || lacks {
        return Err(ManifestError::Mixed);
    }
    let layers = document.layers.unwrap_or_default();
    let manifests = document.manifests.unwrap_or_default();
    if layers.len() + manifests.len() > MAX_PARTS {
        return Err(ManifestError::TooManyParts);
    }
    let mut parsed = Parsed {
        media_type,
        blobs: Vec::new(),
        foreign: Vec::new(),
        manifests: Vec::new(),
        subject: None,
        artifact_type: document.artifact_type.filter(|text| !text.is_empty()),
        annotations: None,
    };
    if let Some(config) = &document.config {
        parsed.blobs.push(config.digest()?);
        if parsed.artifact_type.is_none() && !config.media_type.is_empty() {
            parsed.artifact_type = Some(config.media_type.clone());
        }
    }
    for layer in &layers {
        match layer.is_foreign() {
            true => parsed.foreign.push(layer.digest()?),
            false => parsed.blobs.push(layer.digest()?),
        }
    }
    for manifest in &manifests {
        parsed.manifests.push(manifest.digest()?);
    }
    parsed.subject = document
        .subject
        .as_ref()
        .map(Descriptor::digest)
        .transpose()?;
    let annotations = document.annotations.filter(|map| !map.is_empty());
    parsed.annotations = annotations.map(|map| Value::Object(map).to_string());
    Ok(parsed)
}

/// The request's word, the document's own, or what it looks like; they must not contradict.
fn media_type(document: &Document, given: Option<&str>) -> Result<String, ManifestError> {
    let given = given.map(|text| text.split(';').next().unwrap_or_default().trim());
    let outside = given.filter(|text| !text.is_empty() && *text != "application/json");
    let inside = document
        .media_type
        .as_deref()
        .filter(|text| !text.is_empty());
    let found = match (outside, inside) {
        (Some(outside), Some(inside)) if outside != inside => {
            return Err(ManifestError::Contradiction {
                inside: inside.to_owned(),
                outside: outside.to_owned(),
            });
        }
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) if document.manifests.is_some() => OCI_INDEX,
        (None, None) => OCI_MANIFEST,
    };
    match found {
        OCI_MANIFEST | OCI_INDEX | DOCKER_MANIFEST | DOCKER_LIST => Ok(found.to_owned()),
        _ => Err(ManifestError::MediaType(found.to_owned())),
    }
}

pub(crate) fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

/// The manifest for linux/amd64 that an index names: what clients get that know no indexes.
pub(crate) fn default_platform(index: &[u8]) -> Option<ContentDigest> {
    let document: Document = serde_json::from_slice(index).ok()?;
    let manifests = document.manifests?;
    let default = manifests.iter().find(|manifest| {
        let platform = manifest.platform.as_ref();
        platform.is_some_and(|p| p.os == "linux" && p.architecture == "amd64")
    });
    default?.digest().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn check(document: &Value, given: Option<&str>) -> Result<Parsed, String> {
        parse(document.to_string().as_bytes(), given).map_err(|error| error.to_string())
    }

    fn image() -> Value {
        json!({
            "schemaVersion": 2,
            "config": {"mediaType": "application/x.config", "digest": A, "size": 1},
            "layers": [{"mediaType": "application/x", "digest": B, "size": 2}],
        })
    }

    fn digests(found: &[ContentDigest]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_image_is_its_configuration_and_layers() {
        let parsed = check(&image(), Some(OCI_MANIFEST)).unwrap();
        assert_eq!(digests(&parsed.blobs), [A, B]);
        assert_eq!(
            parsed.artifact_type.as_deref(),
            Some("application/x.config")
        );
        assert_eq!(parsed.media_type, OCI_MANIFEST);
        assert_eq!(check(&image(), None).unwrap(), parsed);
        let docker = check(&image(), Some(DOCKER_MANIFEST)).unwrap();
        assert_eq!(docker.media_type, DOCKER_MANIFEST);
    }

    #[test]
    fn layers_from_elsewhere_need_not_be_here() {
        for (key, value) in [
            (
                "mediaType",
                json!("application/vnd.oci.image.layer.nondistributable.v1.tar"),
            ),
            (
                "mediaType",
                json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
            ),
            ("urls", json!(["https://example.com/x"])),
        ] {
            let mut image = image();
            image["layers"][0][key] = value;
            let parsed = check(&image, None).unwrap();
            assert_eq!(digests(&parsed.blobs), [A]);
            assert_eq!(digests(&parsed.foreign), [B]);
        }
    }

    #[test]
    fn an_index_is_its_manifests() {
        let mut index = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "artifactType": "application/y",
            "manifests": [
                {"digest": B, "size": 1, "platform": {"os": "linux", "architecture": "arm64"}},
                {"digest": A, "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
            ],
            "subject": {"mediaType": OCI_MANIFEST, "digest": B, "size": 9},
            "annotations": {"k": "v"},
        });
        let parsed = check(&index, Some(OCI_INDEX)).unwrap();
        assert_eq!(digests(&parsed.manifests), [B, A]);
        assert_eq!(parsed.subject.unwrap().to_string(), B);
        assert_eq!(parsed.artifact_type.as_deref(), Some("application/y"));
        assert_eq!(parsed.annotations.as_deref(), Some(r#"{"k":"v"}"#));
        let default = default_platform(index.to_string().as_bytes()).unwrap();
        assert_eq!(default.to_string(), A);
        index["manifests"] = json!([]);
        assert!(check(&index, None).unwrap().manifests.is_empty());
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let with = |key: &str, value: Value| {
            let mut document = image();
            document[key] = value;
            check(&document, None).expect_err(key)
        };
        assert!(with("schemaVersion", json!(1)).contains("schema version is 1"));
        assert!(with("mediaType", json!("text/plain")).contains("text/plain"));
        assert!(with("manifests", json!([])).contains("an index no"));
        assert!(with("config", Value::Null).contains("an index no"));
        assert!(with("layers", json!([{"digest": "sha256:x", "size": 1}])).contains("sha256:x"));
        assert!(with("layers", json!([{"digest": A, "size": -1}])).contains("not what it should"));
        assert!(with("layers", json!({})).contains("not what it should"));
        let contradiction = check(
            &json!({"schemaVersion": 2, "mediaType": OCI_INDEX}),
            Some(OCI_MANIFEST),
        );
        assert!(
            contradiction
                .unwrap_err()
                .contains("the request that it is")
        );
        assert!(parse(b"", None).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[\[\]{}":,a-z0-9]{0,80}"#) {
            let _ = parse(text.as_bytes(), None);
            let _ = default_platform(text.as_bytes());
        }
    }
}
