//! Removing the images that nobody needs.

use std::collections::BTreeMap;

use hull_images::{Image, Unneeded};

use super::failure::store_failed;
use super::{Images, PruneOptions, Pruned};
use crate::error::EngineError;
use crate::events::Event;
use crate::time::Timestamp;

impl Images {
    /// Removes what no name leads to, or what no container uses.
    ///
    /// # Errors
    /// The store failed.
    pub async fn prune(&self, options: PruneOptions) -> Result<Pruned, EngineError> {
        let usages = self.usages();
        let pruned = self.blocking(move |store| {
            let unneeded = match options.all {
                true => Unneeded::Unused,
                false => Unneeded::Dangling,
            };
            store
                .prune(unneeded, &usages, &|image| options.take(image))
                .map_err(|e| store_failed(&e))
        });
        let pruned = pruned.await?;
        let removals = self.told(pruned.removed);
        let reclaimed = ("reclaimed".to_owned(), pruned.bytes.to_string());
        self.events.tell(Event {
            kind: "image",
            action: "prune".to_owned(),
            actor: String::new(),
            attributes: [reclaimed].into(),
            time: Timestamp::now(),
        });
        Ok(Pruned {
            removals,
            reclaimed: pruned.bytes,
        })
    }
}

impl PruneOptions {
    fn take(&self, image: &Image) -> bool {
        let created: Option<Timestamp> = image
            .config
            .created
            .and_then(|t| t.to_string().parse().ok());
        let old = self
            .until
            .is_none_or(|until| created.is_some_and(|created| created <= until));
        let labels = image.config.config.labels.as_ref();
        old && self.labels.iter().all(|label| has(labels, label))
            && !self.not_labels.iter().any(|label| has(labels, label))
    }
}

fn has(labels: Option<&BTreeMap<String, String>>, wanted: &str) -> bool {
    let (key, value) = match wanted.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (wanted, None),
    };
    let found = labels.and_then(|labels| labels.get(key));
    found.is_some_and(|found| value.is_none_or(|value| value == found))
}
