//! What every part of one engine shares.

use std::sync::Arc;

use hull_images::remote::Remote;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Options;
use crate::error::EngineError;
use crate::events::EventBus;
use crate::images::Images;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::registry::Registry;
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
    pub(crate) registry: Arc<Registry>,
    _lock: Lock,
}

impl Context {
    pub(crate) fn new(
        options: Options,
        layout: Layout,
        (store, lock): (Store, Lock),
    ) -> Result<Arc<Self>, EngineError> {
        let (registry, events) = (Arc::new(Registry::default()), EventBus::new());
        Ok(Arc::new(Self {
            images: Images::open(
                layout.image_store(),
                Remote::new(options.registries.clone()),
                (registry.clone(), events.clone()),
            )?,
            options,
            layout,
            store,
            events,
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            registry,
            _lock: lock,
        }))
    }

    /// Runs a task until it is done or the engine closes, and lets closing wait for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.tasks.spawn(async move {
            closing.run_until_cancelled(task).await;
        });
    }
}
