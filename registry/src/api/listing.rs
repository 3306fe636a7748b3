//! Lists: `GET /v2/_catalog` and `GET /v2/<name>/tags/list`, by pages.

use hull_images::repositories::{Page, Repositories, RepositoryName};
use hyper::StatusCode;
use hyper::header::LINK;
use serde_json::json;

use super::Call;
use crate::refusal::{Code, Refusal};
use crate::reply::{Answer, Reply};

pub(crate) async fn catalog(call: &Call<'_>) -> Answer {
    let (last, limit) = wanted(call)?;
    let (registry, actor) = (call.registry.clone(), call.actor.clone());
    let work = move || {
        let repositories = &registry.repositories;
        let sight = registry.access.sight(repositories, &actor)?;
        let page = repositories.catalog(last.as_deref(), limit, |name| sight.sees(name));
        page.map_err(Refusal::from)
    };
    let page = tokio::task::spawn_blocking(work).await??;
    let names: Vec<_> = page.items.iter().map(RepositoryName::as_str).collect();
    let reply = link("/v2/_catalog", limit, &page);
    reply.json(&json!({"repositories": names}))
}

pub(crate) async fn tags(call: &Call<'_>, name: RepositoryName) -> Answer {
    let (last, limit) = wanted(call)?;
    let upstream = match &call.registry.cache {
        Some(cache) => cache.tags(&name, last.clone(), limit).await?,
        None => None,
    };
    let repository = name.clone();
    let page = match upstream {
        Some(page) => page,
        None => {
            let page = move |repositories: &Repositories| {
                repositories.tags(&repository, last.as_deref(), limit)
            };
            call.store(page).await?
        }
    };
    let tags: Vec<_> = page.items.iter().map(ToString::to_string).collect();
    let reply = link(&format!("/v2/{name}/tags/list"), limit, &page);
    reply.json(&json!({"name": name.as_str(), "tags": tags}))
}

/// Where the page starts, and how long it is.
fn wanted(call: &Call<'_>) -> Result<(Option<String>, usize), Refusal> {
    let most = call.registry.limits.page;
    let limit = match call.query.get("n") {
        None => most,
        Some(text) => match text.parse::<usize>() {
            Ok(number) => number.min(most),
            Err(_) => {
                return Err(Refusal::new(Code::PaginationNumberInvalid).detail(json!({"n": text})));
            }
        },
    };
    Ok((call.query.get("last").map(str::to_owned), limit))
}

/// An answer that says where the next page is, if there is one.
fn link<T: ToString>(path: &str, limit: usize, page: &Page<T>) -> Reply {
    let reply = Reply::new(StatusCode::OK);
    match page.items.last() {
        Some(last) if page.more => {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("last", &last.to_string())
                .append_pair("n", &limit.to_string())
                .finish();
            reply.header(LINK, format!("<{path}?{query}>; rel=\"next\""))
        }
        _ => reply,
    }
}
