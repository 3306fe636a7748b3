//! A run of a container from the launch of its VM to where it is supervised.

use tokio_util::sync::CancellationToken;

use super::*;

impl Task {
    /// Starts the launch; the caller, if there is one, is answered when it is over.
    pub(super) fn begin_launch(&mut self, after: Phase, reply: Option<Reply>) {
        self.now.phase = after;
        self.launch = CancellationToken::new();
        self.starter = reply;
        let (context, container) = (self.context.clone(), self.container.clone());
        let (abort, outbox) = (self.launch.clone(), self.outbox.clone());
        self.snapshot();
        self.context.spawn(async move {
            let result = bring_up(&context, &container, &abort).await;
            // The task lives as long as the engine does.
            let _ = outbox.send(Input::Launched(Box::new(result)));
        });
    }

    pub(super) async fn launched(&mut self, started: Started) {
        self.turn = None;
        if !self.happened(Event::Launched) {
            return;
        }
        self.now.live = Some(started.live());
        self.now.state = ContainerState {
            pid: started.running.process.identity.pid,
            started_at: Some(started.time),
            exit_code: 0,
            error: String::new(),
            oom_killed: false,
            ..self.now.state.clone()
        };
        self.container.forget_execs();
        self.begin_checks();
        self.publish();
        self.container.announce(&self.context, "start", &[]);
        self.supervise(started, Supervision::Fresh);
        if let Some(reply) = self.starter.take() {
            let _ = reply.send(Ok(()));
        }
    }

    pub(super) async fn launch_failed(&mut self, error: EngineError) {
        self.turn = None;
        if !self.happened(Event::LaunchFailed) {
            return;
        }
        self.now.state.error = error.to_string();
        self.now.state.exit_code = match &error {
            EngineError::StartFailed(failure) => i32::from(failure.exit_code),
            _ => 128,
        };
        self.now.ends += 1;
        self.now.latest_code = self.now.state.exit_code;
        self.publish();
        tracing::info!(container = %self.container.id(), %error, "a start failed");
        if let Some(reply) = self.starter.take() {
            let _ = reply.send(Err(error));
        }
        self.remove_by_itself().await;
    }

    pub(super) fn supervise(&mut self, started: Started, supervision: Supervision) {
        self.plug = CancellationToken::new();
        let (context, container) = (self.context.clone(), self.container.clone());
        let (plug, outbox) = (self.plug.clone(), self.outbox.clone());
        self.context.spawn(async move {
            let outcome = supervise(&context, &container, &started, supervision, &plug).await;
            let _ = outbox.send(Input::Ended(outcome, Box::new(started)));
        });
    }

    /// Ends the VM. Only once the end of its process is stored: the guest alone remembers how it
    /// ended, and an engine that dies in between is followed by one that has to ask.
    pub(super) fn wind_down(&self, started: Started) {
        let (context, outbox) = (self.context.clone(), self.outbox.clone());
        self.context.spawn(async move {
            wind_down(&context, started).await;
            let _ = outbox.send(Input::VmGone);
        });
    }
}
