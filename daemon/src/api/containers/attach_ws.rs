//! `GET /containers/{id}/attach/ws`: attach for clients that only speak WebSocket, and docker-py.
//!
//! Output is not framed by stream: a message is some bytes of either, as Docker has it.

use super::attach::options;
use crate::api::App;
use crate::http::hijack::{Head, Hijack};
use crate::http::{ApiError, Reply, Request};
use crate::websocket;

pub(super) async fn attach(app: App, request: Request) -> Result<Reply, ApiError> {
    let accept = websocket::accept(&request.headers)?;
    let attachment = app.engine.attach(request.id(), options(&request)?).await?;
    Ok(Reply::Hijack(Hijack::new(
        Head::WebSocket { accept },
        move |connection| websocket::carry(attachment, connection),
    )))
}
