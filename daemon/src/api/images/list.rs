//! `GET /images/json`

use bollard_stubs::models::ImageSummary as Row;
use hull_engine::{ImageSummary, Timestamp};

use super::filter::Filter;
use crate::api::App;
use crate::http::{ApiError, Reply, Request};

/// `all` adds intermediate images, which only builds make.
pub(super) async fn list(app: App, request: Request) -> Result<Reply, ApiError> {
    let filter = Filter::parse(request.filters()?)?;
    let images = filter.apply(app.engine.images().list().await?)?;
    Reply::json(&images.into_iter().map(row).collect::<Vec<_>>())
}

/// Counting containers is asked for by `system/df` only; elsewhere Docker says -1.
fn row(image: ImageSummary) -> Row {
    Row {
        containers: -1,
        ..summary(image)
    }
}

pub(in crate::api) fn summary(image: ImageSummary) -> Row {
    Row {
        id: image.id,
        parent_id: String::new(),
        repo_tags: image.repo_tags,
        repo_digests: image.repo_digests,
        created: image.created.map_or(0, Timestamp::seconds),
        size: i64::try_from(image.size).unwrap_or(i64::MAX),
        shared_size: -1,
        virtual_size: None,
        labels: image.labels.into_iter().collect(),
        containers: i64::try_from(image.containers).unwrap_or(i64::MAX),
        manifests: None,
        descriptor: None,
    }
}
