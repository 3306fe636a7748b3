//! What is served: one handler for each call of the Docker Engine API.
//!
//! A handler decodes its request, makes one call to the engine and encodes what it says. Calls
//! that Hull does not know yet are listed in [`refused`], so that nothing is missing in silence.

mod containers;
mod events;
mod exec;
mod images;
mod label;
mod networks;
mod refused;
mod system;
mod time;
mod volumes;

use hull_engine::Engine;
use hull_engine::api::Filters;

use crate::http::route::Router;
use crate::http::{ApiError, Request};

/// What handlers work with. Clones are the same.
#[derive(Clone)]
pub(crate) struct App {
    engine: Engine,
}

impl App {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

/// The whole table. The first match wins, so `refused` comes last.
pub(crate) fn routes() -> Router<App> {
    let mut router = Router::new();
    system::routes(&mut router);
    containers::routes(&mut router);
    exec::routes(&mut router);
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
