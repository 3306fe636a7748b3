//! What is served: one handler for each call of the Docker Engine API.
//!
//! A handler decodes its request, makes one call to the engine and encodes what it says. Calls
//! that Hull does not know yet are listed in [`refused`], so that nothing is missing in silence.

mod bodies;
#[cfg(test)]
mod compat;
mod containers;
mod credentials;
mod events;
mod exec;
mod images;
mod label;
mod networks;
mod refused;
mod registries;
mod registry;
mod system;
mod time;
mod volumes;

use hull_engine::Engine;
use hull_engine::api::Filters;

use crate::http::route::Router;
use crate::http::{ApiError, Request};
use crate::on_box::OnBox;

/// What handlers work with. Clones are the same.
#[derive(Clone)]
pub(crate) struct App {
    engine: Engine,
    registry: OnBox,
}

impl App {
    pub(crate) fn new(engine: Engine, registry: OnBox) -> Self {
        Self { engine, registry }
    }
}

/// The whole table. The first match wins, so `refused` comes last.
pub(crate) fn routes() -> Router<App> {
    let mut router = Router::new();
    system::routes(&mut router);
    containers::routes(&mut router);
    exec::routes(&mut router);
    registries::routes(&mut router);
    registry::routes(&mut router);
    images::routes(&mut router);
    events::routes(&mut router);
    networks::routes(&mut router);
    volumes::routes(&mut router);
    refused::routes(&mut router);
    router
}

/// The `filters` parameter, as the engine takes it.
fn engine_filters(request: &Request) -> Result<Filters, ApiError> {
    let filters = request.filters()?.into_map();
    Ok(Filters(
        filters
            .into_iter()
            .map(|(k, v)| (k, v.into_iter().collect()))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;

    /// What the docker command line, docker-py, compose and buildx ask for.
    const ASKED_FOR: &str = "
        HEAD /_ping
        GET /_ping /version /info /events /system/df
        POST /auth /build /build/prune /commit /session /grpc
        GET /containers/json /containers/x/json /containers/x/logs /containers/x/top
        GET /containers/x/stats /containers/x/changes /containers/x/export
        GET /containers/x/archive /containers/x/attach/ws
        HEAD /containers/x/archive
        PUT /containers/x/archive
        POST /containers/create /containers/prune /containers/x/attach /containers/x/exec
        POST /containers/x/kill /containers/x/pause /containers/x/rename /containers/x/resize
        POST /containers/x/restart /containers/x/start /containers/x/stop /containers/x/unpause
        POST /containers/x/update /containers/x/wait
        DELETE /containers/x
        GET /exec/x/json
        POST /exec/x/start /exec/x/resize
        GET /images/json /images/get /images/search /images/a/b:1/json /images/a/b:1/history
        GET /images/a/b:1/get /distribution/a/b:1/json
        POST /images/load /images/create /images/prune /images/a/b:1/tag /images/a/b:1/push
        DELETE /images/localhost:5000/a/b:1
        GET /networks /networks/x /volumes /volumes/x
        POST /networks/create /networks/prune /networks/x/connect /networks/x/disconnect
        POST /volumes/create /volumes/prune
        DELETE /networks/x /volumes/x
        GET /nodes /services /tasks /secrets /configs /swarm /plugins /plugins/x/json
        POST /swarm/init";

    #[test]
    fn every_call_that_clients_make_has_a_route() {
        let routes = routes();
        for line in ASKED_FOR.lines().filter(|l| !l.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let method: Method = words.next().unwrap().parse().unwrap();
            for path in words {
                for path in [path.to_owned(), format!("/v1.51{path}")] {
                    assert!(routes.find(&method, &path).is_some(), "{method} {path}");
                }
            }
        }
    }

    #[test]
    fn what_nobody_serves_has_none() {
        let routes = routes();
        for (method, path) in [
            (Method::POST, "/_ping"),
            (Method::GET, "/"),
            (Method::GET, "/containers/x"),
            (Method::GET, "/images"),
            (Method::GET, "/v1.51"),
            (Method::GET, "/v1.51/v1.51/_ping"),
        ] {
            assert!(routes.find(&method, path).is_none(), "{method} {path}");
        }
    }
}
