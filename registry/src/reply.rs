//! Builds answers.

use std::fmt::Display;

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::http::body::{self, Body};
use crate::refusal::{Refusal, internal};

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");
pub(crate) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(crate) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(crate) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
pub(crate) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// What a handler answers.
pub(crate) type Answer = Result<Response<Body>, Refusal>;

/// An answer in the making.
pub(crate) struct Reply(Response<Body>);

impl Reply {
    pub(crate) fn new(status: StatusCode) -> Reply {
        let mut response = Response::new(body::empty());
        *response.status_mut() = status;
        Reply(response)
    }

    /// Adds a header. A value that cannot be one is left out: all that are given are made here.
    pub(crate) fn header(mut self, name: HeaderName, value: impl Display) -> Reply {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.0.headers_mut().append(name, value);
        }
        self
    }

    /// Adds a header if there is a value for it.
    pub(crate) fn maybe(self, name: HeaderName, value: Option<impl Display>) -> Reply {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Says how long the body would be: for `HEAD`.
    pub(crate) fn length(self, length: u64) -> Reply {
        self.header(CONTENT_LENGTH, length)
    }

    pub(crate) fn body(mut self, body: Body) -> Response<Body> {
        *self.0.body_mut() = body;
        self.0
    }

    /// With no body at all.
    pub(crate) fn empty(self) -> Response<Body> {
        match self.0.status() {
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => self.0,
            _ if self.0.headers().contains_key(CONTENT_LENGTH) => self.0,
            _ => self.length(0).0,
        }
    }

    /// JSON, as Go's encoder ends it.
    pub(crate) fn json(self, value: &impl Serialize) -> Answer {
        self.json_of("application/json; charset=utf-8", value)
    }

    pub(crate) fn json_of(self, media_type: &str, value: &impl Serialize) -> Answer {
        let mut bytes = serde_json::to_vec(value).map_err(|error| internal(&error))?;
        bytes.push(b'\n');
        let reply = self.header(CONTENT_TYPE, media_type);
        Ok(reply.body(body::whole(Bytes::from(bytes))))
    }
}
