//! `POST /containers/{id}/update`

use serde_json::json;

use crate::api::App;
use crate::api::bodies::Changes;
use crate::http::{ApiError, Reply, Request};

pub(super) async fn update(app: App, mut request: Request) -> Result<Reply, ApiError> {
    let Changes(changes) = request.json_or_default().await?;
    let warnings = app.engine.update(request.id(), changes).await?;
    // Go shows an empty list as null.
    let warnings = (!warnings.is_empty()).then_some(warnings);
    Reply::json(&json!({ "Warnings": warnings }))
}
