//! The image store as the engine's callers see it: asynchronous, and aware of which images
//! containers use.
//!
//! What is stored, and how, is the crate `hull-images`' business.

mod failure;
mod transfer;
mod view;

use std::path::Path;
use std::sync::Arc;

use crate::error::{EngineError, ErrorKind};
use crate::events::{Event, EventBus};
use crate::registry::Registry;
use crate::time::Timestamp;
use failure::{find_failed, remove_failed, store_failed};
pub use hull_images::Platform;
use hull_images::{Image, Reference, RemoveOptions, Removed, Store, Usage};
pub use transfer::{Archive, LoadOptions, LoadStep};
pub(crate) use view::{ImageConfig, RunImage};
pub use view::{ImageInspect, ImageSummary, ImportOptions, Removal};

/// The image store.
#[derive(Clone, Debug)]
pub struct Images {
    store: Store,
    containers: Arc<Registry>,
    events: EventBus,
}

impl Images {
    pub(crate) fn open(
        root: &Path,
        containers: Arc<Registry>,
        events: EventBus,
    ) -> Result<Self, EngineError> {
        let store =
            Store::open(root, hull_images::Options::default()).map_err(|e| store_failed(&e))?;
        Ok(Self {
            store,
            containers,
            events,
        })
    }

    /// What a container needs of an image.
    pub(crate) async fn find(&self, reference: &str) -> Result<RunImage, EngineError> {
        let reference = reference.to_owned();
        self.blocking(move |store| {
            let image = find(store, &reference)?;
            let run = image.config.config;
            Ok(RunImage {
                id: image.id.to_string(),
                architecture: image.config.platform.architecture,
                os: image.config.platform.os,
                config: ImageConfig {
                    entrypoint: run.entrypoint,
                    cmd: run.cmd,
                    env: run.env.unwrap_or_default(),
                    user: run.user,
                    working_dir: run.working_dir,
                    labels: run.labels.unwrap_or_default(),
                    stop_signal: Some(run.stop_signal).filter(|s| !s.is_empty()),
                },
                layers: image.layers.into_iter().map(|layer| layer.path).collect(),
            })
        })
        .await
    }

    /// The id that a name stands for now, if any.
    pub(crate) async fn resolve(&self, reference: &str) -> Option<String> {
        let reference = reference.to_owned();
        let found = self
            .blocking(move |store| store.find(&reference).map_err(find_failed))
            .await;
        found.ok().map(|id| id.to_string())
    }

    /// How many there are.
    pub(crate) async fn count(&self) -> Result<usize, EngineError> {
        self.blocking(|store| store.count().map_err(|e| store_failed(&e)))
            .await
    }

    /// Every image, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<ImageSummary>, EngineError> {
        let images = self
            .blocking(|store| store.list().map_err(|e| store_failed(&e)))
            .await?;
        Ok(images.iter().map(|image| self.summary(image)).collect())
    }

    /// One, by reference, id or id prefix.
    ///
    /// # Errors
    /// There is none.
    pub async fn inspect(&self, reference: &str) -> Result<ImageInspect, EngineError> {
        let reference = reference.to_owned();
        let read = self.blocking(move |store| {
            let image = find(store, &reference)?;
            let bytes = store
                .config_bytes(&image.id)
                .map_err(|e| store_failed(&e))?;
            Ok((image, bytes))
        });
        let (image, bytes) = read.await?;
        Ok(ImageInspect {
            summary: self.summary(&image),
            architecture: image.config.platform.architecture,
            os: image.config.platform.os,
            author: image.config.author,
            comment: image.config.comment,
            configuration: serde_json::from_slice(&bytes)
                .map_err(|e| EngineError::Image(e.to_string(), ErrorKind::System))?,
            diff_ids: image
                .layers
                .iter()
                .map(|layer| layer.diff.to_string())
                .collect(),
        })
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// No such image, or not a name.
    pub async fn tag(&self, source: &str, target: &str) -> Result<(), EngineError> {
        let (source, name) = (source.to_owned(), parse(target)?.or_latest());
        let tagged = name.clone();
        let id = self.blocking(move |store| {
            let id = store.find(&source).map_err(find_failed)?;
            store.tag(&id, &tagged).map_err(|e| store_failed(&e))?;
            Ok(id)
        });
        let id = id.await?.to_string();
        self.tell("tag", &id, Some(&name));
        Ok(())
    }

    /// Removes a name, and the image with its last name. Refused while containers use it.
    ///
    /// # Errors
    /// No such image, or it is in use.
    pub async fn remove(&self, reference: &str, force: bool) -> Result<Vec<Removal>, EngineError> {
        let (reference, usages) = (reference.to_owned(), self.usages());
        let options = RemoveOptions { force, prune: true };
        let removed = self.blocking(move |store| {
            store
                .remove(&reference, options, &usages)
                .map_err(remove_failed)
        });
        let removed = removed.await?;
        for gone in &removed {
            match gone {
                Removed::Untagged(name) => self.tell("untag", &name.familiar(), Some(name)),
                Removed::Deleted(id) => self.tell("delete", &id.to_string(), None),
                Removed::DeletedLayer(_) => {}
            }
        }
        Ok(removed.into_iter().map(removal).collect())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|_| EngineError::Closing)?
    }

    fn usages(&self) -> Vec<Usage> {
        let usage = |c: Arc<crate::container::Container>| {
            Some(Usage {
                image: c.blueprint.image_id.parse().ok()?,
                container: c.id().to_string(),
                running: c.snapshot().phase.is_active(),
            })
        };
        self.containers
            .all()
            .into_iter()
            .filter_map(usage)
            .collect()
    }

    fn summary(&self, image: &Image) -> ImageSummary {
        let id = image.id.to_string();
        let users = self.containers.all();
        ImageSummary {
            containers: users.iter().filter(|c| c.blueprint.image_id == id).count(),
            id,
            repo_tags: image.tags.iter().map(Reference::familiar).collect(),
            repo_digests: image.digests.iter().map(Reference::familiar).collect(),
            created: image
                .config
                .created
                .and_then(|t| t.to_string().parse().ok()),
            size: image.size,
            labels: image.config.config.labels.clone().unwrap_or_default(),
        }
    }

    fn tell(&self, action: &str, actor: &str, name: Option<&Reference>) {
        let name = name.map(|n| ("name".to_owned(), n.familiar()));
        self.events.tell(Event {
            kind: "image",
            action: action.to_owned(),
            actor: actor.to_owned(),
            attributes: name.into_iter().collect(),
            time: Timestamp::now(),
        });
    }
}

fn find(store: &Store, reference: &str) -> Result<Image, EngineError> {
    let id = store.find(reference).map_err(find_failed)?;
    store.image(&id).map_err(|e| store_failed(&e))
}

fn parse(reference: &str) -> Result<Reference, EngineError> {
    let parsed: Result<Reference, _> = reference.parse();
    parsed.map_err(|e| EngineError::Image(e.to_string(), ErrorKind::InvalidParameter))
}

fn removal(removed: Removed) -> Removal {
    match removed {
        Removed::Untagged(name) => Removal::Untagged(name.familiar()),
        Removed::Deleted(id) => Removal::Deleted(id.to_string()),
        Removed::DeletedLayer(chain) => Removal::Deleted(chain.to_string()),
    }
}
