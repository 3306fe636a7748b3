//! Checks the health of a container while it runs: one exec after the other, each with a deadline.
//!
//! A container that is held is not checked, and a check that was under way then does not count.
//! The task takes the results ([`crate::health`] says what they mean); nothing is stored, since
//! the next engine checks anew.

use std::sync::Arc;
use std::time::Duration;

use hull_protocol::agent::{Call, ProcessId};
use tokio::sync::{mpsc, oneshot};

use super::task::Input;
use super::{Container, exec};
use crate::api::{Attachment, Checked, ExecSpec, ExecStart, ExecStarted, HealthStatus};
use crate::context::Context;
use crate::error::EngineError;
use crate::health::{Check, Output};
use crate::id::ExecId;
use crate::state::Phase;
use crate::time::{Timestamp, as_go, lasted};

/// How long a check that was killed may take to be gone.
const GRACE: Duration = Duration::from_secs(10);
/// How many checks that do not even end when they are killed a guest may have.
const MOST_STUCK: u32 = 3;
/// The exit code of a check that has none.
const NO_CODE: i32 = -1;

/// Checks until the run is over, which whoever spawned this sees.
pub(super) async fn watch(
    context: Arc<Context>,
    container: Arc<Container>,
    check: Check,
    results: mpsc::UnboundedSender<Input>,
) {
    let mut snapshots = container.watch();
    let mut stuck = 0;
    loop {
        let now = container.snapshot();
        let status = now.state.health.as_ref().map(|h| h.status);
        let up = lasted(now.state.started_at, Timestamp::now());
        let pause = check.pause(status.unwrap_or(HealthStatus::Starting), up);
        let checked = async {
            tokio::time::sleep(pause).await;
            probe(&context, &container, &check, &mut stuck).await
        };
        let checked = tokio::select! {
            checked = checked => checked,
            held = snapshots.wait_for(|s| s.phase == Phase::Paused) => {
                if held.is_err() {
                    return;
                }
                None
            }
        };
        let Some(checked) = checked else {
            // Held, or between two phases: the wait begins anew.
            if snapshots
                .wait_for(|s| s.phase == Phase::Running)
                .await
                .is_err()
            {
                return;
            }
            continue;
        };
        let (done, taken) = oneshot::channel();
        // The task may be gone; and how long to wait next depends on what it makes of this.
        if results.send(Input::Checked(checked, done)).is_err() || taken.await.is_err() {
            return;
        }
    }
}

/// One check; `None` where the container does not run.
async fn probe(
    context: &Arc<Context>,
    container: &Arc<Container>,
    check: &Check,
    stuck: &mut u32,
) -> Option<Checked> {
    let start = Timestamp::now();
    let over = |exit_code, output| {
        Some(Checked {
            start,
            end: Timestamp::now(),
            exit_code,
            output,
        })
    };
    if *stuck >= MOST_STUCK {
        return over(NO_CODE, "earlier checks do not end".to_owned());
    }
    let mut running = match begin(context, container, check).await {
        Ok(running) => running,
        Err(EngineError::NotRunning(_) | EngineError::Paused(..) | EngineError::Restarting(_)) => {
            return None;
        }
        Err(error) => return over(NO_CODE, error.to_string()),
    };
    let mut output = Output::default();
    if tokio::time::timeout(check.timeout, running.read(&mut output))
        .await
        .is_ok()
    {
        return over(running.exit_code(), output.text());
    }
    let said = match output.text() {
        said if said.is_empty() => said,
        said => format!(": {said}"),
    };
    let timeout = as_go(check.timeout);
    let late = format!("Health check exceeded timeout ({timeout}){said}");
    let checked = over(NO_CODE, late);
    running.kill(context).await;
    let mut rest = Output::default();
    let gone = tokio::time::timeout(GRACE, running.read(&mut rest)).await;
    *stuck += u32::from(gone.is_err());
    checked
}

/// A check under way. It is no exec that anybody else is to see, so nothing keeps it after.
struct Running<'a> {
    container: &'a Container,
    exec: Arc<exec::Exec>,
    attachment: Attachment,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.container.drop_exec(&self.exec.id);
    }
}

async fn begin<'a>(
    context: &Arc<Context>,
    container: &'a Arc<Container>,
    check: &Check,
) -> Result<Running<'a>, EngineError> {
    let spec = ExecSpec {
        cmd: check.command.clone(),
        attach_stdout: true,
        attach_stderr: true,
        privileged: container.blueprint().host_config.privileged,
        ..ExecSpec::default()
    };
    let id: ExecId = exec::create(context, container, spec)?;
    let exec = container
        .exec(&id)
        .ok_or_else(|| EngineError::NoSuchExec(id.to_string()))?;
    let started = exec::start(context, container, &exec, ExecStart::default()).await;
    match started {
        Ok(ExecStarted::Attached(attachment)) => Ok(Running {
            container,
            exec,
            attachment,
        }),
        other => {
            container.drop_exec(&id);
            Err(other.err().unwrap_or(EngineError::Closing))
        }
    }
}

impl Running<'_> {
    /// All it says, until its end.
    async fn read(&mut self, output: &mut Output) {
        while let Some(frame) = self.attachment.output.recv().await {
            output.push(&frame.bytes);
        }
    }

    fn exit_code(&self) -> i32 {
        let ended = exec::inspect(self.container, &self.exec);
        ended.exit_code.unwrap_or(NO_CODE)
    }

    async fn kill(&self, context: &Context) {
        let call = Call::Signal {
            process: ProcessId(self.exec.id.to_string()),
            signal: libc::SIGKILL,
        };
        let deadline = context.options.defaults.call_deadline;
        if let Ok(live) = self.container.live()
            && let Err(error) = live.agent.order(call, deadline).await
        {
            tracing::debug!(container = %self.container.id(), %error, "a check is not killed");
        }
    }
}
