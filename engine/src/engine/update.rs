//! Changing a container's limits and restart policy.

use super::Engine;
use crate::admission;
use crate::api::HostConfig;
use crate::container::Command;
use crate::error::EngineError;
use crate::vm::HostFacts;

impl Engine {
    /// Changes what is not zero or empty; says what the user should know.
    ///
    /// # Errors
    /// The change cannot be, or its running VM cannot have it.
    pub async fn update(
        &self,
        who: &str,
        mut changes: HostConfig,
    ) -> Result<Vec<String>, EngineError> {
        let container = self.context.registry.find(who)?;
        admission::judge_update(&changes)?;
        let facts = HostFacts::read(self.context.layout.cgroup_root());
        let warnings = admission::discard(&mut changes, &facts);
        container.ask(Command::Update(Box::new(changes))).await?;
        Ok(warnings)
    }
}
