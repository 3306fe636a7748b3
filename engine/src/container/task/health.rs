//! Checks of the container's health: when they begin and end, and what their results make of it.

use super::*;
use crate::api::{Health, HealthStatus};
use crate::health::Check;

impl Task {
    /// A run has begun, or goes on with another engine.
    pub(super) fn begin_checks(&mut self) {
        self.checks = CancellationToken::new();
        let Some(check) = Check::of(&self.container.blueprint().config) else {
            return;
        };
        let before = self.now.state.health.as_deref();
        self.now.state.health = Some(Arc::new(Health {
            log: before.map(|h| h.log.clone()).unwrap_or_default(),
            ..Health::default()
        }));
        let (context, container) = (self.context.clone(), self.container.clone());
        let (over, outbox) = (self.checks.clone(), self.outbox.clone());
        self.context.spawn(async move {
            let checks = super::super::health::watch(context, container, check, outbox);
            over.run_until_cancelled(checks).await;
        });
    }

    /// The run is over. What nobody checks counts as unhealthy, as in Docker.
    pub(super) fn end_checks(&mut self) {
        self.checks.cancel();
        let ran = self.now.state.started_at.is_some();
        if !ran || Check::of(&self.container.blueprint().config).is_none() {
            return;
        }
        let mut health = self.health();
        health.status = HealthStatus::Unhealthy;
        self.now.state.health = Some(Arc::new(health));
    }

    /// What is known of it, to be changed.
    fn health(&self) -> Health {
        let known = self.now.state.health.as_deref();
        known.cloned().unwrap_or_default()
    }

    pub(super) fn checked(&mut self, checked: Checked) {
        let (true, Some(check)) = (
            matches!(self.now.phase, Phase::Running) && !self.checks.is_cancelled(),
            Check::of(&self.container.blueprint().config),
        ) else {
            return;
        };
        let mut health = self.health();
        let changed = check.record(&mut health, checked, self.now.state.started_at);
        let status = health.status;
        self.now.state.health = Some(Arc::new(health));
        self.snapshot();
        if changed {
            let action = format!("health_status: {}", status.as_str());
            self.container.announce(&self.context, &action, &[]);
        }
    }
}
