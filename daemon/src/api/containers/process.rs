//! A container's processes and its terminal.

use bollard_stubs::models::ContainerTopResponse;
use hull_engine::TerminalSize;
use hyper::StatusCode;

use crate::api::App;
use crate::http::{ApiError, Reply, Request};

/// `GET /containers/{id}/top?ps_args=`
pub(super) async fn top(app: App, request: Request) -> Result<Reply, ApiError> {
    let ps_args = request.query.get("ps_args").unwrap_or_default();
    let top = app.engine.top(request.id(), ps_args).await?;
    Reply::json(&ContainerTopResponse {
        titles: Some(top.titles),
        processes: Some(top.processes),
    })
}

/// `POST /containers/{id}/resize?h=&w=`
pub(super) async fn resize(app: App, request: Request) -> Result<Reply, ApiError> {
    app.engine
        .resize(request.id(), terminal_size(&request)?)
        .await?;
    Ok(Reply::empty(StatusCode::OK))
}

/// `h` and `w`, which must be there.
pub(in crate::api) fn terminal_size(request: &Request) -> Result<TerminalSize, ApiError> {
    Ok(TerminalSize {
        rows: request.query.side("h", "height")?,
        columns: request.query.side("w", "width")?,
    })
}
