//! What a handler answers, before the server adds the headers that all answers share.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::ApiError;
use super::body::{self, Body};
use super::error::Form;
use super::hijack::Hijack;

/// An answer.
pub(crate) enum Reply {
    Http(Response<Body>),
    Hijack(Hijack),
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::Http(with_status(status, body::empty()))
    }

    pub(crate) fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    pub(crate) fn json<T: Serialize>(value: &T) -> Result<Self, ApiError> {
        Self::json_with(StatusCode::OK, value)
    }

    pub(crate) fn json_with<T: Serialize>(status: StatusCode, value: &T) -> Result<Self, ApiError> {
        let mut response = with_status(status, body::whole(json_line(value)?));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self::Http(response))
    }

    /// A streamed body. The status and headers go out at once, whenever the first item comes.
    pub(crate) fn stream(
        media_type: &'static str,
        items: impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
        gone: CancellationToken,
    ) -> Self {
        let mut response = Response::new(body::streamed(items, gone));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Self::Http(response)
    }

    /// The same with one header more.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if let Self::Http(response) = &mut self {
            response.headers_mut().insert(name, value);
        }
        self
    }

    /// One JSON document a line, each flushed as it comes.
    pub(crate) fn json_lines<T: Serialize + 'static>(
        items: impl Stream<Item = T> + Send + 'static,
        gone: CancellationToken,
    ) -> Self {
        let lines = items.map(|item| json_line(&item).map_err(|e| io::Error::other(e.message)));
        Self::stream("application/json", lines, gone)
    }
}

/// Go's encoder ends each document with a newline, and clients read lines.
pub(crate) fn json_line<T: Serialize>(value: &T) -> Result<Bytes, ApiError> {
    let mut bytes = serde_json::to_vec(value).map_err(|e| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("encode the response: {e}"),
        )
    })?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
}

impl From<ApiError> for Response<Body> {
    fn from(error: ApiError) -> Self {
        if error.status == StatusCode::NOT_MODIFIED {
            return with_status(error.status, body::empty());
        }
        let json = || {
            json_line(&ErrorBody {
                message: &error.message,
            })
            .ok()
        };
        let (text, media_type) = match error.form {
            Form::Json => (json(), "application/json"),
            Form::Text => (
                Some(format!("{}\n", error.message).into()),
                "text/plain; charset=utf-8",
            ),
        };
        let mut response = with_status(error.status, body::whole(text.unwrap_or_default()));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if error.form == Form::Text {
            let nosniff = HeaderValue::from_static("nosniff");
            response
                .headers_mut()
                .insert(X_CONTENT_TYPE_OPTIONS, nosniff);
        }
        response
    }
}

fn with_status(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
