//! The one task that changes a container: takes commands and happenings in turn, asks
//! [`crate::state::next`], does the effects and publishes the result.
//!
//! Nothing here waits for a guest except the signals and holds of a running VM, which are bounded
//! by deadlines; a start and an end go on in tasks of their own and report back.

mod again;
mod end;
mod health;
mod launch;
mod update;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use hull_protocol::agent::{Call, ProcessId};
use hull_protocol::vmm::Control;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::attic::Attic;
use super::run::{Started, Supervision, bring_up, supervise, wind_down};
use super::{Blueprint, Container, Live, Outcome, Snapshot};
use crate::agent::AgentFailure;
use crate::api::{Checked, ContainerState, HostConfig};
use crate::console::Console;
use crate::context::Context;
use crate::error::EngineError;
use crate::id::ContainerName;
use crate::layout::remove_tree;
use crate::log::Run;
use crate::opening::{Place, Turn};
use crate::restart::Restarts;
use crate::state::{Denied, Effect, Event, Force, Meaning, Phase, Rest, Then, next};
use crate::time::Timestamp;
use crate::vm;

/// What callers ask for.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Start,
    Signal(Signal),
    Pause,
    Unpause,
    /// End the VM at once: its guest does not answer.
    Unplug,
    Remove(Force),
    /// Change what is not zero.
    Update(Box<HostConfig>),
}

/// A signal on its way.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    pub(crate) number: i32,
    pub(crate) meaning: Meaning,
    /// What the caller does once the container has ended.
    pub(crate) then: Then,
}

type Reply = oneshot::Sender<Result<(), EngineError>>;

#[derive(Debug)]
pub(super) enum Input {
    Command(Command, Reply),
    Launched(Box<Result<Started, EngineError>>),
    Ended(Outcome, Box<Started>),
    VmGone,
    /// A check of its health, and who wants to know that it counts.
    Checked(Checked, oneshot::Sender<()>),
    /// The time for the next run has come, counted by what has ended before it; maybe as one's turn.
    Due(u64, Option<Turn>),
}

/// How a container's task begins.
pub(crate) enum Beginning {
    /// At rest: created, exited, dead or to be removed.
    Rest(Phase),
    /// Between two runs, as the engine opens: others start too.
    Waiting(Place),
    /// With a VM that an earlier engine started, its process running or paused.
    Adopted {
        started: Box<Started>,
        phase: Phase,
        /// Where this run's lines begin in the log.
        log_base: u64,
    },
    /// With a VM whose process has ended, never became this container's, or was none.
    Leftover { started: Box<Started>, phase: Rest },
}

struct Task {
    context: Arc<Context>,
    container: Arc<Container>,
    inbox: mpsc::UnboundedReceiver<Input>,
    outbox: mpsc::UnboundedSender<Input>,
    now: Snapshot,
    parked: Vec<(Command, Reply)>,
    /// Who waits for the launch under way.
    starter: Option<Reply>,
    launch: CancellationToken,
    plug: CancellationToken,
    /// Ends the checks of its health.
    checks: CancellationToken,
    /// Ends the wait for the next run.
    wait: CancellationToken,
    /// Where it stands among those that start as the engine opens.
    place: Option<Place>,
    /// Held while it starts.
    turn: Option<Turn>,
    /// Its end is not the end of a container that removes itself: a user starts it again.
    kept: bool,
}

/// Makes a container and starts its task.
pub(crate) fn start_task(
    context: &Arc<Context>,
    blueprint: Blueprint,
    name: ContainerName,
    (state, restarts): (ContainerState, Restarts),
    beginning: Beginning,
) -> Arc<Container> {
    let (outbox, inbox) = mpsc::unbounded_channel();
    let phase = match &beginning {
        Beginning::Rest(phase) | Beginning::Adopted { phase, .. } => *phase,
        Beginning::Waiting(_) => Phase::Restarting,
        Beginning::Leftover { phase, .. } => Phase::Ending(*phase),
    };
    let mut now = Snapshot::new(phase, state, restarts);
    if let Beginning::Adopted { started, .. } = &beginning {
        now.live = Some(started.live());
    }
    let log = blueprint.log(&context.layout);
    let console = Console::new(blueprint.id.clone(), log);
    let container = Arc::new(Container {
        id: blueprint.id.clone(),
        console,
        attic: Attic::default(),
        blueprint: Mutex::new(Arc::new(blueprint)),
        name: Mutex::new(name),
        snapshot: watch::Sender::new(now.clone()),
        inbox: outbox.clone(),
        execs: Mutex::new(HashMap::new()),
        stats: Mutex::default(),
    });
    let task = Task {
        context: context.clone(),
        container: container.clone(),
        inbox,
        outbox,
        now,
        parked: Vec::new(),
        starter: None,
        launch: CancellationToken::new(),
        plug: CancellationToken::new(),
        checks: CancellationToken::new(),
        wait: CancellationToken::new(),
        place: None,
        turn: None,
        kept: false,
    };
    context.registry.add(container.clone());
    context.spawn(task.run(beginning));
    container
}

impl Task {
    async fn run(mut self, beginning: Beginning) {
        match beginning {
            Beginning::Rest(Phase::Removing) => self.delete().await,
            Beginning::Waiting(place) => {
                self.place = Some(place);
                self.arm();
            }
            Beginning::Rest(_) => {
                self.end_checks();
                self.snapshot();
                self.remove_by_itself().await;
            }
            Beginning::Adopted {
                mut started,
                log_base,
                ..
            } => {
                started.disk = self.container.attic.inherit();
                if let Err(error) = self.container.begin_log(Run::From(log_base)).await {
                    tracing::error!(container = %self.container.id(), %error, "its log cannot go on");
                }
                self.begin_checks();
                self.snapshot();
                self.supervise(*started, Supervision::Resumed);
            }
            Beginning::Leftover { mut started, .. } => {
                started.disk = self.container.attic.inherit();
                self.wind_down(*started);
            }
        }
        while self.now.phase != Phase::Gone {
            let Some(input) = self.inbox.recv().await else {
                return;
            };
            let before = self.now.phase;
            self.handle(input).await;
            if self.now.phase != before {
                for (command, reply) in std::mem::take(&mut self.parked) {
                    let removed = self.now.phase == Phase::Gone;
                    if removed && matches!(command, Command::Remove(_)) {
                        // By itself, once it was killed for this. The caller may have left.
                        let _ = reply.send(Ok(()));
                        continue;
                    }
                    self.command(command, reply).await;
                }
            }
        }
        // Whoever still asks gets "no such container".
        self.inbox.close();
    }

    async fn handle(&mut self, input: Input) {
        match input {
            Input::Command(command, reply) => self.command(command, reply).await,
            Input::Launched(result) => match *result {
                Ok(started) => self.launched(started).await,
                Err(error) => self.launch_failed(error).await,
            },
            Input::Ended(outcome, started) => self.ended(outcome, *started).await,
            Input::VmGone => {
                if self.happened(Event::VmGone) {
                    self.publish();
                    self.remove_by_itself().await;
                }
                match self.now.phase {
                    Phase::Restarting => self.arm(),
                    Phase::Removing => self.delete().await,
                    _ => {}
                }
            }
            Input::Due(run, turn) => self.due(run, turn),
            Input::Checked(checked, done) => {
                self.checked(checked);
                // Who checks may have stopped.
                let _ = done.send(());
            }
        }
    }

    async fn command(&mut self, command: Command, reply: Reply) {
        let event = match &command {
            Command::Start => Event::Start,
            Command::Signal(signal) => Event::Signal(signal.meaning),
            Command::Pause => Event::Pause,
            Command::Unpause => Event::Unpause,
            Command::Unplug => Event::Unplug,
            Command::Remove(force) => Event::Remove(*force),
            Command::Update(changes) => return self.update(changes.clone(), reply).await,
        };
        let (after, effects) = match next(self.now.phase, event) {
            Ok(decided) => decided,
            Err(denied) => {
                let refusal = self.refusal(denied, &command);
                // The caller may have stopped waiting.
                let _ = reply.send(Err(refusal));
                return;
            }
        };
        self.note_intent(&command, after);
        let mut reply = Some(reply);
        for effect in effects {
            match self.apply(effect, after, &command, &mut reply).await {
                Ok(()) => {}
                Err(error) => {
                    if let Some(reply) = reply {
                        let _ = reply.send(Err(error));
                    }
                    return;
                }
            }
        }
        if self.now.phase != after && !matches!(self.now.phase, Phase::Gone | Phase::Dead) {
            self.now.phase = after;
            self.publish();
        }
        match command {
            Command::Pause => self.container.announce(&self.context, "pause", &[]),
            Command::Unpause => self.container.announce(&self.context, "unpause", &[]),
            _ => {}
        }
        if let Some(reply) = reply {
            let _ = reply.send(Ok(()));
        }
    }

    async fn apply(
        &mut self,
        effect: Effect,
        after: Phase,
        command: &Command,
        reply: &mut Option<Reply>,
    ) -> Result<(), EngineError> {
        match effect {
            Effect::Launch => {
                self.begin_launch(after, reply.take());
                Ok(())
            }
            Effect::AbortLaunch => {
                self.launch.cancel();
                Ok(())
            }
            Effect::Deliver => match command {
                Command::Signal(signal) => self.deliver(signal.number).await,
                _ => Ok(()),
            },
            Effect::Hold => Ok(vm::order(&self.live()?.control, Control::Pause).await?),
            Effect::Release => Ok(vm::order(&self.live()?.control, Control::Resume).await?),
            Effect::PullPlug => {
                self.plug.cancel();
                Ok(())
            }
            Effect::Delete => {
                self.now.phase = Phase::Removing;
                self.publish();
                self.delete().await;
                match self.now.phase {
                    Phase::Gone => Ok(()),
                    _ => Err(EngineError::RemoveFailed {
                        id: self.container.id().clone(),
                        why: self.now.state.error.clone(),
                    }),
                }
            }
            Effect::Arm => {
                self.arm();
                Ok(())
            }
            Effect::Disarm => {
                self.wait.cancel();
                Ok(())
            }
            Effect::Retry => {
                if let Some(reply) = reply.take() {
                    self.parked.push((command.clone(), reply));
                }
                Ok(())
            }
        }
    }

    fn live(&self) -> Result<&Live, EngineError> {
        self.now
            .live
            .as_ref()
            .ok_or_else(|| EngineError::NotRunning(self.container.id().clone()))
    }

    async fn deliver(&self, signal: i32) -> Result<(), EngineError> {
        let live = self.live()?;
        let call = Call::Signal {
            process: ProcessId::init(),
            signal,
        };
        let deadline = self.context.options.defaults.call_deadline;
        let sent = live.agent.order(call, deadline).await;
        self.container
            .announce(&self.context, "kill", &[("signal", signal.to_string())]);
        match sent {
            Ok(()) => Ok(()),
            // It ended in this moment, which the supervisor will say.
            Err(AgentFailure::Refused(e))
                if e.kind == hull_protocol::agent::ErrorKind::NoSuchProcess =>
            {
                Ok(())
            }
            // A guest that does not answer is still to be killed.
            Err(error) if signal == libc::SIGKILL => {
                tracing::warn!(container = %self.container.id(), %error, "killing the whole VM");
                self.plug.cancel();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a happening into account; one that cannot be is a defect, and survived.
    fn happened(&mut self, event: Event) -> bool {
        match next(self.now.phase, event) {
            Ok((after, _)) => {
                self.now.phase = after;
                true
            }
            Err(_) => {
                tracing::error!(container = %self.container.id(), ?event, phase = ?self.now.phase, "unexpected");
                false
            }
        }
    }

    /// Stores and shows the state.
    fn publish(&self) {
        let state = self.now.shown();
        let (store, id) = (&self.context.store, self.container.id());
        if let Err(error) = store.set_state(id, &state, &self.now.restarts) {
            tracing::error!(container = %self.container.id(), %error, "a state is not stored");
        }
        self.snapshot();
    }

    fn snapshot(&self) {
        self.container.snapshot.send_replace(self.now.clone());
    }

    fn refusal(&self, denied: Denied, command: &Command) -> EngineError {
        let id = self.container.id().clone();
        match (denied, command) {
            (Denied::AlreadyRunning, _) => EngineError::NotModified(id),
            (Denied::Paused, Command::Pause) => EngineError::AlreadyPaused(id),
            (Denied::Paused, _) => EngineError::StartPaused,
            (Denied::NotPaused, _) => EngineError::NotPaused(id),
            (Denied::Restarting, _) => EngineError::Restarting(format!("Container {id}")),
            (Denied::NotRunning | Denied::Unexpected, _) => EngineError::NotRunning(id),
            (Denied::StillRunning, _) => EngineError::RemoveRunning {
                name: self.container.name().to_string(),
                state: match self.now.phase {
                    Phase::Paused => "paused",
                    phase if phase.is_between_runs() => "restarting",
                    _ => "running",
                },
            },
            (Denied::Removing, _) => EngineError::RemovalInProgress(id),
            (Denied::Dead, _) => EngineError::Dead(id),
        }
    }
}

/// The time of an end that only the host saw.
pub(super) fn ended_now(end: vm::End) -> Outcome {
    Outcome {
        exit_code: end.exit_code,
        oom_killed: end.oom_killed,
        error: end.message,
        time: Timestamp::now(),
    }
}
