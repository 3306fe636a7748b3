//! `GET /token?service=&scope=`: a token for what its client may of what it asks.

use hull_images::repositories::RepositoryName;
use hyper::StatusCode;
use hyper::header::CACHE_CONTROL;
use jiff::Timestamp;
use serde_json::json;

use super::Call;
use crate::access::{Action, Grant, parse_scope};
use crate::refusal::{Code, Refusal};
use crate::reply::{Answer, Reply};

/// More than any client asks for at once.
const MAX_SCOPES: usize = 50;

pub(crate) async fn issue(call: &Call<'_>) -> Answer {
    let Some(issuer) = call.registry.access.issuer() else {
        return Err(Refusal::new(Code::Unsupported).status(StatusCode::NOT_FOUND));
    };
    let scopes = call.query.all("scope").flat_map(str::split_whitespace);
    let wanted: Vec<Grant> = scopes.take(MAX_SCOPES).filter_map(parse_scope).collect();
    let mut grants = Vec::new();
    for grant in wanted {
        let granted = granted(call, &grant).await?;
        if !granted.is_empty() {
            let actions = granted;
            grants.push(Grant { actions, ..grant });
        }
    }
    let token = issuer.issue(call.actor.name(), grants);
    let reply = Reply::new(StatusCode::OK).header(CACHE_CONTROL, "no-store");
    reply.json(&json!({
        "token": token, "access_token": token,
        "expires_in": issuer.lifetime.as_secs(), "issued_at": Timestamp::now(),
    }))
}

/// The actions of a scope that the client may.
async fn granted(call: &Call<'_>, grant: &Grant) -> Result<Vec<String>, Refusal> {
    if grant.kind == "registry" && grant.name == "catalog" {
        let known = call.registry.access.check_known(&call.actor).is_ok();
        return Ok(if known {
            vec!["*".to_owned()]
        } else {
            Vec::new()
        });
    }
    let Ok(name) = grant.name.parse::<RepositoryName>() else {
        return Ok(Vec::new());
    };
    let mut granted = Vec::new();
    if grant.kind != "repository" {
        return Ok(granted);
    }
    for action in [Action::Pull, Action::Push, Action::Delete] {
        let wanted = grant
            .actions
            .iter()
            .any(|word| word == "*" || word == action.word());
        if !wanted {
            continue;
        }
        match call.registry.allow(&call.actor, &name, action).await {
            Ok(()) => granted.push(action.word().to_owned()),
            Err(refusal) if refusal.has(Code::Denied) || refusal.has(Code::Unauthorized) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(granted)
}
