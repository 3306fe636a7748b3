//! Giving images names and taking them away.

use bollard_stubs::models::ImageDeleteResponseItem;
use hull_engine::{Removal, RemoveOptions};
use hyper::StatusCode;

use crate::api::App;
use crate::http::{ApiError, Reply, Request};

/// `POST /images/{name}/tag?repo=&tag=`
pub(super) async fn tag(app: App, request: Request) -> Result<Reply, ApiError> {
    let repository = request.query.get("repo").unwrap_or_default();
    let target = target(repository, request.query.get("tag").unwrap_or_default());
    app.engine.images().tag(request.name(), &target).await?;
    Ok(Reply::empty(StatusCode::CREATED))
}

/// `DELETE /images/{name}?force=&noprune=`
pub(super) async fn remove(app: App, request: Request) -> Result<Reply, ApiError> {
    let options = RemoveOptions {
        force: request.query.flag("force"),
        prune: !request.query.flag("noprune"),
    };
    let removals = app.engine.images().remove(request.name(), options).await?;
    Reply::json(&removals.into_iter().map(item).collect::<Vec<_>>())
}

pub(super) fn item(removal: Removal) -> ImageDeleteResponseItem {
    let (untagged, deleted) = match removal {
        Removal::Untagged(name) => (Some(name), None),
        Removal::Deleted(id) => (None, Some(id)),
    };
    ImageDeleteResponseItem { untagged, deleted }
}

/// A repository, and a tag that may come apart from it or in it.
pub(super) fn target(repository: &str, tag: &str) -> String {
    match tag {
        "" => repository.to_owned(),
        tag => format!("{repository}:{tag}"),
    }
}
