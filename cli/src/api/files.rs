//! Calls about a container's files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response};
use serde::Deserialize;

use super::{Client, Error, Query, collect, decode, empty};

impl Client {
    /// What is at a path of a container.
    pub(crate) async fn stat<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, Error> {
        let uri = self.uri(path, query);
        let response = match self.send(empty(Method::HEAD, &uri)).await {
            // There is no body to say why: a GET has the same reason.
            Err(Error::Daemon { .. }) => self.send(empty(Method::GET, &uri)).await?,
            other => other?,
        };
        path_stat(&response)
    }

    /// A PUT of a body that is streamed.
    pub(crate) async fn put<B>(&self, path: &str, query: Query<'_>, body: B) -> Result<(), Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut request = Request::new(body);
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = self.uri(path, query).parse().map_err(Error::uri)?;
        self.send(request).await.map(drop)
    }

    /// A POST that says all in its query, and whose answer is decoded into `T`.
    pub(crate) async fn post_query<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, Error> {
        let request = empty(Method::POST, &self.uri(path, query));
        decode(&collect(self.send(request).await?).await?)
    }
}

/// What is at a path of a container, by a header of the answer.
pub(crate) fn path_stat<T: for<'de> Deserialize<'de>>(
    response: &Response<Incoming>,
) -> Result<T, Error> {
    let header = response.headers().get("x-docker-container-path-stat");
    let bytes = header.map(HeaderValue::as_bytes).unwrap_or_default();
    decode(&STANDARD.decode(bytes).unwrap_or_default())
}
