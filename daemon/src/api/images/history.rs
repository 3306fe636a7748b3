//! `GET /images/{name}/history`

use bollard_stubs::models::HistoryResponseItem;
use hull_engine::{ImageInspect, Timestamp};
use serde::Deserialize;

use crate::api::App;
use crate::http::{ApiError, Reply, Request};

pub(super) async fn history(app: App, request: Request) -> Result<Reply, ApiError> {
    let image = app.engine.images().inspect(request.name()).await?;
    Reply::json(&rows(&image))
}

/// One step, as the OCI image configuration records it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    created: String,
    created_by: String,
    comment: String,
    empty_layer: bool,
}

/// The newest step first; only it has the image's id and tags.
fn rows(image: &ImageInspect) -> Vec<HistoryResponseItem> {
    let steps = image
        .configuration
        .get("history")
        .cloned()
        .unwrap_or_default();
    // A history that is not one is not shown, as if the image had none.
    let steps: Vec<Step> = serde_json::from_value(steps).unwrap_or_default();
    let mut sizes = layer_sizes(image).into_iter();
    let mut rows: Vec<_> = steps
        .into_iter()
        .map(|step| row(step, &mut sizes))
        .collect();
    rows.reverse();
    if let Some(newest) = rows.first_mut() {
        newest.id.clone_from(&image.summary.id);
        newest.tags.clone_from(&image.summary.repo_tags);
    }
    rows
}

fn row(step: Step, sizes: &mut impl Iterator<Item = u64>) -> HistoryResponseItem {
    let size = if step.empty_layer {
        0
    } else {
        sizes.next().unwrap_or_default()
    };
    HistoryResponseItem {
        id: "<missing>".to_owned(),
        created: step.created.parse().map_or(0, Timestamp::seconds),
        created_by: step.created_by,
        tags: Vec::new(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        comment: step.comment,
    }
}

/// What each layer takes, the lowest first.
fn layer_sizes(image: &ImageInspect) -> Vec<u64> {
    match image.diff_ids.as_slice() {
        [_] => vec![image.summary.size],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use hull_engine::ImageSummary;
    use serde_json::json;

    use super::*;
    use crate::golden;

    #[test]
    fn the_newest_step_comes_first_and_has_the_name() {
        let image = ImageInspect {
            summary: ImageSummary {
                id: "sha256:aa".into(),
                repo_tags: vec!["busybox:latest".into()],
                repo_digests: Vec::new(),
                created: None,
                size: 2_066_795,
                labels: [].into(),
                containers: 0,
            },
            architecture: "amd64".into(),
            os: "linux".into(),
            author: String::new(),
            comment: String::new(),
            configuration: json!({"history": [
                {"created": "2026-11-21T03:28:57Z", "created_by": "ADD /", "comment": "base"},
                {"created": "2026-11-21T03:28:58Z", "created_by": "CMD [\"sh\"]", "empty_layer": true},
            ]}),
            diff_ids: vec!["sha256:bb".into()],
        };
        golden::check("image-history.json", &rows(&image));
    }
}
