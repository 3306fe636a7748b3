//! A container: what it is, where it stands, and the task that alone changes that.
//!
//! ```text
//!  Engine calls ──Command──► task ──next()──► effects ──► launch, supervise, delete
//!                             ▲                              │
//!                             └───────── Happened ───────────┘
//! ```
//!
//! Reading needs no task: it publishes a [`Snapshot`] after every change.

pub(crate) mod attach;
pub(crate) mod attic;
mod blueprint;
mod capabilities;
mod defaults;
pub(crate) mod exec;
mod health;
mod oci;
mod run;
pub(crate) mod seccomp;
mod snapshot;
mod task;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hull_protocol::agent::Stats;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use blueprint::Blueprint;
#[cfg(test)]
pub(crate) use oci::create as create_request;
pub(crate) use oci::rlimits;
pub(crate) use run::Started;
pub(crate) use snapshot::{Live, Outcome, Snapshot};
pub(crate) use task::{Beginning, Command, Signal, start_task};

use crate::console::Console;
use crate::context::Context;
use crate::error::EngineError;
use crate::events::Event;
use crate::id::{ContainerId, ContainerName, ExecId};
use crate::log::{Run, attributes};
use crate::time::Timestamp;
use exec::Exec;
use task::Input;

/// One container, shared by its task and those who look at it.
#[derive(Debug)]
pub(crate) struct Container {
    id: ContainerId,
    pub(crate) console: Console,
    pub(crate) attic: attic::Attic,
    blueprint: Mutex<Arc<Blueprint>>,
    name: Mutex<ContainerName>,
    snapshot: watch::Sender<Snapshot>,
    inbox: mpsc::UnboundedSender<Input>,
    execs: Mutex<HashMap<ExecId, Arc<Exec>>>,
    /// What the guest last said it uses; a paused one says nothing.
    stats: Mutex<Option<(Option<Timestamp>, Stats)>>,
}

impl Container {
    pub(crate) fn id(&self) -> &ContainerId {
        &self.id
    }

    /// What it is now: an update makes another one.
    pub(crate) fn blueprint(&self) -> Arc<Blueprint> {
        lock(&self.blueprint).clone()
    }

    fn set_blueprint(&self, blueprint: Blueprint) {
        *lock(&self.blueprint) = Arc::new(blueprint);
    }

    pub(crate) fn name(&self) -> ContainerName {
        lock(&self.name).clone()
    }

    pub(crate) fn set_name(&self, name: ContainerName) {
        *lock(&self.name) = name;
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// To wait for changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    /// Opens its log for a run.
    async fn begin_log(&self, run: Run) -> Result<(), EngineError> {
        let attributes = attributes::of(&self.blueprint(), self.name().as_str())?;
        self.console.begin(run, attributes).await
    }

    /// Asks the task and waits for what it says.
    pub(crate) async fn ask(&self, command: Command) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.inbox
            .send(Input::Command(command, reply))
            .map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?
    }

    /// The VM, where the process runs and is not held.
    pub(crate) fn live(&self) -> Result<Live, EngineError> {
        let snapshot = self.snapshot.borrow();
        match (snapshot.phase, &snapshot.live) {
            (crate::state::Phase::Paused, _) => Err(EngineError::Paused(self.id().clone(), "exec")),
            (crate::state::Phase::Running, Some(live)) => Ok(live.clone()),
            (phase, _) if phase.is_between_runs() => {
                Err(EngineError::Restarting(format!("Container {}", self.id())))
            }
            _ => Err(EngineError::NotRunning(self.id().clone())),
        }
    }

    /// What its guest last said it uses, in the run that began then.
    pub(crate) fn last_stats(&self, run: Option<Timestamp>) -> Option<Stats> {
        let kept = lock(&self.stats).clone();
        kept.filter(|(of, _)| *of == run).map(|(_, stats)| stats)
    }

    pub(crate) fn keep_stats(&self, run: Option<Timestamp>, stats: Stats) {
        *lock(&self.stats) = Some((run, stats));
    }

    pub(crate) fn exec(&self, id: &ExecId) -> Option<Arc<Exec>> {
        lock(&self.execs).get(id).cloned()
    }

    pub(crate) fn add_exec(&self, exec: Arc<Exec>) {
        lock(&self.execs).insert(exec.id.clone(), exec);
    }

    /// A run begins: the execs of the one before are over.
    fn forget_execs(&self) {
        lock(&self.execs).clear();
    }

    pub(crate) fn drop_exec(&self, id: &ExecId) {
        lock(&self.execs).remove(id);
    }

    /// Those that run.
    pub(crate) fn running_execs(&self) -> Vec<ExecId> {
        let execs = lock(&self.execs);
        let mut ids: Vec<_> = execs
            .values()
            .filter(|e| e.is_running())
            .map(|e| e.id.clone())
            .collect();
        ids.sort();
        ids
    }

    /// Tells the world.
    pub(crate) fn announce(&self, context: &Context, action: &str, more: &[(&str, String)]) {
        let blueprint = self.blueprint();
        let mut attributes = blueprint.config.labels.clone();
        attributes.insert("name".into(), self.name().to_string());
        attributes.insert("image".into(), blueprint.config.image.clone());
        attributes.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        context.events.tell(Event {
            kind: "container",
            action: action.to_owned(),
            actor: self.id().to_string(),
            attributes,
            time: Timestamp::now(),
        });
    }

    fn gone(&self) -> EngineError {
        match self.snapshot.borrow().phase {
            crate::state::Phase::Gone => EngineError::NoSuchContainer(self.id().to_string()),
            _ => EngineError::Closing,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
