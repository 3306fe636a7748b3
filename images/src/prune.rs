//! Removes the images that nobody needs, as `docker image prune` does.

use std::collections::BTreeMap;

use crate::digest::ChainId;
use crate::error::StoreError;
use crate::find::FindError;
use crate::list::Image;
use crate::remove::{RemoveError, RemoveOptions, Removed, Usage};
use crate::store::Store;

/// Which images are not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unneeded {
    /// Those without a tag.
    Dangling,
    /// Those that no container uses.
    Unused,
}

/// What pruning removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    pub removed: Vec<Removed>,
    /// Of unpacked layers that are gone.
    pub bytes: u64,
}

impl Store {
    /// Removes unneeded images that `wanted` agrees to. What turns out to be in use stays.
    pub fn prune(
        &self,
        unneeded: Unneeded,
        usages: &[Usage],
        wanted: &dyn Fn(&Image) -> bool,
    ) -> Result<Pruned, StoreError> {
        let options = RemoveOptions {
            force: false,
            prune: true,
        };
        let images = self.list()?;
        let sizes: BTreeMap<ChainId, u64> = images
            .iter()
            .flat_map(|image| &image.layers)
            .map(|layer| (layer.chain, layer.size))
            .collect();
        let mut pruned = Pruned::default();
        for image in images {
            let used = usages.iter().any(|usage| usage.image == image.id);
            let kept = match unneeded {
                Unneeded::Dangling => !image.is_dangling(),
                Unneeded::Unused => used,
            };
            if kept || image.is_intermediate() || !wanted(&image) {
                continue;
            }
            let mut names: Vec<String> = image.tags.iter().map(ToString::to_string).collect();
            if names.is_empty() {
                names.push(image.id.to_string());
            }
            for name in names {
                match self.remove(&name, options, usages) {
                    Ok(removed) => pruned.removed.extend(removed),
                    Err(RemoveError::Find(FindError::Store(error))) => return Err(error),
                    // Somebody came to need it, or removed it first.
                    Err(error) => tracing::debug!(image = name, %error, "not pruned"),
                }
            }
        }
        for removed in &pruned.removed {
            if let Removed::DeletedLayer(chain) = removed {
                pruned.bytes += sizes.get(chain).copied().unwrap_or_default();
            }
        }
        Ok(pruned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::ImageId;
    use crate::samples::SampleImage;
    use crate::store::Options;
    use crate::store_tests::verify;

    fn id(layers: &[&str]) -> ImageId {
        ImageId(SampleImage::new(layers).id())
    }

    #[test]
    fn only_what_nobody_needs_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        for (layers, tags) in [
            (&["base", "kept"][..], &["kept:1", "kept:2"][..]),
            (&["base", "dangling"], &[]),
            (&["base", "used"], &["used:1"]),
        ] {
            let archive = SampleImage::new(layers).docker(tags).end();
            store.load(&archive[..], &mut |_| {}).unwrap();
        }
        let usages = [Usage {
            image: id(&["base", "used"]),
            container: "c".into(),
            running: false,
        }];
        let none = store.prune(Unneeded::Dangling, &usages, &|_| false);
        assert_eq!(none.unwrap(), Pruned::default());
        let dangling = store.prune(Unneeded::Dangling, &usages, &|_| true).unwrap();
        let gone = id(&["base", "dangling"]);
        assert_eq!(dangling.removed[0], Removed::Deleted(gone));
        assert_eq!((dangling.removed.len(), dangling.bytes), (2, 8));
        verify(&store);
        let unused = store.prune(Unneeded::Unused, &usages, &|_| true).unwrap();
        assert_eq!((unused.removed.len(), unused.bytes), (4, 4));
        let rest = store.list().unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].id, usages[0].image);
        assert_eq!(store.layers_size().unwrap(), 8);
        verify(&store);
    }
}
