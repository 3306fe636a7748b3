//! Which containers there are, by id and by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::container::Container;
use crate::error::EngineError;
use crate::id::{ContainerId, ContainerName};

/// Every container of one engine.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    containers: BTreeMap<ContainerId, Arc<Container>>,
    /// Also of containers that are just being made.
    names: HashMap<ContainerName, ContainerId>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name for a container that is about to be, or says whose it is.
    pub(crate) fn claim(&self, name: &ContainerName, id: &ContainerId) -> Result<(), EngineError> {
        let mut registry = self.lock();
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
        self.lock().names.remove(name);
    }

    pub(crate) fn add(&self, container: Arc<Container>) {
        self.lock()
            .containers
            .insert(container.id().clone(), container);
    }

    /// Forgets a container and its name.
    pub(crate) fn drop_container(&self, id: &ContainerId) {
        let mut registry = self.lock();
        registry.containers.remove(id);
        registry.names.retain(|_, of| of != id);
    }

    /// By full id, name or unique prefix, in this order.
    pub(crate) fn find(&self, who: &str) -> Result<Arc<Container>, EngineError> {
        let registry = self.lock();
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
        self.lock().containers.values().cloned().collect()
    }
}
