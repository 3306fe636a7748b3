//! Repositories' records: `/hull/v1/repositories`, Hull's own, and `/v1/search`, which
//! `docker search` asks.

use hull_images::repositories::{Change, Record, RepositoryName, Visibility, Window};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Call;
use crate::refusal::{Code, Refusal};
use crate::reply::{Answer, Reply};

/// Bytes of a request that changes a record.
const MAX_CHANGE: u64 = 256 << 10;
const MAX_DESCRIPTION: usize = 100;
const MAX_OVERVIEW: usize = 25_000;
const MAX_COLLABORATORS: usize = 1000;
/// Results on a page of a search, if nothing is said, and at most.
const PAGE: usize = 25;
const MAX_PAGE: usize = 100;

/// `GET /hull/v1/repositories`
pub(crate) async fn list(call: &Call<'_>) -> Answer {
    let records: Vec<Value> = visible(call).await?.iter().map(show).collect();
    Reply::new(StatusCode::OK).json(&json!({"repositories": records}))
}

/// `GET /hull/v1/repositories/<name>`
pub(crate) async fn get(call: &Call<'_>, name: RepositoryName) -> Answer {
    let record = call.store(move |repositories| repositories.record(&name));
    Reply::new(StatusCode::OK).json(&show(&record.await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    visibility: Option<String>,
    description: Option<String>,
    overview: Option<String>,
    collaborators: Option<Vec<String>>,
}

/// `PATCH /hull/v1/repositories/<name>`
pub(crate) async fn change(call: Call<'_>, name: RepositoryName) -> Answer {
    let body = call.upload.read(MAX_CHANGE).await?;
    let change = read_change(&body.bytes)?;
    let changed = call.store(move |repositories| {
        // Only a push makes a repository.
        repositories.record(&name)?;
        repositories.change(&name, &change)?;
        repositories.record(&name)
    });
    Reply::new(StatusCode::OK).json(&show(&changed.await?))
}

/// `DELETE /hull/v1/repositories/<name>`
pub(crate) async fn delete(call: &Call<'_>, name: RepositoryName) -> Answer {
    let deleted = call.store(move |repositories| repositories.delete(&name));
    deleted.await?;
    Ok(Reply::new(StatusCode::ACCEPTED).empty())
}

/// `GET /v1/search?q=&n=&page=`
pub(crate) async fn search(call: &Call<'_>) -> Answer {
    let number = |name: &str, usual: usize| match call.query.get(name) {
        None => Ok(usual),
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| Refusal::new(Code::PaginationNumberInvalid).detail(json!({name: text}))),
    };
    let size = number("n", PAGE)?.clamp(1, MAX_PAGE);
    let page = number("page", 1)?.max(1);
    let query = call.query.get("q").unwrap_or_default().to_lowercase();
    let window = Window {
        skip: (page - 1).saturating_mul(size),
        limit: size,
    };
    let (registry, actor) = (call.registry.clone(), call.actor.clone());
    let work = move || {
        let sight = registry.access.sight(&registry.repositories, &actor)?;
        let repositories = &registry.repositories;
        let found = repositories.search(&query, window, |name| sight.sees(name));
        found.map_err(Refusal::from)
    };
    let found = tokio::task::spawn_blocking(work).await??;
    let results = found.items.iter().map(|record| {
        json!({
            "name": record.name.as_str(), "description": record.description,
            "star_count": 0, "is_official": false, "is_automated": false, "is_trusted": false,
        })
    });
    let results: Vec<Value> = results.collect();
    Reply::new(StatusCode::OK).json(&json!({
        "query": call.query.get("q").unwrap_or_default(),
        "num_results": found.total, "num_pages": found.total.div_ceil(size),
        "page": page, "page_size": size, "results": results,
    }))
}

/// The records of the repositories that the client may read.
async fn visible(call: &Call<'_>) -> Result<Vec<Record>, Refusal> {
    let (registry, actor) = (call.registry.clone(), call.actor.clone());
    let work = move || {
        let sight = registry.access.sight(&registry.repositories, &actor)?;
        let mut records = registry.repositories.records()?;
        records.retain(|record| sight.sees(&record.name));
        Ok::<_, Refusal>(records)
    };
    tokio::task::spawn_blocking(work).await?
}

fn show(record: &Record) -> Value {
    json!({
        "name": record.name.as_str(), "owner": record.owner,
        "visibility": match record.visibility {
            Visibility::Public => "public",
            Visibility::Private => "private",
        },
        "description": record.description, "overview": record.overview,
        "collaborators": record.collaborators, "size": record.size, "tags": record.tags,
        "created": record.created, "pushed": record.pushed,
    })
}

fn read_change(bytes: &[u8]) -> Result<Change, Refusal> {
    let invalid = |why: String| {
        Refusal::new(Code::Unsupported)
            .status(StatusCode::BAD_REQUEST)
            .detail(why)
    };
    let wanted: Wanted =
        serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
    let visibility = match wanted.visibility.as_deref() {
        None => None,
        Some("public") => Some(Visibility::Public),
        Some("private") => Some(Visibility::Private),
        Some(_) => return Err(invalid("visibility is public or private".to_owned())),
    };
    let long = |text: &Option<String>, most: usize| {
        text.as_ref()
            .is_some_and(|text| text.chars().count() > most)
    };
    if long(&wanted.description, MAX_DESCRIPTION) || long(&wanted.overview, MAX_OVERVIEW) {
        return Err(invalid(format!(
            "a description has at most {MAX_DESCRIPTION} characters, an overview {MAX_OVERVIEW}"
        )));
    }
    let users = wanted.collaborators.as_ref().map_or(0, Vec::len);
    if users > MAX_COLLABORATORS {
        return Err(invalid(format!(
            "more than {MAX_COLLABORATORS} collaborators"
        )));
    }
    Ok(Change {
        owner: None,
        visibility,
        description: wanted.description,
        overview: wanted.overview,
        collaborators: wanted.collaborators,
    })
}
