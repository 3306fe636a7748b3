//! Calls that show an account to a registry, through the daemon.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request};
use serde::Deserialize;

use super::{Client, Error, JsonLines, Query, collect, decode, empty};

const ACCOUNT: HeaderName = HeaderName::from_static("x-registry-auth");

/// A daemon's answer to a login.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LoggedIn {
    #[serde(default)]
    pub(crate) identity_token: String,
    #[serde(default)]
    pub(crate) status: String,
}

impl Client {
    /// A POST without a body whose answer is a stream of JSON lines.
    pub(crate) async fn transfer(
        &self,
        path: &str,
        query: Query<'_>,
        account: &str,
    ) -> Result<JsonLines, Error> {
        let mut request = empty(Method::POST, &self.uri(path, query));
        show(&mut request, account);
        Ok(JsonLines::new(self.send(request).await?.into_body()))
    }

    pub(crate) async fn search(
        &self,
        query: Query<'_>,
        account: &str,
    ) -> Result<Vec<serde_json::Value>, Error> {
        let mut request = empty(Method::GET, &self.uri("/images/search", query));
        show(&mut request, account);
        decode(&collect(self.send(request).await?).await?)
    }

    pub(crate) async fn login(&self, account: String) -> Result<LoggedIn, Error> {
        let mut request = Request::new(Full::new(Bytes::from(account)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri("/auth", &[]).parse().map_err(Error::uri)?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        decode(&collect(self.send(request).await?).await?)
    }
}

fn show(request: &mut Request<Full<Bytes>>, account: &str) {
    // Base64 fits every header.
    if let Ok(mut value) = HeaderValue::from_str(account) {
        value.set_sensitive(true);
        request.headers_mut().insert(ACCOUNT, value);
    }
}
