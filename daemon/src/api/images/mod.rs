//! Images.

mod archive;
mod filter;
mod history;
mod inspect;
mod list;
mod name;
mod pattern;
mod progress;
mod prune;
mod save;
mod transfer;

use hyper::Method;

pub(super) use self::list::summary;
use super::App;
use crate::http::route::Router;

pub(super) fn routes(router: &mut Router<App>) {
    router.add(Method::GET, "/images/json", list::list);
    router.add(Method::GET, "/images/get", save::several);
    router.add(Method::GET, "/images/{name..}/get", save::one);
    router.add(Method::POST, "/images/prune", prune::prune);
    router.add(Method::POST, "/images/load", archive::load);
    router.add(Method::POST, "/images/create", archive::create);
    router.add(Method::GET, "/images/{name..}/json", inspect::inspect);
    router.add(Method::GET, "/images/{name..}/history", history::history);
    router.add(Method::POST, "/images/{name..}/push", transfer::push);
    router.add(Method::POST, "/images/{name..}/tag", name::tag);
    router.add(Method::DELETE, "/images/{name..}", name::remove);
}
