//! What users' wishes mean for a container's restart policy, and the next run when its time comes.

use super::*;
use crate::restart::{Policy, RunEnd};
use crate::time::lasted;

impl Task {
    /// What comes after an end, by the policy as it is now.
    pub(super) fn then(&mut self, end: RunEnd) -> Then {
        let policy = Policy::of(&self.container.blueprint().host_config.restart_policy);
        match self.now.restarts.start_again(policy, end) {
            true => Then::StartAgain,
            false => Then::Rest,
        }
    }

    /// Keeps in mind what a command that will be done says about later runs; stored before
    /// anything is done, as an engine may end at any moment.
    pub(super) fn note_intent(&mut self, command: &Command, after: Phase) {
        match command {
            Command::Start if matches!(after, Phase::Starting(_)) => {
                self.now.restarts = Restarts::default();
                self.kept = false;
            }
            // One that comes back when the launch is over counts then.
            Command::Signal(_) if matches!(after, Phase::Starting(_)) => {}
            Command::Signal(signal) => {
                self.now.restarts.by_hand = true;
                self.now.restarts.last_run |= signal.meaning == Meaning::Stop;
                self.kept = signal.then == Then::StartAgain;
                self.publish();
            }
            Command::Unplug | Command::Remove(_) => self.now.restarts.last_run = true,
            _ => {}
        }
    }

    /// Begins the wait for the next run.
    pub(super) fn arm(&mut self) {
        self.wait = CancellationToken::new();
        let (over, outbox, run) = (self.wait.clone(), self.outbox.clone(), self.now.ends);
        let passed = lasted(self.now.state.finished_at, Timestamp::now());
        let left = self.now.restarts.wait().saturating_sub(passed);
        let place = self.place.take();
        self.context.spawn(async move {
            let wait = async {
                tokio::time::sleep(left).await;
                match place {
                    Some(place) => place.turn().await,
                    None => None,
                }
            };
            // Ends without a word where the wait is cancelled.
            if let Some(turn) = over.run_until_cancelled(wait).await {
                let _ = outbox.send(Input::Due(run, turn));
            }
        });
    }

    /// The time has come, unless it is that of a wait that has ended.
    pub(super) fn due(&mut self, run: u64, turn: Option<Turn>) {
        if self.wait.is_cancelled() || run != self.now.ends {
            return;
        }
        if let Ok((after, effects)) = next(self.now.phase, Event::Due)
            && effects.contains(&Effect::Launch)
        {
            self.turn = turn;
            self.begin_launch(after, None);
        }
    }
}
