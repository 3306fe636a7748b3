//! What containers use.
//!
//! What a user wants to know is what the container's processes use, which their control group in
//! the guest counts; what the VM costs around them is the host's business. But a guest may say
//! anything, so its figures are held against what the host knows ([`plausible`]): no guest has
//! used more CPU time than its VM was given, nor more memory than it has.
//!
//! The host's own part, the time of all its CPUs, comes from [`host`].

mod host;
mod plausible;

use std::sync::Arc;
use std::time::Duration;

use hull_protocol::agent::{Answer, Call};
use tokio::time::{Interval, MissedTickBehavior};

use crate::agent::AgentFailure;
use crate::api::{StatsSample, Usage};
use crate::container::Container;
use crate::context::Context;
use crate::error::EngineError;
use crate::state::Phase;
use crate::time::Timestamp;
use plausible::Bounds;

/// How often figures are taken, as Docker.
const INTERVAL: Duration = Duration::from_secs(1);

/// Takes figures now.
pub(crate) async fn sample(context: &Context, container: &Container) -> StatsSample {
    let usage = match usage(context, container).await {
        Ok(usage) => usage,
        Err(error) => {
            // It ends in this moment, or its guest does not answer: nothing is known.
            tracing::debug!(container = %container.id(), %error, "no statistics");
            None
        }
    };
    StatsSample {
        id: container.id().clone(),
        name: container.name(),
        usage,
    }
}

/// Figures, one after the other, a second apart, until the container is gone or the engine closes.
#[derive(Debug)]
pub struct StatsStream {
    context: Arc<Context>,
    container: Arc<Container>,
    ticks: Interval,
}

impl StatsStream {
    pub(crate) fn new(context: Arc<Context>, container: Arc<Container>) -> Self {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            context,
            container,
            ticks,
        }
    }

    /// The next figures; the first come at once.
    pub async fn next(&mut self) -> Option<StatsSample> {
        let mut watch = self.container.watch();
        tokio::select! {
            biased;
            () = self.context.closing.cancelled() => return None,
            _ = watch.wait_for(|s| s.phase == Phase::Gone) => return None,
            _ = self.ticks.tick() => {}
        }
        Some(sample(&self.context, &self.container).await)
    }
}

async fn usage(context: &Context, container: &Container) -> Result<Option<Usage>, EngineError> {
    let snapshot = container.snapshot();
    let run = snapshot.state.started_at;
    let group = context.layout.cgroup(container.id());
    let guest = match (snapshot.phase, snapshot.live) {
        // Its guest stands still and cannot answer, and nothing has changed since it last did.
        (Phase::Paused, _) => container
            .last_stats(run)
            .or_else(|| group.as_deref().map(host::of_vm))
            .unwrap_or_default(),
        (Phase::Running, Some(live)) => {
            let deadline = context.options.defaults.call_deadline;
            match live.agent.call(Call::Stats, deadline).await? {
                Answer::Stats(stats) => *stats,
                _ => return Err(AgentFailure::Unexpected.into()),
            }
        }
        _ => return Ok(None),
    };
    let bounds = Bounds::new(
        &container.blueprint().host_config,
        &context.options.defaults,
        group.and_then(|dir| host::group_cpu(&dir)),
    );
    let mut usage = bounds.apply(guest.clone());
    container.keep_stats(run, guest);
    usage.read = Timestamp::now();
    (usage.cpu.system, usage.cpu.online) = host::cpu_time();
    Ok(Some(usage))
}
