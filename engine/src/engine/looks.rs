//! Calls that watch a container or look at it: streams, logs, listings.

use hull_protocol::agent::{Call, ProcessId, TerminalSize};

use super::Engine;
use crate::api::*;
use crate::container::attach;
use crate::error::EngineError;
use crate::state::Phase;
use crate::stats::{self, StatsStream};
use crate::{listing, top};

impl Engine {
    /// Attaches to its first process; also before it is started.
    ///
    /// # Errors
    /// No such container, or it is paused.
    pub async fn attach(
        &self,
        who: &str,
        options: AttachOptions,
    ) -> Result<Attachment, EngineError> {
        let container = self.context.registry.find(who)?;
        match container.snapshot().phase {
            Phase::Paused => return Err(EngineError::Paused(container.id().clone(), "attach")),
            phase if phase.is_between_runs() => {
                return Err(EngineError::Restarting(format!("container {who}")));
            }
            _ => {}
        }
        Ok(attach::attach(&self.context, &container, options).await)
    }

    /// Sets the size of its terminal.
    ///
    /// # Errors
    /// It does not run.
    pub async fn resize(&self, who: &str, size: TerminalSize) -> Result<(), EngineError> {
        let container = self.context.registry.find(who)?;
        let call = Call::Resize {
            process: ProcessId::init(),
            size,
        };
        let live = container.live()?;
        Ok(live
            .agent
            .order(call, self.context.options.defaults.call_deadline)
            .await?)
    }

    /// Its log.
    ///
    /// # Errors
    /// No such container, or neither stream was asked for.
    pub async fn logs(&self, who: &str, options: LogOptions) -> Result<LogStream, EngineError> {
        let container = self.context.registry.find(who)?;
        if !options.stdout && !options.stderr {
            return Err(EngineError::Invalid(
                "Bad parameters: you must choose at least one stream".into(),
            ));
        }
        let tty = container.blueprint().config.tty;
        let lines = container
            .console
            .read(options, self.context.closing.clone())?;
        Ok(LogStream { tty, lines })
    }

    /// All about it.
    ///
    /// # Errors
    /// No such container.
    pub async fn inspect(&self, who: &str) -> Result<ContainerInspect, EngineError> {
        let container = self.context.registry.find(who)?;
        Ok(listing::inspect(&self.context, &container).await)
    }

    /// What its files take, as they lie on the host's disk.
    ///
    /// # Errors
    /// No such container.
    pub async fn sizes(&self, who: &str) -> Result<ContainerSizes, EngineError> {
        let container = self.context.registry.find(who)?;
        Ok(listing::sizes(&self.context, &container).await)
    }

    /// Containers, newest first.
    ///
    /// # Errors
    /// A filter is not known.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<ContainerSummary>, EngineError> {
        listing::list(&self.context, &options).await
    }

    /// What it uses, now.
    ///
    /// # Errors
    /// No such container.
    pub async fn stats(&self, who: &str) -> Result<StatsSample, EngineError> {
        let container = self.context.registry.find(who)?;
        Ok(stats::sample(&self.context, &container).await)
    }

    /// What it uses, now and then every second, until it is removed.
    ///
    /// # Errors
    /// No such container.
    pub fn watch_stats(&self, who: &str) -> Result<StatsStream, EngineError> {
        let container = self.context.registry.find(who)?;
        Ok(StatsStream::new(self.context.clone(), container))
    }

    /// Its processes. `ps_args` other than the default `-ef` are refused.
    ///
    /// # Errors
    /// It does not run.
    pub async fn top(&self, who: &str, ps_args: &str) -> Result<Top, EngineError> {
        let container = self.context.registry.find(who)?;
        top::top(&self.context, &container, ps_args).await
    }
}
