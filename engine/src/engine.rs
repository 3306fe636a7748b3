//! The calls. Each finds its container and asks the container's own task, or reads what it shows.

mod execs;
mod files;
mod looks;
mod update;

use std::sync::Arc;
use std::time::Duration;

use crate::admission;
use crate::api::*;
use crate::container::{Beginning, Blueprint, Command, Container, Signal, start_task};
use crate::context::Context;
use crate::error::EngineError;
use crate::events::{EventStream, Window};
use crate::id::{ContainerId, ContainerName};
use crate::images::Images;
use crate::layout::{Layout, make_private, remove_tree};
use crate::log::attributes;
use crate::restart::Restarts;
use crate::state::{Force, Meaning, Phase, Then};
use crate::store::Store;
use crate::vm::HostFacts;

use crate::{listing, lock, names, recovery, signal, waiting};

/// From the stop signal to SIGKILL, where nobody says.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// From SIGKILL to pulling the plug.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How many names are tried before one is asked for.
const NAME_ATTEMPTS: u32 = 16;

/// Containers and images of one data root. Clones are the same engine.
///
/// Wherever a container is named, `who` is its full id, a unique prefix of it, or its name with
/// or without the leading `/`.
#[derive(Clone, Debug)]
pub struct Engine {
    context: Arc<Context>,
    id: String,
}

/// Counts and facts, for `info` and `version`.
#[derive(Clone, Debug)]
pub struct Info {
    /// Hull's version.
    pub version: &'static str,
    /// A random id of this data root.
    pub id: String,
    /// All containers.
    pub containers: usize,
    /// Those that run.
    pub running: usize,
    /// Those that are paused.
    pub paused: usize,
    /// The others.
    pub stopped: usize,
    /// Images.
    pub images: usize,
    /// As given to [`Engine::open`].
    pub options: Options,
}

impl Engine {
    /// Opens or makes the data root, adopts the VMs that still run and cleans up after those
    /// that do not.
    ///
    /// # Errors
    /// The data root cannot be used, or another engine has it.
    pub async fn open(options: Options) -> Result<Self, EngineError> {
        let layout = layout(&options);
        layout.prepare()?;
        let lock = lock::take(&layout.lock()).await?;
        let store = Store::open(&layout.database())?;
        let mut fresh = [0; 16];
        crate::random::fill(&mut fresh).map_err(random_failed)?;
        let id = store.identity(&hex::encode(fresh))?;
        let context = Context::new(options, layout, (store, lock))?;
        recovery::recover(&context).await?;
        Ok(Self { context, id })
    }

    /// Ends every task and connection, and leaves the VMs running for the next engine.
    pub async fn close(&self) {
        self.context.closing.cancel();
        self.context.tasks.close();
        self.context.tasks.wait().await;
    }

    /// Counts and facts.
    ///
    /// # Errors
    /// The image store cannot be read.
    pub async fn info(&self) -> Result<Info, EngineError> {
        let containers = self.context.registry.all();
        let count = |wanted: fn(Status) -> bool| {
            containers
                .iter()
                .filter(|c| wanted(c.snapshot().phase.status()))
                .count()
        };
        Ok(Info {
            version: env!("CARGO_PKG_VERSION"),
            id: self.id.clone(),
            containers: containers.len(),
            running: count(|s| s == Status::Running),
            paused: count(|s| s == Status::Paused),
            stopped: count(|s| !matches!(s, Status::Running | Status::Paused)),
            images: self.images().count().await?,
            options: self.context.options.clone(),
        })
    }

    /// The image store.
    pub fn images(&self) -> &Images {
        &self.context.images
    }

    /// What has happened in the window, as far as it is remembered, and what happens from now on.
    pub fn events(&self, window: Window) -> EventStream {
        self.context.events.listen(window)
    }

    /// Makes a container; with no name, one is made up.
    ///
    /// # Errors
    /// No such image, the name is taken, or the spec asks for what cannot be.
    pub async fn create(
        &self,
        name: Option<&str>,
        mut spec: CreateSpec,
    ) -> Result<Created, EngineError> {
        let log = std::mem::take(&mut spec.host_config.log_config);
        spec.host_config.log_config = log.or(&self.context.options.defaults.log);
        let facts = HostFacts::read(self.context.layout.cgroup_root());
        admission::judge(&spec, &facts)?;
        let given = name.map(str::parse::<ContainerName>).transpose()?;
        let image = self.context.images.find(&spec.config.image).await?;
        admission::judge_platform(&spec.config.image, &image)?;
        let id = ContainerId::random().map_err(random_failed)?;
        let warnings = admission::discard(&mut spec.host_config, &facts);
        let blueprint = Blueprint::new(id.clone(), spec, &image)?;
        let name = self.claim_name(given, &id)?;
        if let Err(error) = attributes::of(&blueprint, name.as_str()) {
            self.context.registry.release(&name);
            return Err(error.into());
        }
        let dir = self.context.layout.container(&id);
        let made = make_private(&dir).map_err(|source| EngineError::File {
            path: dir.clone(),
            source,
        });
        let stored = made.and_then(|()| Ok(self.context.store.insert(&blueprint, &name)?));
        if let Err(error) = stored {
            self.context.registry.release(&name);
            if let Err(error) = remove_tree(&dir) {
                tracing::warn!(container = %id, %error, "a folder is left over");
            }
            return Err(error);
        }
        let beginning = Beginning::Rest(Phase::Created);
        let state = (ContainerState::created(), Restarts::default());
        let container = start_task(&self.context, blueprint, name.clone(), state, beginning);
        container.announce(&self.context, "create", &[]);
        Ok(Created { id, name, warnings })
    }

    /// Starts it, and returns once its program runs.
    ///
    /// # Errors
    /// [`EngineError::NotModified`] where it runs already; whatever kept it from starting.
    pub async fn start(&self, who: &str) -> Result<(), EngineError> {
        self.context.registry.find(who)?.ask(Command::Start).await
    }

    /// Stops it, and returns once it has ended.
    ///
    /// # Errors
    /// [`EngineError::NotModified`] where it does not run.
    pub async fn stop(&self, who: &str, options: StopOptions) -> Result<(), EngineError> {
        self.end(who, options, Then::Rest).await
    }

    async fn end(&self, who: &str, options: StopOptions, then: Then) -> Result<(), EngineError> {
        let container = self.context.registry.find(who)?;
        let blueprint = container.blueprint();
        let config = &blueprint.config;
        let name = options.signal.as_ref().or(config.stop_signal.as_ref());
        let number = signal::parse(name.map_or("TERM", String::as_str))?;
        let timeout = grace(options.timeout, config.stop_timeout);
        if !container.snapshot().phase.is_active() {
            return Err(EngineError::NotModified(container.id().clone()));
        }
        let send = async |number| {
            let signal = Signal {
                number,
                meaning: Meaning::Stop,
                then,
            };
            match container.ask(Command::Signal(signal)).await {
                // It ended by itself: as good.
                Err(EngineError::NotRunning(_) | EngineError::NoSuchContainer(_)) => Ok(()),
                other => other,
            }
        };
        // A guest that cannot be reached gets no grace.
        let heard = send(number).await.is_ok();
        if !(heard && ended(&container, timeout).await) {
            let heard = send(libc::SIGKILL).await.is_ok();
            killed(&container, heard).await?;
        }
        container.announce(&self.context, "stop", &[]);
        Ok(())
    }

    /// Stops it if it runs, and starts it.
    ///
    /// # Errors
    /// As [`Engine::stop`] and [`Engine::start`].
    pub async fn restart(&self, who: &str, options: StopOptions) -> Result<(), EngineError> {
        match self.end(who, options, Then::StartAgain).await {
            Ok(()) | Err(EngineError::NotModified(_)) => {}
            Err(error) => return Err(error),
        }
        self.start(who).await?;
        let container = self.context.registry.find(who)?;
        container.announce(&self.context, "restart", &[]);
        Ok(())
    }

    /// Sends its first process a signal: a number, or a name with or without `SIG`. Empty is
    /// SIGKILL.
    ///
    /// # Errors
    /// It does not run, or there is no such signal.
    pub async fn kill(&self, who: &str, signal: &str) -> Result<(), EngineError> {
        let name = if signal.is_empty() { "KILL" } else { signal };
        let number = signal::parse(name)?;
        let container = self.context.registry.find(who)?;
        let own = container.blueprint().config.stop_signal.clone();
        // As in Docker: with a stop signal of its own, others are messages.
        let ends = own.is_none_or(|own| signal::parse(&own).is_ok_and(|own| own == number));
        let meaning = match ends || number == libc::SIGKILL {
            true => Meaning::Stop,
            false => Meaning::Other,
        };
        let signal = Signal {
            number,
            meaning,
            then: Then::Rest,
        };
        container.ask(Command::Signal(signal)).await?;
        // As in Docker: whoever kills finds it dead.
        match number == libc::SIGKILL {
            true => killed(&container, true).await,
            false => Ok(()),
        }
    }

    /// Holds its vCPUs.
    ///
    /// # Errors
    /// It does not run, or is paused.
    pub async fn pause(&self, who: &str) -> Result<(), EngineError> {
        self.context.registry.find(who)?.ask(Command::Pause).await
    }

    /// Lets them run on.
    ///
    /// # Errors
    /// It is not paused.
    pub async fn unpause(&self, who: &str) -> Result<(), EngineError> {
        self.context.registry.find(who)?.ask(Command::Unpause).await
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// The name is taken or none.
    pub async fn rename(&self, who: &str, name: &str) -> Result<(), EngineError> {
        let container = self.context.registry.find(who)?;
        let name: ContainerName = name.parse()?;
        let old = container.name();
        if name == old {
            return Err(EngineError::Invalid(
                "Renaming a container with the same name as its current name".into(),
            ));
        }
        self.context.registry.claim(&name, container.id())?;
        if let Err(error) = self.context.store.rename(container.id(), &name) {
            self.context.registry.release(&name);
            return Err(error.into());
        }
        container.set_name(name);
        self.context.registry.release(&old);
        container.announce(&self.context, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// Removes it and all it wrote.
    ///
    /// # Errors
    /// It runs and `force` was not said.
    pub async fn remove(&self, who: &str, options: RemoveOptions) -> Result<(), EngineError> {
        let force = if options.force { Force::Yes } else { Force::No };
        self.context
            .registry
            .find(who)?
            .ask(Command::Remove(force))
            .await
    }

    /// Removes every container that does not run.
    ///
    /// # Errors
    /// A filter is not known.
    pub async fn prune(&self, filters: Filters) -> Result<Pruned, EngineError> {
        let mut pruned = Pruned::default();
        for container in listing::select_for_prune(&self.context, &filters).await? {
            let bytes = listing::sizes(&self.context, &container).await.written;
            match container.ask(Command::Remove(Force::No)).await {
                Ok(()) => {
                    pruned.containers.push(container.id().clone());
                    pruned.reclaimed += bytes;
                }
                // Started or removed by somebody else meanwhile.
                Err(error) => tracing::debug!(container = %container.id(), %error, "not pruned"),
            }
        }
        Ok(pruned)
    }

    /// Begins to wait: what happens after this returns is not missed.
    ///
    /// # Errors
    /// No such container.
    pub async fn wait(&self, who: &str, condition: WaitCondition) -> Result<Waiting, EngineError> {
        Ok(waiting::begin(
            &self.context,
            &self.context.registry.find(who)?,
            condition,
        ))
    }

    fn claim_name(
        &self,
        given: Option<ContainerName>,
        id: &ContainerId,
    ) -> Result<ContainerName, EngineError> {
        if let Some(name) = given {
            self.context.registry.claim(&name, id)?;
            return Ok(name);
        }
        for attempt in 0..NAME_ATTEMPTS {
            let name: ContainerName = names::generate(attempt).map_err(random_failed)?.parse()?;
            if self.context.registry.claim(&name, id).is_ok() {
                return Ok(name);
            }
        }
        // Enough containers to have used up the words: the id is a name too.
        let name: ContainerName = id.short().parse()?;
        self.context.registry.claim(&name, id)?;
        Ok(name)
    }
}

/// From the stop signal to SIGKILL: what was asked for, or what the container was made with, below
/// zero for ever, or Docker's ten seconds.
fn grace(asked: Option<Duration>, own: Option<i64>) -> Duration {
    let own = own.map(|seconds| u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs));
    asked.or(own).unwrap_or(STOP_TIMEOUT)
}

/// Waits for the end of a container that was sent SIGKILL, or was not reached by it: then, or when
/// it does not end, its VM goes.
async fn killed(container: &Container, heard: bool) -> Result<(), EngineError> {
    if !(heard && ended(container, KILL_TIMEOUT).await) {
        container.ask(Command::Unplug).await?;
        ended(container, KILL_TIMEOUT).await;
    }
    Ok(())
}

/// Waits until it does not run. Says whether it came to that in time.
async fn ended(container: &Container, limit: Duration) -> bool {
    let mut watch = container.watch();
    let stopped = watch.wait_for(|s| !s.phase.is_active());
    tokio::time::timeout(limit, stopped).await.is_ok()
}

fn layout(options: &Options) -> Layout {
    Layout::new(
        options.data_root.clone(),
        options.run_dir.clone(),
        options.cgroup_root.clone(),
    )
}

fn random_failed(error: rustix::io::Errno) -> EngineError {
    EngineError::File {
        path: "getrandom".into(),
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_is_what_was_asked_for_then_the_containers_own() {
        let seconds = Duration::from_secs;
        for (asked, own, expected) in [
            (None, None, seconds(10)),
            (None, Some(3), seconds(3)),
            (None, Some(0), seconds(0)),
            (None, Some(-1), Duration::MAX),
            (Some(seconds(0)), Some(3), seconds(0)),
            (Some(Duration::MAX), Some(3), Duration::MAX),
        ] {
            assert_eq!(grace(asked, own), expected, "{asked:?} {own:?}");
        }
    }
}
