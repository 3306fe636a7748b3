//! `POST /containers/{id}/attach`

use hull_engine::api::{AttachOptions, Replay};

use crate::api::App;
use crate::http::hijack::Hijack;
use crate::http::{ApiError, Reply, Request};
use crate::stream::{self, Framing};

pub(super) async fn attach(app: App, request: Request) -> Result<Reply, ApiError> {
    let attachment = app.engine.attach(request.id(), options(&request)?).await?;
    let framing = Framing::of(attachment.tty);
    let head = framing.head(&request);
    Ok(Reply::Hijack(Hijack::new(head, move |connection| {
        stream::carry(attachment, framing, connection)
    })))
}

pub(super) fn options(request: &Request) -> Result<AttachOptions, ApiError> {
    let query = &request.query;
    Ok(AttachOptions {
        stream: query.flag("stream"),
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        replay: if query.flag("logs") {
            Replay::Yes
        } else {
            Replay::No
        },
        detach_keys: query.get("detachKeys").unwrap_or_default().parse()?,
    })
}
