//! Further processes in a running container.
//!
//! An exec is known until its container's next run begins. Which execs run is stored, so that the next
//! engine reads their output away: a full journal would hold them back for ever.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hull_protocol::agent::{self, Answer, Call, ProcessId, Stdio, TerminalSize, User};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Container, Live, lock, oci};
use crate::agent::{AgentClient, AgentFailure};
use crate::api::{Attachment, ExecInspect, ExecSpec, ExecStart, ExecStarted};
use crate::console::{AtEnd, DetachScan, Sink, client_pair, drain, feed, relay};
use crate::context::Context;
use crate::error::EngineError;
use crate::id::ExecId;

const RETRY: Duration = Duration::from_millis(100);
const INPUT_QUEUE: usize = 16;

/// One exec.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: ExecId,
    spec: ExecSpec,
    stage: Mutex<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Prepared,
    Starting,
    Running { pid: u32 },
    Ended { pid: u32, exit_code: i32 },
}

impl Exec {
    pub(crate) fn is_running(&self) -> bool {
        matches!(*lock(&self.stage), Stage::Running { .. })
    }

    fn set(&self, stage: Stage) {
        *lock(&self.stage) = stage;
    }

    fn process(&self) -> ProcessId {
        ProcessId(self.id.to_string())
    }
}

/// Prepares one.
pub(crate) fn create(
    context: &Context,
    container: &Container,
    spec: ExecSpec,
) -> Result<ExecId, EngineError> {
    container.live()?;
    if spec.cmd.is_empty() {
        return Err(EngineError::Invalid("No exec command specified".into()));
    }
    let id = ExecId::random().map_err(|e| EngineError::Invalid(e.to_string()))?;
    let action = format!("exec_create: {}", spec.cmd.join(" "));
    container.announce(context, &action, &[("execID", id.to_string())]);
    let exec = Exec {
        id: id.clone(),
        spec,
        stage: Mutex::new(Stage::Prepared),
    };
    container.add_exec(Arc::new(exec));
    Ok(id)
}

/// Starts one, attached or not.
pub(crate) async fn start(
    context: &Arc<Context>,
    container: &Arc<Container>,
    exec: &Arc<Exec>,
    how: ExecStart,
) -> Result<ExecStarted, EngineError> {
    let live = container.live()?;
    {
        let mut stage = lock(&exec.stage);
        if *stage != Stage::Prepared {
            return Err(EngineError::ExecAlreadyStarted(exec.id.to_string()));
        }
        *stage = Stage::Starting;
    }
    context
        .store
        .insert_exec(container.id(), exec.id.as_str())?;
    let action = format!("exec_start: {}", exec.spec.cmd.join(" "));
    container.announce(context, &action, &[("execID", exec.id.to_string())]);
    let call = Call::Exec(Box::new(request(container, exec, how)));
    let made = live
        .agent
        .call(call, context.options.defaults.call_deadline)
        .await;
    let pid = match made {
        Ok(Answer::Created { pid }) => pid,
        other => {
            let error = match other {
                Ok(_) => AgentFailure::Unexpected,
                Err(error) => error,
            };
            context.store.delete_exec(exec.id.as_str())?;
            let error = match error.into_runtime("") {
                Ok(failure) => EngineError::ExecFailed(failure),
                Err(error) => error.into(),
            };
            let exit_code = match &error {
                EngineError::ExecFailed(failure) => i32::from(failure.exit_code),
                _ => 128,
            };
            exec.set(Stage::Ended { pid: 0, exit_code });
            return Err(error);
        }
    };
    exec.set(Stage::Running { pid });
    let (ended, is_ended) = watch::channel(false);
    let (sink, attachment) = match how.detach {
        true => (Sink::Nowhere, None),
        false => {
            let (sink, attachment) = attach(context, exec, &live);
            (sink, Some(attachment))
        }
    };
    let (context2, container, exec) = (context.clone(), container.clone(), exec.clone());
    context.spawn(async move {
        let process = exec.process();
        let note = |offset| note(&context2, &exec.id, offset);
        let read = drain(live.agent.socket(), &process, &sink, is_ended, (0, note));
        let end = async {
            let code = wait(&live.agent, &process).await;
            ended.send_replace(true);
            code
        };
        let exit_code = tokio::select! {
            biased;
            ((), code) = async { tokio::join!(read, end) } => code,
            // The container's end takes its execs with it.
            () = run_over(&container) => 137,
        };
        // The exit code first: the client sees the end of its output only when the sink goes.
        exec.set(Stage::Ended { pid, exit_code });
        drop(sink);
        forget(&context2, &live.agent, &exec.id).await;
        let about = [
            ("execID", exec.id.to_string()),
            ("exitCode", exit_code.to_string()),
        ];
        container.announce(&context2, "exec_die", &about);
    });
    Ok(attachment.map_or(ExecStarted::Detached, ExecStarted::Attached))
}

/// Goes on with execs that an earlier engine started: nobody listens to them any more.
pub(super) fn resume(context: &Arc<Context>, container: &Arc<Container>, agent: &AgentClient) {
    let execs = match context.store.execs(container.id()) {
        Ok(execs) => execs,
        Err(error) => {
            tracing::warn!(container = %container.id(), %error, "its execs are not known");
            return;
        }
    };
    for (id, offset) in execs {
        let Ok(id) = id.parse::<ExecId>() else {
            continue;
        };
        let (context2, container, agent) = (context.clone(), container.clone(), agent.clone());
        context.spawn(async move {
            let process = ProcessId(id.to_string());
            let note = |offset| note(&context2, &id, offset);
            let (_, never) = watch::channel(false);
            let read = drain(
                agent.socket(),
                &process,
                &Sink::Nowhere,
                never,
                (offset, note),
            );
            tokio::select! {
                biased;
                _ = async { tokio::join!(read, wait(&agent, &process)) } => {}
                () = run_over(&container) => {}
            }
            forget(&context2, &agent, &id).await;
        });
    }
}

/// Sets the size of a running exec's terminal.
pub(crate) async fn resize(
    context: &Context,
    container: &Container,
    exec: &Exec,
    size: TerminalSize,
) -> Result<(), EngineError> {
    if !exec.is_running() {
        return Err(EngineError::ExecNotRunning(exec.id.to_string()));
    }
    let call = Call::Resize {
        process: exec.process(),
        size,
    };
    let live = container.live()?;
    Ok(live
        .agent
        .order(call, context.options.defaults.call_deadline)
        .await?)
}

/// What is known about it.
pub(crate) fn inspect(container: &Container, exec: &Exec) -> ExecInspect {
    let stage = *lock(&exec.stage);
    ExecInspect {
        id: exec.id.clone(),
        container: container.id().clone(),
        spec: exec.spec.clone(),
        running: matches!(stage, Stage::Running { .. }),
        exit_code: match stage {
            Stage::Ended { exit_code, .. } => Some(exit_code),
            _ => None,
        },
        pid: match stage {
            Stage::Running { pid } | Stage::Ended { pid, .. } => pid,
            Stage::Prepared | Stage::Starting => 0,
        },
    }
}

fn request(container: &Container, exec: &Exec, how: ExecStart) -> agent::Exec {
    let (spec, blueprint) = (&exec.spec, &container.blueprint());
    let mut env = oci::environment(blueprint);
    if spec.tty {
        oci::set_all(&mut env, std::iter::once(&"TERM=xterm".to_owned()));
    }
    oci::set_all(&mut env, spec.env.iter());
    agent::Exec {
        process: exec.process(),
        args: spec.cmd.clone(),
        env,
        cwd: match spec.working_dir.as_str() {
            "" => oci::working_dir(blueprint),
            dir => dir.to_owned(),
        },
        user: User {
            name: spec.user.clone(),
            groups: Vec::new(),
        },
        stdio: Stdio {
            stdin: spec.attach_stdin && !how.detach,
            terminal: spec.tty.then(|| how.size.or(spec.size).unwrap_or_default()),
        },
        privileged: spec.privileged,
    }
}

fn attach(context: &Context, exec: &Exec, live: &Live) -> (Sink, Attachment) {
    let spec = &exec.spec;
    let gone = CancellationToken::new();
    let (client, output) = client_pair(spec.attach_stdout, spec.attach_stderr, &gone, None);
    let stdin = spec.attach_stdin.then(|| {
        let (sender, typed) = mpsc::channel(INPUT_QUEUE);
        let (queue, mut queued) = mpsc::channel(INPUT_QUEUE);
        let detach = spec
            .tty
            .then(|| DetachScan::new(spec.detach_keys.0.clone()));
        let at_end = AtEnd::of(spec.tty, true);
        context.spawn(relay(typed, queue, detach, at_end, gone));
        let (socket, process) = (live.agent.socket().to_owned(), exec.process());
        context.spawn(async move { feed(socket, process, &mut queued).await });
        sender
    });
    (
        Sink::Client(client),
        Attachment {
            tty: spec.tty,
            stdin,
            output,
        },
    )
}

/// Until it has ended.
async fn wait(agent: &AgentClient, process: &ProcessId) -> i32 {
    loop {
        match agent
            .call_patiently(Call::Wait {
                process: process.clone(),
            })
            .await
        {
            Ok(Answer::Exited(exit)) => return i32::from(exit.code),
            Err(e) if e.is_transport() => tokio::time::sleep(RETRY).await,
            Ok(_) | Err(_) => return 255,
        }
    }
}

/// Until the container's run has ended.
async fn run_over(container: &Container) {
    let mut watch = container.watch();
    // With the container's task gone the run is over for this engine too.
    let _ = watch.wait_for(|s| s.live.is_none()).await;
}

fn note(context: &Context, id: &ExecId, offset: u64) {
    if let Err(error) = context.store.set_read(id.as_str(), offset) {
        tracing::warn!(exec = %id, %error, "how far an exec was read is not stored");
    }
}

async fn forget(context: &Context, agent: &AgentClient, id: &ExecId) {
    let call = Call::Forget {
        process: ProcessId(id.to_string()),
    };
    // With the guest gone there is nothing to forget.
    let _ = agent
        .order(call, context.options.defaults.call_deadline)
        .await;
    if let Err(error) = context.store.delete_exec(id.as_str()) {
        tracing::warn!(exec = %id, %error, "an ended exec is still in the records");
    }
}
