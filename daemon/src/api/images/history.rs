//! `GET /images/{name}/history?platform=`

use bollard_stubs::models::HistoryResponseItem;
use hull_engine::{HistoryStep, Timestamp};

use super::inspect::check;
use super::save::platform;
use crate::api::App;
use crate::http::{ApiError, Reply, Request};

pub(super) async fn history(app: App, request: Request) -> Result<Reply, ApiError> {
    let platform = platform(request.query.text("platform"))?;
    if platform.is_some() {
        let image = app.engine.images().inspect(request.name()).await?;
        check(&image, platform.as_ref(), request.name())?;
    }
    let steps = app.engine.images().history(request.name()).await?;
    Reply::json(&steps.into_iter().map(row).collect::<Vec<_>>())
}

fn row(step: HistoryStep) -> HistoryResponseItem {
    HistoryResponseItem {
        id: step.id.unwrap_or_else(|| "<missing>".to_owned()),
        created: step.created.map_or(0, Timestamp::seconds),
        created_by: step.created_by,
        tags: step.tags,
        size: i64::try_from(step.size).unwrap_or(i64::MAX),
        comment: step.comment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn steps_of_images_that_are_not_here_are_missing() {
        let newest = HistoryStep {
            id: Some("sha256:aa".into()),
            created: Some(Timestamp(1_795_231_738_000_000_000)),
            created_by: "CMD [\"sh\"]".into(),
            tags: vec!["busybox:latest".into()],
            ..HistoryStep::default()
        };
        let base = HistoryStep {
            created: Some(Timestamp(1_795_231_737_000_000_000)),
            created_by: "ADD /".into(),
            comment: "base".into(),
            size: 2_066_795,
            ..HistoryStep::default()
        };
        let rows: Vec<_> = [newest, base].into_iter().map(row).collect();
        golden::check("image-history.json", &rows);
    }
}
