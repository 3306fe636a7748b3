//! One run of a container: the VM comes up, the process runs, the VM goes away.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hull_protocol::agent::{Answer, Call, Create, Exit, ProcessId, RootFs};
use hull_protocol::vmm::Control;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::attic::Disk;
use super::exec;
use super::task::ended_now;
use super::{Container, Live, Outcome, oci};
use crate::agent::{AgentClient, AgentFailure};
use crate::console::{feed, pump};
use crate::context::Context;
use crate::error::EngineError;
use crate::log::Run;
use crate::time::Timestamp;
use crate::vm::{self, Plan, Running, VmError};

/// How long to wait before asking again a guest that could not be reached.
const RETRY: Duration = Duration::from_millis(100);
/// How long a guest may take to write back its disk.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(30);
/// How long a VMM may take to end when it is told to.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// A VM whose guest is as it was wanted.
#[derive(Debug)]
pub(crate) struct Started {
    /// Given back when the VM is gone.
    pub(crate) disk: Option<Disk>,
    pub(crate) running: Running,
    pub(crate) agent: AgentClient,
    pub(crate) time: Timestamp,
}

/// Whether a supervisor is the first of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supervision {
    Fresh,
    Resumed,
}

impl Started {
    /// A VM that an earlier engine started, at this time.
    pub(crate) fn adopted(running: Running, time: Timestamp) -> Self {
        let agent = AgentClient::new(running.layout.vsock());
        Self {
            disk: None,
            running,
            agent,
            time,
        }
    }

    pub(super) fn live(&self) -> Live {
        Live {
            agent: self.agent.clone(),
            control: self.running.layout.control(),
        }
    }
}

/// What a VM is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The container's process.
    Run(Box<Create>),
    /// Its files.
    Show(RootFs),
}

/// Makes the VM and starts the process in it. What fails leaves nothing behind.
pub(super) async fn bring_up(
    context: &Context,
    container: &Container,
    abort: &CancellationToken,
) -> Result<Started, EngineError> {
    let disk = tokio::select! {
        biased;
        disk = container.attic.disk() => disk,
        () = abort.cancelled() => return Err(VmError::Aborted.into()),
    };
    let blueprint = &container.blueprint();
    let image = context.images.find(&blueprint.image_id).await?;
    let purpose = Purpose::Run(Box::new(oci::create(blueprint, image.layers.len())?));
    let aborted = abort.cancelled();
    let result = raise(context, container, image.layers, disk, purpose, aborted).await;
    if result.is_err() {
        container.console.finish().await;
    }
    result
}

/// Makes a VM for a container. What fails, or is given up, leaves nothing behind.
pub(super) async fn raise(
    context: &Context,
    container: &Container,
    layers: Vec<PathBuf>,
    disk: Disk,
    purpose: Purpose,
    given_up: impl Future<Output = ()>,
) -> Result<Started, EngineError> {
    let blueprint = &container.blueprint();
    let (host, defaults) = (&blueprint.host_config, &context.options.defaults);
    let log_base = container.console.length();
    let plan = Plan {
        id: blueprint.id.clone(),
        options: context.options.clone(),
        layers,
        limits: vm::Limits::of(host, defaults),
        log_base,
    };
    let abort = CancellationToken::new();
    let mut given_up = pin!(given_up);
    let launch = vm::launch(&context.layout, &context.store, plan, &abort);
    let mut launch = pin!(launch);
    let running = tokio::select! {
        biased;
        running = &mut launch => running?,
        () = &mut given_up => {
            abort.cancel();
            launch.await?
        }
    };
    let agent = AgentClient::new(running.layout.vsock());
    let boot = async {
        agent.hello(defaults.boot_deadline).await?;
        match purpose {
            Purpose::Run(create) => {
                let made = agent
                    .call(Call::Create(create), defaults.call_deadline)
                    .await;
                made.map_err(start_failed)?;
                container.begin_log(Run::New).await?;
                let started = agent.order(Call::Start, defaults.call_deadline).await;
                started.map_err(start_failed)
            }
            Purpose::Show(root) => {
                let mounted = agent.order(Call::Mount(root), defaults.call_deadline).await;
                Ok(mounted?)
            }
        }
    };
    let result = tokio::select! {
        biased;
        result = boot => result,
        () = running.process.ended() => Err(VmError::Died(running.end().message).into()),
        () = abort.cancelled() => Err(VmError::Aborted.into()),
        () = &mut given_up => Err(VmError::Aborted.into()),
    };
    match result {
        Ok(()) => Ok(Started {
            disk: Some(disk),
            running,
            agent,
            time: Timestamp::now(),
        }),
        Err(error) => {
            let error = explain(error, &running).await;
            if let Err(error) = running.clean_up().await {
                tracing::warn!(container = %blueprint.id, %error, "cleaning up after a failed start");
            }
            Err(error)
        }
    }
}

/// A connection that broke says less than the VM that died of something.
async fn explain(error: EngineError, running: &Running) -> EngineError {
    match error {
        EngineError::Agent(e) if e.is_transport() => {
            let ended = tokio::time::timeout(Duration::from_secs(2), running.process.ended()).await;
            match ended {
                Ok(()) => VmError::Died(running.end().message).into(),
                Err(_) => e.into(),
            }
        }
        other => other,
    }
}

fn start_failed(error: AgentFailure) -> EngineError {
    match error.into_runtime("error during container init: ") {
        Ok(failure) => EngineError::StartFailed(failure),
        Err(error) => error.into(),
    }
}

/// Follows a run to its end: output to the log, input to the process, and how it ended.
pub(super) async fn supervise(
    context: &Arc<Context>,
    container: &Arc<Container>,
    started: &Started,
    supervision: Supervision,
    plug: &CancellationToken,
) -> Outcome {
    let socket = started.agent.socket().to_owned();
    let (ended, is_ended) = watch::channel(false);
    if supervision == Supervision::Resumed {
        exec::resume(context, container, &started.agent);
    }
    let output = pump(&container.console, &socket, is_ended);
    let typed = container.console.typed.clone();
    let input = async {
        let mut typed = typed.lock().await;
        feed(socket.clone(), ProcessId::init(), &mut typed).await;
        // Input that has ended does not end the run.
        std::future::pending::<()>().await;
    };
    let end = async {
        let exit = wait(&started.agent).await;
        ended.send_replace(true);
        exit
    };
    // All output is read before the end is told, unless the VM dies first.
    let told = async { tokio::join!(output, end).1 };
    let outcome = tokio::select! {
        biased;
        exit = told => match exit {
            Ok(exit) => Outcome {
                exit_code: i32::from(exit.code),
                oom_killed: exit.oom_killed,
                error: String::new(),
                time: match supervision {
                    Supervision::Fresh => Timestamp::now(),
                    // It may have ended long ago. The guest says when, and may lie.
                    Supervision::Resumed => {
                        let told = Timestamp::from_guest(exit.time);
                        told.min(Timestamp::now()).max(started.time)
                    }
                },
            },
            Err(error) => Outcome {
                exit_code: 255,
                oom_killed: false,
                error: format!("how the process ended is not known: {error}"),
                time: Timestamp::now(),
            },
        },
        () = started.running.process.ended() => ended_now(started.running.end()),
        () = plug.cancelled() => {
            started.running.process.kill();
            started.running.process.ended().await;
            Outcome { error: String::new(), ..ended_now(started.running.end()) }
        }
        () = input => ended_now(started.running.end()),
    };
    container.console.finish().await;
    outcome
}

/// Asks until the guest answers; the VM's end is watched elsewhere.
async fn wait(agent: &AgentClient) -> Result<Exit, AgentFailure> {
    loop {
        match agent
            .call_patiently(Call::Wait {
                process: ProcessId::init(),
            })
            .await
        {
            Ok(Answer::Exited(exit)) => return Ok(exit),
            Ok(_) => return Err(AgentFailure::Unexpected),
            Err(e) if e.is_transport() => tokio::time::sleep(RETRY).await,
            Err(e) => return Err(e),
        }
    }
}

/// Ends a VM whose process has ended: by asking the guest, then the VMM, then not asking.
pub(super) async fn wind_down(context: &Context, started: Started) {
    let Started {
        disk: _disk,
        running,
        agent,
        ..
    } = started;
    let gone = |limit| tokio::time::timeout(limit, running.process.ended());
    let asked = async {
        // Whether it worked shows in the process.
        let _ = agent.order(Call::Shutdown, SHUTDOWN_DEADLINE).await;
        gone(STOP_DEADLINE).await.is_ok()
    };
    let done = tokio::select! {
        biased;
        () = running.process.ended() => true,
        done = asked => done,
    };
    if !done {
        tracing::warn!(container = %running.id, "a guest does not shut down");
        let _ = vm::order(&running.layout.control(), Control::Stop).await;
        let _ = gone(STOP_DEADLINE).await;
    }
    let id = running.id.clone();
    if let Err(error) = running.clean_up().await {
        tracing::error!(container = %id, %error, "a VM left something behind");
    }
    context.store.forget_vm(&id).unwrap_or_else(|error| {
        tracing::error!(container = %id, %error, "a VM is still in the records");
    });
}
