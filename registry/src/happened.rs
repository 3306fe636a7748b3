//! What a request came to, for whom it may concern: told by its endpoint and answer.

use std::net::SocketAddr;

use hull_images::repositories::{ManifestKey, RepositoryName};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};
use jiff::Timestamp;

use crate::http::body::Body;
use crate::reply::DOCKER_CONTENT_DIGEST;
use crate::route::Endpoint;
use crate::webhooks::{Action, Event};

/// Content that came, went or was taken away.
pub(crate) struct Happened {
    action: Action,
    repository: RepositoryName,
    kind: &'static str,
    tag: Option<String>,
    digest: Option<String>,
}

impl Happened {
    pub(crate) fn of(
        endpoint: &Endpoint,
        parts: &Parts,
        response: &Response<Body>,
    ) -> Option<Happened> {
        let mounts = parts
            .uri
            .query()
            .is_some_and(|query| query.contains("mount="));
        let (get, put) = (parts.method == Method::GET, parts.method == Method::PUT);
        let delete = parts.method == Method::DELETE;
        let action = match (endpoint, response.status()) {
            (Endpoint::Manifest(..), StatusCode::CREATED) if put => Action::Push,
            (Endpoint::Manifest(..), StatusCode::OK) if get => Action::Pull,
            (Endpoint::Manifest(..), StatusCode::ACCEPTED) if delete => Action::Delete,
            (Endpoint::Blob(..), StatusCode::OK) if get => Action::Pull,
            (Endpoint::Blob(..), StatusCode::ACCEPTED) if delete => Action::Delete,
            (Endpoint::Uploads(_), StatusCode::CREATED) if mounts => Action::Mount,
            (Endpoint::Uploads(_) | Endpoint::Upload(..), StatusCode::CREATED) => Action::Push,
            _ => return None,
        };
        let (mut tag, mut digest) = (None, text(response.headers(), &DOCKER_CONTENT_DIGEST));
        let kind = match endpoint {
            Endpoint::Manifest(_, key) => {
                match key {
                    ManifestKey::Tag(name) => tag = Some(name.to_string()),
                    ManifestKey::Digest(name) => digest = Some(name.to_string()),
                }
                "manifests"
            }
            Endpoint::Blob(_, name) => {
                digest = Some(name.to_string());
                "blobs"
            }
            _ => "blobs",
        };
        Some(Happened {
            action,
            repository: endpoint.repository()?.clone(),
            kind,
            tag,
            digest,
        })
    }

    /// Whether the content went out, and not in.
    pub(crate) fn is_sent(&self) -> bool {
        self.action == Action::Pull
    }

    pub(crate) fn event(
        self,
        parts: &Parts,
        response: &Response<Body>,
        (peer, actor, size): (SocketAddr, Option<&str>, u64),
    ) -> Event {
        let headers = if self.is_sent() {
            response.headers()
        } else {
            &parts.headers
        };
        let media_type = match self.kind {
            "manifests" => text(headers, &CONTENT_TYPE),
            _ => None,
        };
        let name = self
            .digest
            .as_deref()
            .or(self.tag.as_deref())
            .unwrap_or_default();
        Event {
            path: format!("/v2/{}/{}/{name}", self.repository, self.kind),
            action: self.action,
            repository: self.repository,
            digest: self.digest,
            tag: self.tag,
            media_type: media_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            size,
            actor: actor.map(str::to_owned),
            peer: peer.to_string(),
            host: text(&parts.headers, &HOST).unwrap_or_default(),
            method: parts.method.to_string(),
            user_agent: text(&parts.headers, &USER_AGENT).unwrap_or_default(),
            moment: Timestamp::now(),
        }
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}
