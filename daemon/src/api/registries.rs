//! Registries themselves: logging in, searching, and what one has under a name.

use hull_engine::api::{Described, Hit, SearchOptions};
use hyper::Method;
use serde::Serialize;

use super::credentials::AuthConfig;
use super::{App, credentials};
use crate::http::route::Router;
use crate::http::{ApiError, Reply, Request};

/// As many as Docker asks for, where nothing is said.
const USUAL_LIMIT: u32 = 25;

pub(super) fn routes(router: &mut Router<App>) {
    router.add(Method::POST, "/auth", login);
    router.add(Method::GET, "/images/search", search);
    router.add(Method::GET, "/distribution/{name..}/json", describe);
}

/// `POST /auth`
async fn login(app: App, mut request: Request) -> Result<Reply, ApiError> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Status {
        identity_token: String,
        status: &'static str,
    }
    let config: AuthConfig = request.unchecked_json().await?;
    let server = config.serveraddress.clone();
    let images = app.engine.images();
    let login = images.login(&server, config.into()).await?;
    Reply::json(&Status {
        identity_token: login.identity_token,
        status: "Login Succeeded",
    })
}

/// `GET /images/search?term=&limit=&filters=`
async fn search(app: App, request: Request) -> Result<Reply, ApiError> {
    let mut options = SearchOptions {
        term: request.query.get("term").unwrap_or_default().to_owned(),
        limit: match request.query.number("limit")? {
            None | Some(0) => USUAL_LIMIT,
            Some(limit) => limit,
        },
        official: None,
        automated: None,
        stars: 0,
        credentials: credentials::of(&request),
    };
    for (name, values) in request.filters()?.into_map() {
        for value in values {
            let invalid = || ApiError::bad_request(format!("invalid filter '{name}=[{value}]'"));
            let switch = || match value.as_str() {
                "1" | "true" => Ok(true),
                "0" | "false" => Ok(false),
                _ => Err(invalid()),
            };
            match name.as_str() {
                "is-official" => options.official = Some(switch()?),
                "is-automated" => options.automated = Some(switch()?),
                "stars" => {
                    let stars: u32 = value.parse().map_err(|_| invalid())?;
                    options.stars = options.stars.max(stars.into());
                }
                _ => return Err(ApiError::bad_request(format!("invalid filter '{name}'"))),
            }
        }
    }
    let hits = app.engine.images().search(options).await?;
    Reply::json(&hits.into_iter().map(Found::from).collect::<Vec<_>>())
}

/// Docker's `SearchResult`.
#[derive(Serialize)]
struct Found {
    star_count: i64,
    is_official: bool,
    name: String,
    is_automated: bool,
    description: String,
}

impl From<Hit> for Found {
    fn from(hit: Hit) -> Self {
        Self {
            star_count: hit.star_count,
            is_official: hit.is_official,
            name: hit.name,
            is_automated: false,
            description: hit.description,
        }
    }
}

/// `GET /distribution/{name}/json`
async fn describe(app: App, request: Request) -> Result<Reply, ApiError> {
    let shown = credentials::of(&request);
    let images = app.engine.images();
    Reply::json(&Inspect::from(
        images.describe(request.name(), shown).await?,
    ))
}

/// Docker's `DistributionInspect`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspect {
    descriptor: Descriptor,
    platforms: Vec<Platform>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Serialize)]
struct Platform {
    architecture: String,
    os: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    variant: String,
}

impl From<Described> for Inspect {
    fn from(found: Described) -> Self {
        let platforms = found.platforms.into_iter().map(|platform| Platform {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
        });
        Self {
            descriptor: Descriptor {
                media_type: found.media_type,
                digest: found.digest.to_string(),
                size: found.size,
            },
            platforms: platforms.collect(),
        }
    }
}
