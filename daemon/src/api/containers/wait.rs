//! `POST /containers/{id}/wait?condition=`
//!
//! Clients wait before they start the container, and start it once they have the status and
//! headers of this answer: those go out as soon as the engine has begun to wait.

use std::io;

use bollard_stubs::models::{ContainerWaitExitError, ContainerWaitResponse};
use hull_engine::api::{WaitCondition, WaitOutcome};

use crate::api::App;
use crate::http::reply::json_line;
use crate::http::{ApiError, Reply, Request};

pub(super) async fn wait(app: App, request: Request) -> Result<Reply, ApiError> {
    let condition = condition(request.query.get("condition").unwrap_or_default())?;
    let waiting = app.engine.wait(request.id(), condition).await?;
    let line = async {
        let outcome = waiting.outcome().await.map_err(io::Error::other)?;
        json_line(&response(outcome)).map_err(|e| io::Error::other(e.message))
    };
    let body = futures_util::stream::once(line);
    Ok(Reply::stream("application/json", body, request.gone))
}

fn condition(text: &str) -> Result<WaitCondition, ApiError> {
    match text {
        "" | "not-running" => Ok(WaitCondition::NotRunning),
        "next-exit" => Ok(WaitCondition::NextExit),
        "removed" => Ok(WaitCondition::Removed),
        other => Err(ApiError::bad_request(format!(
            "invalid condition: {other:?}"
        ))),
    }
}

fn response(outcome: WaitOutcome) -> ContainerWaitResponse {
    let error = |message| ContainerWaitExitError {
        message: Some(message),
    };
    ContainerWaitResponse {
        status_code: i64::from(outcome.exit_code),
        error: outcome.error.map(error),
    }
}
