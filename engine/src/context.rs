//! What every part of one engine shares.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Options;
use crate::container::Container;
use crate::error::EngineError;
use crate::events::EventBus;
use crate::id::{ContainerId, ContainerName};
use crate::images::Images;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::store::Store;

/// One engine's parts.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    pub(crate) store: Store,
    pub(crate) images: Images,
    pub(crate) events: EventBus,
    pub(crate) closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
    registry: Mutex<Registry>,
    _lock: Lock,
}

#[derive(Debug, Default)]
struct Registry {
    containers: BTreeMap<ContainerId, Arc<Container>>,
    names: HashMap<ContainerName, ContainerId>,
}

impl Context {
    pub(crate) fn new(
        options: Options,
        layout: Layout,
        (store, lock): (Store, Lock),
        images: Images,
    ) -> Arc<Self> {
        Arc::new(Self {
            options,
            layout,
            store,
            images,
            events: EventBus::new(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            registry: Mutex::default(),
            _lock: lock,
        })
    }

    /// Runs a task until it is done or the engine closes, and lets closing wait for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.tasks.spawn(async move {
            closing.run_until_cancelled(task).await;
        });
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name for a container that is about to be, or says whose it is.
    pub(crate) fn claim(&self, name: &ContainerName, id: &ContainerId) -> Result<(), EngineError> {
        let mut registry = self.registry();
        if let Some(by) = registry.names.get(name) {
            return Err(EngineError::NameInUse {
                name: name.to_string(),
                by: by.clone(),
            });
        }
        registry.names.insert(name.clone(), id.clone());
        Ok(())
    }

    /// Gives a name back.
    pub(crate) fn release(&self, name: &ContainerName) {
        self.registry().names.remove(name);
    }

    pub(crate) fn add(&self, container: Arc<Container>) {
        self.registry()
            .containers
            .insert(container.id().clone(), container);
    }

    /// Forgets a container and its name.
    pub(crate) fn drop_container(&self, id: &ContainerId) {
        let mut registry = self.registry();
        registry.containers.remove(id);
        registry.names.retain(|_, of| of != id);
    }

    /// By full id, name or unique prefix, in this order.
    pub(crate) fn find(&self, who: &str) -> Result<Arc<Container>, EngineError> {
        let registry = self.registry();
        let unknown = || EngineError::NoSuchContainer(who.to_owned());
        let by_name = |name: &str| {
            let name = name.parse::<ContainerName>().ok()?;
            registry.containers.get(registry.names.get(&name)?)
        };
        if let Some(found) = who
            .parse()
            .ok()
            .and_then(|id: ContainerId| registry.containers.get(&id))
        {
            return Ok(found.clone());
        }
        if let Some(found) = by_name(who) {
            return Ok(found.clone());
        }
        if who.is_empty() {
            return Err(unknown());
        }
        let mut matches = registry
            .containers
            .values()
            .filter(|c| c.id().as_str().starts_with(who));
        match (matches.next(), matches.next()) {
            (Some(found), None) => Ok(found.clone()),
            (Some(_), Some(_)) => Err(EngineError::AmbiguousPrefix(who.to_owned())),
            (None, _) => Err(unknown()),
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.registry().containers.values().cloned().collect()
    }
}
