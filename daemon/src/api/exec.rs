//! Further processes in running containers.

use bollard_stubs::models::{ExecConfig, ExecInspectResponse, ExecStartConfig, ProcessConfig};
use hull_engine::api::{ExecInspect, ExecSpec, ExecStart, ExecStarted};
use hull_engine::{EngineError, TerminalSize};
use hyper::{Method, StatusCode};
use serde::Serialize;

use super::App;
use super::containers::terminal_size;
use crate::http::hijack::Hijack;
use crate::http::route::Router;
use crate::http::{ApiError, Reply, Request};
use crate::stream::{self, Framing};

pub(super) fn routes(router: &mut Router<App>) {
    router.add(Method::POST, "/containers/{id}/exec", create);
    router.add(Method::POST, "/exec/{id}/start", start);
    router.add(Method::POST, "/exec/{id}/resize", resize);
    router.add(Method::GET, "/exec/{id}/json", inspect);
}

async fn create(app: App, mut request: Request) -> Result<Reply, ApiError> {
    let spec = spec(request.json_or_default().await?)?;
    let id = app
        .engine
        .exec_create(request.id(), spec)
        .await?
        .to_string();
    Reply::json_with(StatusCode::CREATED, &Created { id })
}

/// The model for this writes `id`, which only clients that ignore case understand.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

fn spec(config: ExecConfig) -> Result<ExecSpec, ApiError> {
    let cmd = config.cmd.unwrap_or_default();
    if cmd.is_empty() {
        return Err(ApiError::bad_request("No exec command specified"));
    }
    Ok(ExecSpec {
        cmd,
        env: config.env.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        tty: config.tty.unwrap_or_default(),
        privileged: config.privileged.unwrap_or_default(),
        attach_stdin: config.attach_stdin.unwrap_or_default(),
        attach_stdout: config.attach_stdout.unwrap_or_default(),
        attach_stderr: config.attach_stderr.unwrap_or_default(),
        detach_keys: config.detach_keys.unwrap_or_default().parse()?,
        size: size(config.console_size.as_deref()),
    })
}

/// `POST /exec/{id}/start`. A program that cannot be run is told where its output would have
/// been, as Docker does: a client that sees the stream open looks nowhere else.
async fn start(app: App, mut request: Request) -> Result<Reply, ApiError> {
    let config: ExecStartConfig = request.json_or_default().await?;
    let detach = config.detach.unwrap_or_default();
    let start = ExecStart {
        detach,
        size: size(config.console_size.as_deref()),
    };
    match app.engine.exec_start(request.id(), start).await {
        Ok(ExecStarted::Detached) => Ok(Reply::empty(StatusCode::OK)),
        Ok(ExecStarted::Attached(attachment)) => {
            let framing = Framing::of(attachment.tty);
            Ok(Reply::Hijack(Hijack::new(
                framing.head(&request),
                move |connection| stream::carry(attachment, framing, connection),
            )))
        }
        Err(error @ EngineError::ExecFailed(_)) if !detach => {
            let framing = Framing::of(config.tty.unwrap_or_default());
            Ok(Reply::Hijack(Hijack::new(
                framing.head(&request),
                move |connection| stream::say(format!("{error}\r\n"), framing, connection),
            )))
        }
        Err(error) => Err(error.into()),
    }
}

async fn resize(app: App, request: Request) -> Result<Reply, ApiError> {
    app.engine
        .exec_resize(request.id(), terminal_size(&request)?)
        .await?;
    Ok(Reply::empty(StatusCode::OK))
}

async fn inspect(app: App, request: Request) -> Result<Reply, ApiError> {
    Reply::json(&View::new(app.engine.exec_inspect(request.id()).await?))
}

/// `ExitCode` is there from the start, as `null`: clients look it up without asking whether.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct View {
    #[serde(flatten)]
    fields: ExecInspectResponse,
    exit_code: Option<i32>,
}

impl View {
    fn new(exec: ExecInspect) -> Self {
        let mut words = exec.spec.cmd.into_iter();
        let fields = ExecInspectResponse {
            can_remove: Some(false),
            detach_keys: Some(String::new()),
            id: Some(exec.id.to_string()),
            running: Some(exec.running),
            exit_code: None,
            process_config: Some(ProcessConfig {
                privileged: Some(exec.spec.privileged),
                user: Some(exec.spec.user).filter(|u| !u.is_empty()),
                tty: Some(exec.spec.tty),
                entrypoint: Some(words.next().unwrap_or_default()),
                arguments: Some(words.collect()),
            }),
            open_stdin: Some(exec.spec.attach_stdin),
            open_stderr: Some(exec.spec.attach_stderr),
            open_stdout: Some(exec.spec.attach_stdout),
            container_id: Some(exec.container.to_string()),
            pid: Some(i64::from(exec.pid)),
        };
        Self {
            fields,
            exit_code: exec.exit_code,
        }
    }
}

/// Docker's `ConsoleSize`: height and width, or nothing, or zeros for nothing.
fn size(console: Option<&[usize]>) -> Option<TerminalSize> {
    let &[rows, columns] = console? else {
        return None;
    };
    let size = TerminalSize {
        rows: rows.try_into().ok()?,
        columns: columns.try_into().ok()?,
    };
    (size != TerminalSize::default()).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_height_and_width() {
        assert_eq!(
            size(Some(&[24, 80])),
            Some(TerminalSize {
                rows: 24,
                columns: 80
            })
        );
        for none in [None, Some(&[0, 0][..]), Some(&[24]), Some(&[1 << 20, 1])] {
            assert_eq!(size(none), None);
        }
    }

    #[test]
    fn an_exec_runs_something() {
        assert_eq!(
            spec(ExecConfig::default()).unwrap_err().message,
            "No exec command specified"
        );
    }
}
