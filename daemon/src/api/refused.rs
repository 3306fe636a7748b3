//! Everything in Docker's API that is not served yet, and the swarm that never will be.
//!
//! A call belongs in exactly one place: whoever adds a handler takes its line out here.

use hyper::{Method, StatusCode};

use super::App;
use crate::http::ApiError;
use crate::http::route::Router;

/// Method, path and what it would do.
const NOT_YET: &[(Method, &str, &str)] = &[
    (Method::POST, "/build", "building images"),
    (Method::POST, "/build/cancel", "building images"),
    (Method::POST, "/grpc", "BuildKit"),
    (Method::POST, "/networks/create", "user networks"),
    (Method::POST, "/networks/{id}/connect", "user networks"),
    (Method::POST, "/networks/{id}/disconnect", "user networks"),
    (Method::DELETE, "/networks/{id}", "user networks"),
    (Method::POST, "/session", "BuildKit sessions"),
    (Method::POST, "/volumes/create", "volumes"),
    (Method::PUT, "/volumes/{name..}", "volumes"),
    (Method::GET, "/plugins/privileges", "plugins"),
    (Method::POST, "/plugins/{name..}", "plugins"),
    (Method::DELETE, "/plugins/{name..}", "plugins"),
];

/// What only a swarm has.
const SWARM: &[&str] = &[
    "/nodes",
    "/nodes/{name..}",
    "/services",
    "/services/{name..}",
    "/tasks",
    "/tasks/{name..}",
    "/secrets",
    "/secrets/{name..}",
    "/configs",
    "/configs/{name..}",
    "/swarm",
    "/swarm/{name..}",
];

const NO_SWARM: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";

pub(super) fn routes(router: &mut Router<App>) {
    for (method, path, what) in NOT_YET {
        router.add(method.clone(), path, async |_, _| {
            Err(ApiError::not_supported(what))
        });
    }
    for method in [Method::GET, Method::POST, Method::DELETE] {
        for path in SWARM {
            router.add(method.clone(), path, async |_, _| Err(no_swarm()));
        }
    }
}

/// Whether a call is one of those in here.
#[cfg(test)]
pub(super) fn is_refused(method: &str, pattern: &str) -> bool {
    let listed = |(of, path, _): &(Method, &str, &str)| of.as_str() == method && *path == pattern;
    is_swarm(pattern) || NOT_YET.iter().any(listed)
}

#[cfg(test)]
pub(super) fn is_swarm(pattern: &str) -> bool {
    SWARM.contains(&pattern)
}

fn no_swarm() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, NO_SWARM)
}
