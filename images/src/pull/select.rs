//! Which of an index's images is pulled.

use crate::config::Platform;
use crate::digest::Digest;
use crate::manifest::{self, Descriptor, Index, Manifest};
use crate::reference::Reference;
use crate::remote::{Fetched, RemoteError};

use super::{Chosen, PullError, Puller};

/// Indexes within indexes.
const MAX_DEPTH: usize = 4;
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+";

impl Puller<'_> {
    /// The manifest for the platform that is wanted.
    pub(super) fn choose(&self, name: &Reference, fetched: Fetched) -> Result<Chosen, PullError> {
        let digest = fetched.digest;
        let path = name.repository().path();
        let mut fetched = fetched;
        for _ in 0..MAX_DEPTH {
            if !manifest::is_index(&fetched.media_type) {
                return chosen(name, digest, fetched);
            }
            let index: Index =
                serde_json::from_slice(&fetched.bytes).map_err(PullError::Manifest)?;
            let wanted = self.pull.platform.clone().unwrap_or_else(Platform::host);
            let Some(entry) = best(&index.manifests, &wanted) else {
                return Err(PullError::NoPlatform(wanted));
            };
            fetched = self.connection.manifest(path, &entry.digest.to_string())?;
            if fetched.bytes.len() as u64 != entry.size {
                let (digest, expected) = (entry.digest, entry.size);
                return Err(RemoteError::BlobSize { digest, expected }.into());
            }
        }
        Err(PullError::MediaType("indexes nested too deep".to_owned()))
    }
}

fn chosen(name: &Reference, digest: Digest, fetched: Fetched) -> Result<Chosen, PullError> {
    if fetched.media_type.starts_with(SCHEMA1) {
        return Err(PullError::Schema1(name.familiar()));
    }
    if !manifest::is_manifest(&fetched.media_type) {
        return Err(PullError::MediaType(fetched.media_type));
    }
    let manifest: Manifest = serde_json::from_slice(&fetched.bytes).map_err(PullError::Manifest)?;
    if !manifest.config.is_image_config() {
        return Err(PullError::MediaType(manifest.config.media_type));
    }
    if let Some(strange) = manifest.layers.iter().find(|layer| !layer.is_layer()) {
        return Err(PullError::MediaType(strange.media_type.clone()));
    }
    Ok(Chosen {
        digest,
        manifest,
        bytes: fetched.bytes,
    })
}

/// The entry for a platform: the same variant before one that says none, the first of equals.
fn best<'a>(entries: &'a [Descriptor], wanted: &Platform) -> Option<&'a Descriptor> {
    let fit = |entry: &Descriptor| -> Option<u8> {
        if entry.is_attached() || !(entry.is_manifest() || entry.is_index()) {
            return None;
        }
        let platform = entry.platform.as_ref()?;
        let same = platform.os == wanted.os && platform.architecture == wanted.architecture;
        match same {
            false => None,
            true if platform.variant == wanted.variant => Some(0),
            // amd64 is v1 and arm64 is v8, said or not; what is wanted of any variant is any.
            true if wanted.variant.is_empty()
                && matches!(platform.variant.as_str(), "v1" | "v8") =>
            {
                Some(1)
            }
            true if wanted.variant.is_empty() => Some(2),
            true if platform.variant.is_empty() => Some(3),
            true => None,
        }
    };
    let fitting = entries
        .iter()
        .filter_map(|entry| Some((fit(entry)?, entry)));
    fitting.min_by_key(|(fit, _)| *fit).map(|(_, entry)| entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Vec<Descriptor> {
        let entry = |(number, text): (usize, &&str)| Descriptor {
            media_type: manifest::OCI_MANIFEST.to_owned(),
            digest: Digest::of(&[number as u8]),
            size: 1,
            annotations: Default::default(),
            platform: text.parse().ok(),
        };
        platforms.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn the_best_platform_is_chosen() {
        let check = |entries: &[&str], wanted: &str, expected: Option<usize>| {
            let entries = index(entries);
            let wanted: Platform = wanted.parse().unwrap();
            let found = best(&entries, &wanted);
            let found = found.and_then(|one| entries.iter().position(|e| e == one));
            assert_eq!(found, expected, "{wanted}");
        };
        let many = [
            "linux/arm/v7",
            "linux/arm64/v8",
            "windows/amd64",
            "linux/amd64/v3",
            "linux/amd64",
            "linux/arm/v6",
        ];
        check(&many, "linux/amd64", Some(4));
        check(&many, "linux/arm/v6", Some(5));
        check(&many, "linux/arm", Some(0));
        check(&many, "linux/arm64", Some(1));
        check(&many, "linux/amd64/v3", Some(3));
        check(&many, "linux/s390x", None);
        check(&["linux/amd64"], "linux/amd64/v2", Some(0));
        check(&[], "linux/amd64", None);
    }
}
