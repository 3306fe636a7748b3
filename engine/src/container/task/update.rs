//! Changing what a container may use, and when it is started again.
//!
//! What is stored holds from the next start on. A VM that is there already gets at once what can
//! be changed about it, and what cannot is refused with the reason: nothing waits in silence.

use hull_protocol::agent::Limits;

use super::*;
use crate::update;

impl Task {
    pub(super) async fn update(&mut self, changes: Box<HostConfig>, reply: Reply) {
        if matches!(self.now.phase, Phase::Starting(_)) {
            self.parked.push((Command::Update(changes), reply));
            return;
        }
        let updated = self.try_update(&changes).await;
        if updated.is_ok() {
            self.container.announce(&self.context, "update", &[]);
        }
        // The caller may have stopped waiting.
        let _ = reply.send(updated);
    }

    /// Limits a VM that is there, on both sides.
    async fn limit(&self, live: &Live, wanted: &update::Live) -> Result<(), EngineError> {
        let id = self.container.id();
        if wanted.guest != Limits::default() {
            // Its guest stands still and cannot be told.
            if self.now.phase == Phase::Paused {
                return Err(EngineError::Paused(id.clone(), "update"));
            }
            let deadline = self.context.options.defaults.call_deadline;
            let call = Call::Limit(wanted.guest);
            live.agent.order(call, deadline).await?;
        }
        Ok(vm::limit(self.context.layout.cgroup(id), &wanted.host)?)
    }

    async fn try_update(&mut self, changes: &HostConfig) -> Result<(), EngineError> {
        let id = self.container.id();
        let refused = |why: String| EngineError::CannotUpdate {
            id: id.clone(),
            why,
        };
        if matches!(self.now.phase, Phase::Removing | Phase::Dead | Phase::Gone) {
            let why = "container is marked for removal and cannot be \"update\"";
            return Err(refused(why.to_owned()));
        }
        let old = self.container.blueprint();
        let host_config = update::merge(&old.host_config, changes).map_err(refused)?;
        crate::admission::judge_limits(&host_config, self.context.layout.cgroup_root())?;
        let defaults = &self.context.options.defaults;
        if let Some(live) = &self.now.live
            && update::concerns_vm(&old.host_config, &host_config, defaults)
        {
            let info = vm::info_of(&live.control).await?;
            let size = (info.memory_mib, info.vcpus);
            let wanted = update::live(&old.host_config, &host_config, defaults, size);
            let wanted = wanted.map_err(refused)?;
            self.limit(live, &wanted).await?;
        }
        let blueprint = Blueprint {
            host_config,
            ..Blueprint::clone(&old)
        };
        self.context.store.set_record(&blueprint)?;
        self.container.set_blueprint(blueprint);
        Ok(())
    }
}
