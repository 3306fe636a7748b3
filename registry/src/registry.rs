//! The registry as its server and its users see it: one request in, one answer out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hull_images::Store;
use hull_images::repositories::Repositories;
use hyper::body::Incoming;
use hyper::header::{EXPECT, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response};

use crate::api::{self, Call};
use crate::http::body::{Body, Upload};
use crate::http::query::Query;
use crate::refusal::{Code, Refusal};
use crate::reply::Answer;
use crate::route::Endpoint;

/// What clients may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a manifest.
    pub manifest: u64,
    /// How long a client may send nothing inside a body.
    pub patience: Duration,
    /// The most items of a list that are given at once.
    pub page: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            manifest: 4 << 20,
            patience: Duration::from_secs(60),
            page: 1000,
        }
    }
}

/// A registry. Clones are the same.
#[derive(Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) repositories: Repositories,
    pub(crate) limits: Limits,
}

impl Registry {
    pub fn new(store: &Store, limits: Limits) -> Registry {
        let repositories = Repositories::new(store);
        Registry {
            inner: Arc::new(Inner {
                repositories,
                limits,
            }),
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let expects = parts.headers.contains_key(EXPECT);
        let mut upload = Upload::new(body, self.inner.limits.patience);
        let answer = self.dispatch(&parts, &mut upload).await;
        let mut response = match answer {
            Ok(response) => response,
            Err(refusal) => {
                // Who waits to be told to go on has sent nothing yet, and is told not to.
                if !expects {
                    upload.drain().await;
                }
                refusal.into_response()
            }
        };
        let headers = response.headers_mut();
        for (name, value) in [
            (
                HeaderName::from_static("docker-distribution-api-version"),
                "registry/2.0",
            ),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }

    async fn dispatch(&self, parts: &hyper::http::request::Parts, upload: &mut Upload) -> Answer {
        let path = parts.uri.path();
        let endpoint = match Endpoint::parse(path) {
            Ok(Some(endpoint)) => endpoint,
            Ok(None) => return Ok(api::base::page_not_found()),
            // What cannot be a tag's name is the name of no manifest.
            Err(refusal) if refusal.has(Code::TagInvalid) && is_read(&parts.method) => {
                return Err(Refusal::new(Code::ManifestUnknown));
            }
            Err(refusal) => return Err(refusal),
        };
        let call = Call {
            registry: self.inner.clone(),
            method: parts.method.clone(),
            headers: &parts.headers,
            query: Query::parse(parts.uri.query()),
            upload,
        };
        api::answer(call, endpoint).await
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
