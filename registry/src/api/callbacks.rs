//! `POST /hull/v1/callbacks/<secret>`: a webhook of a chain says how it went.

use hyper::StatusCode;
use serde::Deserialize;

use super::Call;
use crate::refusal::{Code, Refusal};
use crate::reply::{Answer, Reply};
use crate::webhooks::State;

const MAX_BYTES: u64 = 64 << 10;

/// Description, context and target are the hook's own business.
#[derive(Deserialize)]
struct Outcome {
    state: State,
}

pub(crate) async fn take(call: Call<'_>, secret: &str) -> Answer {
    let body = call.upload.read(MAX_BYTES).await?;
    let outcome: Outcome = serde_json::from_slice(&body.bytes).map_err(|error| {
        let refusal = Refusal::new(Code::Unsupported).detail(error.to_string());
        refusal.status(StatusCode::BAD_REQUEST)
    })?;
    match call.registry.webhooks.called_back(secret, outcome.state) {
        true => Ok(Reply::new(StatusCode::OK).empty()),
        false => Err(Refusal::new(Code::Unsupported).status(StatusCode::NOT_FOUND)),
    }
}
