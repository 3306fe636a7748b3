//! Containers.

mod attach;
mod attach_ws;
mod create;
mod files;
mod inspect;
mod lifecycle;
mod list;
mod logs;
mod network;
mod process;
mod remove;
mod shape;
mod stats;
mod update;
mod wait;

use hyper::Method;

pub(super) use self::list::summary;
pub(super) use self::process::terminal_size;
use super::App;
use crate::http::route::Router;

pub(super) fn routes(router: &mut Router<App>) {
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    router.add(post.clone(), "/containers/create", create::create);
    router.add(post.clone(), "/containers/prune", remove::prune);
    router.add(get.clone(), "/containers/json", list::list);
    router.add(get.clone(), "/containers/{id}/json", inspect::inspect);
    router.add(get.clone(), "/containers/{id}/logs", logs::logs);
    router.add(get.clone(), "/containers/{id}/top", process::top);
    router.add(get.clone(), "/containers/{id}/stats", stats::stats);
    router.add(post.clone(), "/containers/{id}/attach", attach::attach);
    let socket = "/containers/{id}/attach/ws";
    router.add(get.clone(), socket, attach_ws::attach);
    router.add(post.clone(), "/containers/{id}/wait", wait::wait);
    router.add(post.clone(), "/containers/{id}/start", lifecycle::start);
    router.add(post.clone(), "/containers/{id}/stop", lifecycle::stop);
    router.add(post.clone(), "/containers/{id}/restart", lifecycle::restart);
    router.add(post.clone(), "/containers/{id}/kill", lifecycle::kill);
    router.add(post.clone(), "/containers/{id}/pause", lifecycle::pause);
    router.add(post.clone(), "/containers/{id}/unpause", lifecycle::unpause);
    router.add(post.clone(), "/containers/{id}/rename", lifecycle::rename);
    router.add(post.clone(), "/containers/{id}/update", update::update);
    router.add(post.clone(), "/containers/{id}/resize", process::resize);
    let archive = "/containers/{id}/archive";
    router.add(Method::HEAD, archive, files::stat);
    router.add(get.clone(), archive, files::read);
    router.add(Method::PUT, archive, files::write);
    router.add(get.clone(), "/containers/{id}/changes", files::changes);
    router.add(get, "/containers/{id}/export", files::export);
    router.add(post, "/commit", files::commit);
    router.add(delete, "/containers/{id}", remove::remove);
}
