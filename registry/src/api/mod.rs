//! One handler for each endpoint and method: decode, call the store, encode.

pub(crate) mod base;
mod blobs;
mod callbacks;
mod listing;
mod manifests;
mod records;
mod referrers;
mod token;
mod uploads;

use std::sync::Arc;

use hull_images::repositories::{Repositories, RepositoryError};
use hyper::header::ALLOW;
use hyper::{HeaderMap, Method};

use crate::access::Actor;
use crate::http::body::Upload;
use crate::http::query::Query;
use crate::pages;
use crate::refusal::{Code, Refusal};
use crate::registry::Inner;
use crate::reply::Answer;
use crate::route::Endpoint;

/// A request, as far as it is the same for all.
pub(crate) struct Call<'a> {
    pub(crate) registry: Arc<Inner>,
    pub(crate) actor: Actor,
    pub(crate) method: Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: Query,
    pub(crate) upload: &'a mut Upload,
}

impl Call<'_> {
    fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// A header's value, if it is there and is text.
    fn header(&self, name: &hyper::header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Calls the store, which blocks.
    async fn store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Repositories) -> Result<T, RepositoryError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let registry = self.registry.clone();
        let work = move || work(&registry.repositories);
        Ok(tokio::task::spawn_blocking(work).await??)
    }
}

/// The table of endpoints and methods.
pub(crate) async fn answer(call: Call<'_>, endpoint: Endpoint) -> Answer {
    let read = matches!(call.method, Method::GET | Method::HEAD);
    let (post, put) = (call.method == Method::POST, call.method == Method::PUT);
    let (patch, delete) = (call.method == Method::PATCH, call.method == Method::DELETE);
    match endpoint {
        Endpoint::Root if read => Ok(base::root(&call)),
        Endpoint::Page(page) if read => pages::answer(&call, page).await,
        Endpoint::Page(_) => refuse("GET, HEAD"),
        Endpoint::Version if read => base::version(),
        Endpoint::VersionWithoutSlash if read => Ok(base::redirect()),
        Endpoint::Metrics if read => Ok(base::metrics(&call)),
        Endpoint::Root | Endpoint::Metrics | Endpoint::Version | Endpoint::VersionWithoutSlash => {
            refuse("GET, HEAD")
        }
        Endpoint::Catalog if read => listing::catalog(&call).await,
        Endpoint::Catalog => refuse("GET, HEAD"),
        Endpoint::Tags(name) if read => listing::tags(&call, name).await,
        Endpoint::Tags(_) => refuse("GET, HEAD"),
        Endpoint::Referrers(name, digest) if read => referrers::list(&call, name, digest).await,
        Endpoint::Referrers(..) => refuse("GET, HEAD"),
        Endpoint::Blob(name, digest) if read => blobs::get(&call, name, digest).await,
        Endpoint::Blob(name, digest) if delete => blobs::delete(&call, name, digest).await,
        Endpoint::Blob(..) => refuse("GET, HEAD, DELETE"),
        Endpoint::Uploads(name) if post => uploads::begin(call, name).await,
        Endpoint::Uploads(_) => refuse("POST"),
        Endpoint::Upload(name, id) if read => uploads::status(&call, name, id).await,
        Endpoint::Upload(name, id) if patch => uploads::append(call, name, id).await,
        Endpoint::Upload(name, id) if put => uploads::finish(call, name, id).await,
        Endpoint::Upload(name, id) if delete => uploads::cancel(&call, name, id).await,
        Endpoint::Upload(..) => refuse("GET, HEAD, PATCH, PUT, DELETE"),
        Endpoint::Manifest(name, key) if read => manifests::get(&call, name, key).await,
        Endpoint::Manifest(name, key) if put => manifests::put(call, name, key).await,
        Endpoint::Manifest(name, key) if delete => manifests::delete(&call, name, key).await,
        Endpoint::Manifest(..) => refuse("GET, HEAD, PUT, DELETE"),
        Endpoint::Token if read => token::issue(&call).await,
        Endpoint::Token => refuse("GET, HEAD"),
        Endpoint::Callback(secret) if post => callbacks::take(call, &secret).await,
        Endpoint::Callback(_) => refuse("POST"),
        Endpoint::Search if read => records::search(&call).await,
        Endpoint::Records if read => records::list(&call).await,
        Endpoint::Search | Endpoint::Records => refuse("GET, HEAD"),
        Endpoint::Record(name) if read => records::get(&call, name).await,
        Endpoint::Record(name) if patch => records::change(call, name).await,
        Endpoint::Record(name) if delete => records::delete(&call, name).await,
        Endpoint::Record(_) => refuse("GET, HEAD, PATCH, DELETE"),
    }
}

/// Another method than those that an endpoint has.
fn refuse(allowed: &str) -> Answer {
    Err(Refusal::new(Code::Unsupported).header(ALLOW, allowed))
}
