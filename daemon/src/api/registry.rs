//! The registry on this box: Hull's own calls, outside Docker's API.

use hyper::{Method, StatusCode};
use serde_json::json;

use super::App;
use crate::http::route::Router;
use crate::http::{ApiError, Reply, Request};
use crate::on_box::{OnBoxError, Wish};

pub(super) fn routes(router: &mut Router<App>) {
    router.add(Method::GET, "/hull/registry", status);
    router.add(Method::POST, "/hull/registry/start", start);
    router.add(Method::POST, "/hull/registry/stop", stop);
}

/// `GET /hull/registry`
async fn status(app: App, _: Request) -> Result<Reply, ApiError> {
    Reply::json(&app.registry.status().await)
}

/// `POST /hull/registry/start`
async fn start(app: App, mut request: Request) -> Result<Reply, ApiError> {
    let wish: Option<Wish> = request.optional_json().await?;
    Reply::json(&app.registry.start(wish.unwrap_or_default()).await?)
}

/// `POST /hull/registry/stop`
async fn stop(app: App, _: Request) -> Result<Reply, ApiError> {
    Reply::json(&json!({"Stopped": app.registry.stop().await?}))
}

impl From<OnBoxError> for ApiError {
    fn from(error: OnBoxError) -> Self {
        let status = match &error {
            OnBoxError::Running(_) => StatusCode::CONFLICT,
            OnBoxError::Config(_) => StatusCode::BAD_REQUEST,
            OnBoxError::Start(_) | OnBoxError::Write { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
