//! The calls. Each finds its container and asks the container's own task.

use hull_protocol::agent::TerminalSize;

use crate::api::*;
use crate::error::EngineError;
use crate::events::{EventBus, EventStream};
use crate::id::ExecId;
use crate::images::Images;

/// Containers and images of one data root. Clones are the same engine.
///
/// Wherever a container is named, `who` is its full id, a unique prefix of it, or its name with
/// or without the leading `/`.
#[derive(Clone, Debug)]
pub struct Engine {
    images: Images,
    events: EventBus,
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
        let _ = options;
        Err(EngineError::NotSupported("opening".into()))
    }

    /// Ends every task and connection, and leaves the VMs running for the next engine.
    pub async fn close(&self) {}

    /// Counts and facts.
    ///
    /// # Errors
    /// The image store cannot be read.
    pub async fn info(&self) -> Result<Info, EngineError> {
        Err(EngineError::Closing)
    }

    /// The image store.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// What happens from now on.
    pub fn events(&self) -> EventStream {
        self.events.subscribe()
    }

    /// Makes a container; with no name, one is made up.
    ///
    /// # Errors
    /// No such image, the name is taken, or the spec asks for what cannot be.
    pub async fn create(
        &self,
        name: Option<&str>,
        spec: CreateSpec,
    ) -> Result<Created, EngineError> {
        let _ = (name, spec);
        Err(EngineError::Closing)
    }

    /// Starts it, and returns once its program runs.
    ///
    /// # Errors
    /// [`EngineError::NotModified`] where it runs already; whatever kept it from starting.
    pub async fn start(&self, who: &str) -> Result<(), EngineError> {
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Stops it, and returns once it has ended.
    ///
    /// # Errors
    /// [`EngineError::NotModified`] where it does not run.
    pub async fn stop(&self, who: &str, options: StopOptions) -> Result<(), EngineError> {
        let _ = options;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Stops it if it runs, and starts it.
    ///
    /// # Errors
    /// As [`Engine::stop`] and [`Engine::start`].
    pub async fn restart(&self, who: &str, options: StopOptions) -> Result<(), EngineError> {
        let _ = options;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Sends its first process a signal: a number, or a name with or without `SIG`. Empty is
    /// SIGKILL.
    ///
    /// # Errors
    /// It does not run, or there is no such signal.
    pub async fn kill(&self, who: &str, signal: &str) -> Result<(), EngineError> {
        let _ = signal;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Holds its vCPUs.
    ///
    /// # Errors
    /// It does not run, or is paused.
    pub async fn pause(&self, who: &str) -> Result<(), EngineError> {
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Lets them run on.
    ///
    /// # Errors
    /// It is not paused.
    pub async fn unpause(&self, who: &str) -> Result<(), EngineError> {
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// The name is taken or none.
    pub async fn rename(&self, who: &str, name: &str) -> Result<(), EngineError> {
        let _ = name;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Removes it and all it wrote.
    ///
    /// # Errors
    /// It runs and `force` was not said.
    pub async fn remove(&self, who: &str, options: RemoveOptions) -> Result<(), EngineError> {
        let _ = options;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Removes every container that does not run.
    ///
    /// # Errors
    /// A filter is not known.
    pub async fn prune(&self, filters: Filters) -> Result<Pruned, EngineError> {
        let _ = filters;
        Err(EngineError::Closing)
    }

    /// Begins to wait: what happens after this returns is not missed.
    ///
    /// # Errors
    /// No such container.
    pub async fn wait(&self, who: &str, condition: WaitCondition) -> Result<Waiting, EngineError> {
        let _ = condition;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Attaches to its first process; also before it is started.
    ///
    /// # Errors
    /// No such container, or it is paused.
    pub async fn attach(
        &self,
        who: &str,
        options: AttachOptions,
    ) -> Result<Attachment, EngineError> {
        let _ = options;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Sets the size of its terminal.
    ///
    /// # Errors
    /// It does not run.
    pub async fn resize(&self, who: &str, size: TerminalSize) -> Result<(), EngineError> {
        let _ = size;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Its log.
    ///
    /// # Errors
    /// No such container, or neither stream was asked for.
    pub async fn logs(&self, who: &str, options: LogOptions) -> Result<LogStream, EngineError> {
        let _ = options;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// All about it.
    ///
    /// # Errors
    /// No such container.
    pub async fn inspect(&self, who: &str) -> Result<ContainerInspect, EngineError> {
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Containers, newest first.
    ///
    /// # Errors
    /// A filter is not known.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<ContainerSummary>, EngineError> {
        let _ = options;
        Err(EngineError::Closing)
    }

    /// Its processes. `ps_args` other than the default `-ef` are refused.
    ///
    /// # Errors
    /// It does not run.
    pub async fn top(&self, who: &str, ps_args: &str) -> Result<Top, EngineError> {
        let _ = ps_args;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Prepares another process in a running container.
    ///
    /// # Errors
    /// It does not run, or is paused, or there is nothing to run.
    pub async fn exec_create(&self, who: &str, spec: ExecSpec) -> Result<ExecId, EngineError> {
        let _ = spec;
        Err(EngineError::NoSuchContainer(who.to_owned()))
    }

    /// Starts it.
    ///
    /// # Errors
    /// It was started before, or its program cannot be run.
    pub async fn exec_start(&self, id: &str, start: ExecStart) -> Result<ExecStarted, EngineError> {
        let _ = start;
        Err(EngineError::NoSuchExec(id.to_owned()))
    }

    /// Sets the size of its terminal.
    ///
    /// # Errors
    /// [`EngineError::ExecNotRunning`] before it runs: clients try again.
    pub async fn exec_resize(&self, id: &str, size: TerminalSize) -> Result<(), EngineError> {
        let _ = size;
        Err(EngineError::NoSuchExec(id.to_owned()))
    }

    /// What is known about it; kept until its container's run ends.
    ///
    /// # Errors
    /// No such exec.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecInspect, EngineError> {
        Err(EngineError::NoSuchExec(id.to_owned()))
    }
}
