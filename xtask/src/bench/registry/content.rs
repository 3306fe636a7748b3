//! What is pushed: an image of 1 GiB in 10 layers, and thousands of small blobs. None of it can be
//! compressed, and no two blobs are the same.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::{command, read};

pub(super) const LAYERS: usize = 10;
const LAYER_BYTES: u64 = (1 << 30) / LAYERS as u64;
pub(super) const SMALL_BLOBS: usize = 5000;
const SMALL_BYTES: u64 = 4 << 10;
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A file that is a blob.
pub(super) struct Blob {
    pub(super) path: PathBuf,
    pub(super) digest: String,
    pub(super) size: u64,
}

pub(super) struct Content {
    /// An OCI layout, for real clients.
    pub(super) image: PathBuf,
    /// The image's blobs; its configuration is the last.
    pub(super) large: Vec<Blob>,
    pub(super) manifest: Vec<u8>,
    pub(super) small: Vec<Blob>,
}

impl Content {
    /// Made below `folder`, which is on the disk that is measured.
    pub(super) fn make(folder: &Path) -> Result<Content> {
        let image = folder.join("image");
        let blobs = image.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let mut random = File::open("/dev/urandom").context("open /dev/urandom")?;
        // The layers differ in a first small file: what takes time is compressed once.
        let payload = compressed(folder, "payload", &mut random, LAYER_BYTES, Ends::Archive)?;
        let mut layers = Vec::new();
        for number in 0..LAYERS {
            let name = format!("mark-{number}");
            let mut layer = compressed(folder, &name, &mut random, 1 << 10, Ends::File)?;
            layer.extend_from_slice(&payload);
            let path = folder.join("layer");
            fs::write(&path, layer)?;
            layers.push(adopt(&blobs, &path)?);
        }
        let diffs = layers.iter().map(|layer| plain_digest(&layer.path));
        let diffs = diffs.collect::<Result<Vec<_>>>()?;
        let path = folder.join("configuration");
        fs::write(&path, configuration(&diffs))?;
        let configuration = adopt(&blobs, &path)?;
        let manifest = manifest(&configuration, &layers).into_bytes();
        let path = folder.join("manifest");
        fs::write(&path, &manifest)?;
        let described = adopt(&blobs, &path)?;
        fs::write(
            image.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        fs::write(image.join("index.json"), index(&described))?;
        let mut large = layers;
        large.push(configuration);
        Ok(Content {
            image,
            large,
            manifest,
            small: small(&folder.join("small"), &mut random)?,
        })
    }
}

/// Whether more of the archive follows a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    File,
    Archive,
}

/// A gzip member: a tar with one file of random bytes, made by the tools that everybody has.
fn compressed(
    folder: &Path,
    name: &str,
    random: &mut File,
    length: u64,
    ends: Ends,
) -> Result<Vec<u8>> {
    let path = folder.join(name);
    std::io::copy(&mut random.take(length), &mut File::create(&path)?)?;
    let plain = folder.join("tar");
    let mut tar = command("tar", ["--format=ustar", "--blocking-factor=1", "-cf"]);
    read(tar.arg(&plain).arg("-C").arg(folder).arg(name))?;
    if ends == Ends::File {
        // Two blocks of zeroes would end the archive here.
        let file = File::options().write(true).open(&plain)?;
        file.set_len(file.metadata()?.len() - 1024)?;
    }
    read(command("gzip", ["-1", "-f"]).arg(&plain))?;
    fs::remove_file(&path)?;
    fs::read(folder.join("tar.gz")).context("read what gzip wrote")
}

fn small(folder: &Path, random: &mut File) -> Result<Vec<Blob>> {
    fs::create_dir_all(folder)?;
    let mut names = Vec::new();
    for number in 0..SMALL_BLOBS {
        let mut bytes = vec![0; SMALL_BYTES as usize];
        random.read_exact(&mut bytes)?;
        let name = number.to_string();
        File::create(folder.join(&name))?.write_all(&bytes)?;
        names.push(name);
    }
    let sums = read(command("sha256sum", &names).current_dir(folder))?;
    let digests: Vec<&str> = sums
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    if digests.len() != names.len() {
        bail!(
            "sha256sum told of {} of {} files",
            digests.len(),
            names.len()
        );
    }
    let blobs = names.iter().zip(digests).map(|(name, digest)| Blob {
        path: folder.join(name),
        digest: format!("sha256:{digest}"),
        size: SMALL_BYTES,
    });
    Ok(blobs.collect())
}

/// Moves a file to its name in a layout.
fn adopt(blobs: &Path, path: &Path) -> Result<Blob> {
    let sum = read(command("sha256sum", ["--"]).arg(path))?;
    let hex = sum.split(' ').next().unwrap_or_default();
    let to = blobs.join(hex);
    fs::rename(path, &to)?;
    Ok(Blob {
        size: to.metadata()?.len(),
        digest: format!("sha256:{hex}"),
        path: to,
    })
}

fn plain_digest(path: &Path) -> Result<String> {
    let script = "gzip -dc \"$1\" | sha256sum";
    let sum = read(command("sh", ["-c", script, "sh"]).arg(path))?;
    let hex = sum.split(' ').next().unwrap_or_default();
    Ok(format!("sha256:{hex}"))
}

fn configuration(diffs: &[String]) -> String {
    let diffs: Vec<String> = diffs.iter().map(|diff| format!("{diff:?}")).collect();
    format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diffs.join(",")
    )
}

fn descriptor(media_type: &str, blob: &Blob) -> String {
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#,
        blob.digest, blob.size
    )
}

fn manifest(configuration: &Blob, layers: &[Blob]) -> String {
    let layers: Vec<String> = layers.iter().map(|layer| descriptor(GZIP, layer)).collect();
    let configuration = descriptor("application/vnd.oci.image.config.v1+json", configuration);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{configuration},"layers":[{}]}}"#,
        layers.join(",")
    )
}

fn index(manifest: &Blob) -> String {
    let manifest = descriptor(MANIFEST, manifest);
    let end = r#","annotations":{"org.opencontainers.image.ref.name":"1"}}"#;
    let manifest = manifest.trim_end_matches('}');
    format!(r#"{{"schemaVersion":2,"manifests":[{manifest}{end}]}}"#)
}
