//! `DELETE /containers/{id}` and `POST /containers/prune`

use bollard_stubs::models::ContainerPruneResponse;
use hull_engine::api::RemoveOptions;

use crate::api::{App, engine_filters, time};
use crate::http::{ApiError, Reply, Request};

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
    Reply::json(&ContainerPruneResponse {
        containers_deleted: Some(pruned.containers.iter().map(ToString::to_string).collect()),
        space_reclaimed: i64::try_from(pruned.reclaimed).ok(),
    })
}
