//! The image store as the engine's callers see it: asynchronous, and aware of which images
//! containers use.
//!
//! What is stored, and how, is the crate `hull-images`' business.

mod commit;
mod failure;
mod history;
mod prune;
mod registries;
mod transfer;
mod view;

use std::path::Path;
use std::sync::Arc;

use crate::error::{EngineError, ErrorKind};
use crate::events::{Event, EventBus};
use crate::registry::Registry;
use crate::time::Timestamp;
pub(crate) use commit::NewImage;
use failure::{find_failed, remove_failed, store_failed};
use hull_images::remote::Remote;
use hull_images::{Image, Reference, Removed, Store, Usage};
pub use hull_images::{Platform, RemoveOptions};
pub use transfer::{Archive, ImportStep, LoadOptions, LoadStep};
pub use view::{
    DiskUsage, HistoryStep, ImageInspect, ImageSummary, ImportOptions, PruneOptions, Pruned,
    Removal,
};
pub(crate) use view::{ImageConfig, RunImage};

/// The image store.
#[derive(Clone, Debug)]
pub struct Images {
    store: Store,
    remote: Remote,
    containers: Arc<Registry>,
    events: EventBus,
}

impl Images {
    pub(crate) fn open(
        root: &Path,
        remote: Remote,
        (containers, events): (Arc<Registry>, EventBus),
    ) -> Result<Self, EngineError> {
        let store =
            Store::open(root, hull_images::Options::default()).map_err(|e| store_failed(&e))?;
        Ok(Self {
            store,
            remote,
            containers,
            events,
        })
    }

    /// The store itself, for what serves it to others: the registry.
    pub fn store(&self) -> &Store {
        &self.store
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
                    healthcheck: run.healthcheck,
                    shell: run.shell,
                    exposed_ports: run
                        .exposed_ports
                        .into_iter()
                        .flatten()
                        .map(|p| p.0)
                        .collect(),
                },
                size: image.size,
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

    /// What they take on disk.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn disk_usage(&self) -> Result<DiskUsage, EngineError> {
        let read = self.blocking(|store| {
            let images = store.list().map_err(|e| store_failed(&e))?;
            let layers = store.layers_size().map_err(|e| store_failed(&e))?;
            Ok((images, layers))
        });
        let (images, layers) = read.await?;
        Ok(DiskUsage {
            images: images.iter().map(|image| self.summary(image)).collect(),
            layers,
        })
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
            docker_version: image.config.docker_version,
            variant: image.config.platform.variant,
            last_tagged: image.tagged.and_then(|t| t.to_string().parse().ok()),
            layer_files: image
                .layers
                .iter()
                .map(|layer| layer.path.clone())
                .collect(),
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
    pub async fn remove(
        &self,
        reference: &str,
        options: RemoveOptions,
    ) -> Result<Vec<Removal>, EngineError> {
        let (reference, usages) = (reference.to_owned(), self.usages());
        let removed = self.blocking(move |store| {
            store
                .remove(&reference, options, &usages)
                .map_err(remove_failed)
        });
        let removed = removed.await?;
        Ok(self.told(removed))
    }

    /// Tells the world, and the caller, of what is gone.
    fn told(&self, removed: Vec<Removed>) -> Vec<Removal> {
        for gone in &removed {
            match gone {
                Removed::Untagged(name) => self.tell("untag", &name.familiar(), Some(name)),
                Removed::Deleted(id) => self.tell("delete", &id.to_string(), None),
                Removed::DeletedLayer(_) => {}
            }
        }
        removed.into_iter().map(removal).collect()
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
                image: c.blueprint().image_id.parse().ok()?,
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
            containers: users
                .iter()
                .filter(|c| c.blueprint().image_id == id)
                .count(),
            id,
            repo_tags: image.tags.iter().map(Reference::familiar).collect(),
            repo_digests: image.digests.iter().map(Reference::familiar).collect(),
            created: image
                .config
                .created
                .and_then(|t| t.to_string().parse().ok()),
            size: image.size,
            parent: image.parent.map(|id| id.to_string()).unwrap_or_default(),
            shared: image.shared,
            intermediate: image.is_intermediate(),
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

pub(crate) fn parse(reference: &str) -> Result<Reference, EngineError> {
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
