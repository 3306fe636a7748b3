//! Small images and their archives, for tests.

use std::io::Write;

use serde_json::{Value, json};

use crate::digest::Digest;
use crate::tar::sample::Sample;

/// An image of gzip layers, each with one file.
#[derive(Debug, Clone)]
pub(crate) struct SampleImage {
    pub(crate) config: Value,
    /// Plain tars, bottom first.
    pub(crate) layers: Vec<Vec<u8>>,
}

/// A layer with one file.
pub(crate) fn layer(name: &str, contents: &str) -> Vec<u8> {
    Sample::default().file(name, contents.as_bytes()).end()
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

impl SampleImage {
    /// Layers are files that hold their own names.
    pub(crate) fn new(names: &[&str]) -> SampleImage {
        let layers: Vec<_> = names.iter().map(|name| layer(name, name)).collect();
        let diffs: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
        SampleImage {
            config: json!({
                "created": "2024-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
                "config": {"Cmd": ["sh"]},
                "rootfs": {"type": "layers", "diff_ids": diffs},
            }),
            layers,
        }
    }

    pub(crate) fn with(mut self, key: &str, value: Value) -> SampleImage {
        self.config[key] = value;
        self
    }

    pub(crate) fn config_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.config).unwrap()
    }

    pub(crate) fn id(&self) -> Digest {
        Digest::of(&self.config_bytes())
    }

    /// As `docker save` wrote it before version 25, with its list in front.
    pub(crate) fn docker(&self, tags: &[&str]) -> Sample {
        let config = self.config_bytes();
        let name = format!("{}.json", Digest::of(&config).hex());
        let path = |layer: &Vec<u8>| format!("{}/layer.tar", &Digest::of(layer).hex()[..20]);
        let layers: Vec<_> = self.layers.iter().map(path).collect();
        let list = json!([{"Config": name, "RepoTags": tags, "Layers": layers}]);
        let mut sample = Sample::default()
            .file("manifest.json", list.to_string().as_bytes())
            .file(&name, &config);
        for (path, layer) in layers.iter().zip(&self.layers) {
            sample = sample.file(path, layer);
        }
        sample
    }

    /// The image's blobs in an OCI layout, and the descriptor of its manifest.
    pub(crate) fn oci_blobs(&self, sample: Sample) -> (Sample, Value) {
        let config = self.config_bytes();
        let blobs: Vec<_> = self.layers.iter().map(|layer| gzip(layer)).collect();
        let describe = |kind: &str, blob: &[u8]| {
            json!({
                "mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": Digest::of(blob), "size": blob.len(),
            })
        };
        let layers = blobs.iter().map(|blob| describe("layer.v1.tar+gzip", blob));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": describe("config.v1+json", &config),
            "layers": layers.collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string().into_bytes();
        let mut sample = blob(blob(sample, &config), &manifest);
        for layer in &blobs {
            sample = blob(sample, layer);
        }
        (sample, describe("manifest.v1+json", &manifest))
    }

    /// An OCI layout of this image alone.
    pub(crate) fn oci(&self, name: &str) -> Sample {
        let (sample, mut descriptor) = self.oci_blobs(Sample::default());
        descriptor["annotations"] = json!({"io.containerd.image.name": name});
        index(sample, &[descriptor])
    }
}

/// A blob of an OCI layout.
pub(crate) fn blob(sample: Sample, bytes: &[u8]) -> Sample {
    sample.file(&format!("blobs/sha256/{}", Digest::of(bytes).hex()), bytes)
}

/// The layout's list.
pub(crate) fn index(sample: Sample, descriptors: &[Value]) -> Sample {
    let index = json!({"schemaVersion": 2, "manifests": descriptors});
    sample
        .file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
        .file("index.json", index.to_string().as_bytes())
}
