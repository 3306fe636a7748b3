//! The end of a run, and of the container.

use super::*;
use crate::restart::RunEnd;
use crate::time::lasted;

impl Task {
    pub(super) async fn ended(&mut self, outcome: Outcome, started: Started) {
        let lasted = lasted(self.now.state.started_at, outcome.time);
        let then = self.then(RunEnd {
            exit_code: outcome.exit_code,
            lasted,
        });
        if !self.happened(Event::ProcessEnded(then)) {
            return self.wind_down(started);
        }
        self.now.live = None;
        self.now.ends += 1;
        self.now.latest_code = outcome.exit_code;
        self.now.state.exit_code = outcome.exit_code;
        self.now.state.oom_killed = outcome.oom_killed;
        self.now.state.error = outcome.error;
        self.now.state.finished_at = Some(outcome.time);
        self.end_checks();
        self.publish();
        self.wind_down(started);
        let code = [
            ("exitCode", outcome.exit_code.to_string()),
            ("execDuration", lasted.as_secs().to_string()),
        ];
        if outcome.oom_killed {
            self.container.announce(&self.context, "oom", &[]);
        }
        self.container.announce(&self.context, "die", &code);
    }

    pub(super) async fn remove_by_itself(&mut self) {
        let at_rest = matches!(self.now.phase, Phase::Exited)
            || (self.now.phase == Phase::Created && self.now.ends > 0);
        if self.kept {
            return;
        }
        if self.container.blueprint().host_config.auto_remove && at_rest {
            self.now.phase = Phase::Removing;
            self.publish();
            self.delete().await;
        }
    }

    /// Removes what it has on the host; after that it is gone, or dead.
    pub(super) async fn delete(&mut self) {
        let id = self.container.id().clone();
        let dir = self.context.layout.container(&id);
        let _disk = self.container.attic.seize().await;
        let removed = tokio::task::spawn_blocking(move || remove_tree(&dir)).await;
        let result = match removed {
            Ok(Ok(())) => self.context.store.delete(&id).map_err(|e| e.to_string()),
            Ok(Err(e)) => Err(format!("cannot remove the files of the container: {e}")),
            Err(_) => Err("the engine is shutting down".to_owned()),
        };
        match result {
            Ok(()) => {
                self.happened(Event::Removed);
                self.context.registry.drop_container(&id);
                self.container.announce(&self.context, "destroy", &[]);
                self.snapshot();
            }
            Err(error) => {
                tracing::warn!(container = %id, %error, "a removal failed");
                self.happened(Event::RemoveFailed);
                self.now.state.error = error;
                self.publish();
            }
        }
    }
}
