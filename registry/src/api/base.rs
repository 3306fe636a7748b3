//! What is no repository: `/`, `/v2/`, and what is not there at all.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::Call;
use crate::http::accept::Accepted;
use crate::http::body::{self, Body};
use crate::pages;
use crate::reply::{Answer, Reply};

/// `GET /`: `curl -i http://localhost:5000` tells that a registry is up. A browser, which alone asks
/// for HTML by name, gets to the pages.
pub(crate) fn root(call: &Call<'_>) -> Response<Body> {
    if call.registry.show_pages && Accepted::of(call.headers).names("text/html") {
        return pages::go_to_list(StatusCode::SEE_OTHER);
    }
    let reply = Reply::new(StatusCode::OK);
    reply.header(CACHE_CONTROL, "no-cache").empty()
}

/// `GET /metrics`
pub(crate) fn metrics(call: &Call<'_>) -> Response<Body> {
    let reply = Reply::new(StatusCode::OK);
    let reply = reply.header(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    reply.body(body::whole(call.registry.metrics.show()))
}

/// `GET /v2/`
pub(crate) fn version() -> Answer {
    let reply = Reply::new(StatusCode::OK);
    let reply = reply.header(CONTENT_TYPE, "application/json; charset=utf-8");
    Ok(reply.body(body::whole(json!({}).to_string())))
}

/// `GET /v2`
pub(crate) fn redirect() -> Response<Body> {
    let reply = Reply::new(StatusCode::MOVED_PERMANENTLY);
    reply.header(LOCATION, "/v2/").empty()
}

pub(crate) fn page_not_found() -> Response<Body> {
    let reply = Reply::new(StatusCode::NOT_FOUND);
    let reply = reply.header(CONTENT_TYPE, "text/plain; charset=utf-8");
    reply.body(body::whole("404 page not found\n"))
}
