//! Calls that change what a container does and answer nothing.

use std::time::Duration;

use hull_engine::api::StopOptions;

use crate::api::App;
use crate::http::{ApiError, Reply, Request};

/// `POST /containers/{id}/start`
pub(super) async fn start(app: App, request: Request) -> Result<Reply, ApiError> {
    app.engine.start(request.id()).await?;
    Ok(Reply::no_content())
}

/// `POST /containers/{id}/stop?t=&signal=`
pub(super) async fn stop(app: App, request: Request) -> Result<Reply, ApiError> {
    app.engine
        .stop(request.id(), stop_options(&request)?)
        .await?;
    Ok(Reply::no_content())
}

/// `POST /containers/{id}/restart?t=&signal=`
pub(super) async fn restart(app: App, request: Request) -> Result<Reply, ApiError> {
    app.engine
        .restart(request.id(), stop_options(&request)?)
        .await?;
    Ok(Reply::no_content())
}

/// `POST /containers/{id}/kill?signal=`
pub(super) async fn kill(app: App, request: Request) -> Result<Reply, ApiError> {
    let signal = request.query.get("signal").unwrap_or_default();
    let killed = app.engine.kill(request.id(), signal).await;
    killed.map_err(|error| {
        let mut error = ApiError::from(error);
        error.message = format!("cannot kill container: {}: {}", request.id(), error.message);
        error
    })?;
    Ok(Reply::no_content())
}

/// `POST /containers/{id}/pause`
pub(super) async fn pause(app: App, request: Request) -> Result<Reply, ApiError> {
    app.engine.pause(request.id()).await?;
    Ok(Reply::no_content())
}

/// `POST /containers/{id}/unpause`
pub(super) async fn unpause(app: App, request: Request) -> Result<Reply, ApiError> {
    app.engine.unpause(request.id()).await?;
    Ok(Reply::no_content())
}

/// `POST /containers/{id}/rename?name=`
pub(super) async fn rename(app: App, request: Request) -> Result<Reply, ApiError> {
    let Some(name) = request.query.text("name") else {
        return Err(ApiError::bad_request(
            "Neither old nor new names may be empty",
        ));
    };
    app.engine.rename(request.id(), name).await?;
    Ok(Reply::no_content())
}

/// `t` is in seconds; below zero it means never.
fn stop_options(request: &Request) -> Result<StopOptions, ApiError> {
    let signal = request.query.text("signal").map(str::to_owned);
    let seconds = request.query.integer("t")?;
    let timeout = seconds.map(|t| u64::try_from(t).map_or(Duration::MAX, Duration::from_secs));
    Ok(StopOptions { signal, timeout })
}
