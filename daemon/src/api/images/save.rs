//! `GET /images/get?names=` and `GET /images/{name}/get`: images as an archive.

use futures_util::stream;
use hull_engine::Platform;

use crate::api::App;
use crate::http::{ApiError, Reply, Request};

pub(super) async fn several(app: App, request: Request) -> Result<Reply, ApiError> {
    let names = request.query.all("names").map(str::to_owned).collect();
    save(&app, names, request).await
}

pub(super) async fn one(app: App, request: Request) -> Result<Reply, ApiError> {
    let name = request.name().to_owned();
    save(&app, vec![name], request).await
}

async fn save(app: &App, names: Vec<String>, request: Request) -> Result<Reply, ApiError> {
    let platform = platform(request.query.text("platform"))?;
    let mut pieces = app.engine.images().save(names, platform).await?;
    let pieces = stream::poll_fn(move |cx| pieces.poll_recv(cx));
    Ok(Reply::stream("application/x-tar", pieces, request.gone))
}

/// A platform as clients send it since API 1.48: OCI's JSON.
pub(super) fn platform(text: Option<&str>) -> Result<Option<Platform>, ApiError> {
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|error| ApiError::bad_request(format!("failed to parse platform: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_json() {
        let text = r#"{"architecture":"arm","os":"linux","variant":"v7"}"#;
        let shown = platform(Some(text)).unwrap().map(|p| p.to_string());
        assert_eq!(shown.as_deref(), Some("linux/arm/v7"));
        assert_eq!(platform(None), Ok(None));
        assert!(platform(Some("linux/amd64")).is_err());
    }
}
