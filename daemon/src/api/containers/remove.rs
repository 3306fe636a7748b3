//! `DELETE /containers/{id}` and `POST /containers/prune`

use hull_engine::api::RemoveOptions;
use serde::Serialize;

use crate::api::{App, engine_filters, time};
use crate::http::{ApiError, Reply, Request};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pruned {
    containers_deleted: Option<Vec<String>>,
    space_reclaimed: u64,
}

pub(super) async fn remove(app: App, request: Request) -> Result<Reply, ApiError> {
    if request.query.flag("link") {
        return Err(ApiError::not_supported("links"));
    }
    let options = RemoveOptions {
        force: request.query.flag("force"),
        volumes: request.query.flag("v"),
    };
    app.engine.remove(request.id(), options).await?;
    Ok(Reply::no_content())
}

pub(super) async fn prune(app: App, request: Request) -> Result<Reply, ApiError> {
    let mut filters = engine_filters(&request)?;
    if let Some(until) = filters.0.get_mut("until") {
        let values: Vec<String> = until.iter().cloned().collect();
        *until = [time::filter(&values)?.to_string()].into();
    }
    let pruned = app.engine.prune(filters).await?;
    let containers: Vec<_> = pruned.containers.iter().map(ToString::to_string).collect();
    Reply::json(&Pruned {
        // Go shows an empty list as null.
        containers_deleted: (!containers.is_empty()).then_some(containers),
        space_reclaimed: pruned.reclaimed,
    })
}
