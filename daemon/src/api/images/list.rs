//! `GET /images/json`

use bollard_stubs::models::ImageSummary as Row;
use hull_engine::{ImageSummary, Timestamp};

use super::filter::Filter;
use crate::api::App;
use crate::http::{ApiError, Reply, Request};

/// `all` adds intermediate images, which only builds make.
pub(super) async fn list(app: App, request: Request) -> Result<Reply, ApiError> {
    let filter = Filter::parse(request.filters()?)?;
    let (all, shared) = (request.query.flag("all"), request.query.flag("shared-size"));
    let images = filter.apply(app.engine.images().list().await?)?;
    let images = images
        .into_iter()
        .filter(|image| all || !image.intermediate);
    // Counting containers is asked for by `system/df` only; elsewhere Docker says -1.
    let row = |image| {
        let row = summary(image);
        Row {
            containers: -1,
            shared_size: if shared { row.shared_size } else { -1 },
            ..row
        }
    };
    Reply::json(&images.map(row).collect::<Vec<_>>())
}

pub(in crate::api) fn summary(image: ImageSummary) -> Row {
    Row {
        id: image.id,
        parent_id: image.parent,
        repo_tags: image.repo_tags,
        repo_digests: image.repo_digests,
        created: image.created.map_or(0, Timestamp::seconds),
        size: i64::try_from(image.size).unwrap_or(i64::MAX),
        shared_size: i64::try_from(image.shared).unwrap_or(i64::MAX),
        virtual_size: None,
        labels: image.labels.into_iter().collect(),
        containers: i64::try_from(image.containers).unwrap_or(i64::MAX),
        manifests: None,
        descriptor: None,
    }
}
