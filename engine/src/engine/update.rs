//! Changing a container's limits and restart policy.

use super::Engine;
use crate::admission;
use crate::api::HostConfig;
use crate::container::Command;
use crate::error::EngineError;

impl Engine {
    /// Changes what is not zero or empty; says what the user should know.
    ///
    /// # Errors
    /// The change cannot be, or its running VM cannot have it.
    pub async fn update(&self, who: &str, changes: HostConfig) -> Result<Vec<String>, EngineError> {
        let container = self.context.registry.find(who)?;
        admission::judge_update(&changes)?;
        container.ask(Command::Update(Box::new(changes))).await?;
        Ok(admission::warnings(&container.blueprint()))
    }
}
