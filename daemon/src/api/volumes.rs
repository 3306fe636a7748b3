//! Volumes: there are none yet, and clients that ask are told so in Docker's words.

use bollard_stubs::models::{VolumeListResponse, VolumePruneResponse};
use hyper::Method;

use super::App;
use crate::http::route::Router;
use crate::http::{ApiError, Reply, Request};

pub(super) fn routes(router: &mut Router<App>) {
    router.add(Method::GET, "/volumes", async |_, _| {
        Reply::json(&VolumeListResponse {
            volumes: Some(Vec::new()),
            warnings: None,
        })
    });
    router.add(Method::POST, "/volumes/prune", async |_, _| {
        let nothing = VolumePruneResponse {
            volumes_deleted: Some(Vec::new()),
            space_reclaimed: Some(0),
        };
        Reply::json(&nothing)
    });
    router.add(Method::GET, "/volumes/{name..}", async |_, request| {
        none(&request)
    });
    router.add(Method::DELETE, "/volumes/{name..}", async |_, request| {
        none(&request)
    });
}

fn none(request: &Request) -> Result<Reply, ApiError> {
    Err(ApiError::not_found(format!(
        "get {}: no such volume",
        request.name()
    )))
}
