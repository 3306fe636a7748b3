//! Calls about processes that are started beside a container's first.

use std::sync::Arc;

use hull_protocol::agent::TerminalSize;

use super::Engine;
use crate::api::*;
use crate::container::{Container, exec};
use crate::error::EngineError;
use crate::id::ExecId;

impl Engine {
    /// Prepares another process in a running container.
    ///
    /// # Errors
    /// It does not run, or is paused, or there is nothing to run.
    pub async fn exec_create(&self, who: &str, spec: ExecSpec) -> Result<ExecId, EngineError> {
        exec::create(&self.context, &*self.context.registry.find(who)?, spec)
    }

    /// Starts it.
    ///
    /// # Errors
    /// It was started before, or its program cannot be run.
    pub async fn exec_start(&self, id: &str, start: ExecStart) -> Result<ExecStarted, EngineError> {
        let (container, exec) = self.find_exec(id)?;
        exec::start(&self.context, &container, &exec, start).await
    }

    /// Sets the size of its terminal.
    ///
    /// # Errors
    /// [`EngineError::ExecNotRunning`] before it runs: clients try again.
    pub async fn exec_resize(&self, id: &str, size: TerminalSize) -> Result<(), EngineError> {
        let (container, exec) = self.find_exec(id)?;
        exec::resize(&self.context, &container, &exec, size).await
    }

    /// What is known about it; kept until its container's run ends.
    ///
    /// # Errors
    /// No such exec.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecInspect, EngineError> {
        let (container, exec) = self.find_exec(id)?;
        Ok(exec::inspect(&container, &exec))
    }

    fn find_exec(&self, id: &str) -> Result<(Arc<Container>, Arc<exec::Exec>), EngineError> {
        let wanted: ExecId = id.parse()?;
        let found = self
            .context
            .registry
            .all()
            .into_iter()
            .find_map(|c| c.exec(&wanted).map(|e| (c, e)));
        found.ok_or_else(|| EngineError::NoSuchExec(id.to_owned()))
    }
}
