//! The registry as its server and its users see it: one request in, one answer out.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hull_images::Store;
use hull_images::repositories::{Keep, Repositories, RepositoryError, RepositoryName, Swept};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

use crate::access::{Access, Action, Actor, HtpasswdError, KeysError, Pattern};
use crate::api::{self, Call};
use crate::cache::{Cache, CacheError};
use crate::config::Config;
use crate::happened::Happened;
use crate::http::body::{Body, Upload};
use crate::http::query::Query;
use crate::log::{AccessLog, Line};
use crate::metrics::{Metrics, Seen};
use crate::pages;
use crate::refusal::{Code, Refusal};
use crate::reply::Answer;
use crate::route::Endpoint;
use crate::webhooks::Webhooks;

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
    pub(crate) access: Access,
    pub(crate) metrics: Metrics,
    /// Host and port by which others reach it, if that was said.
    pub(crate) external_host: Option<String>,
    pub(crate) show_pages: bool,
    quota: Vec<(Pattern, u64)>,
    read_only: bool,
    delete: bool,
    show_metrics: bool,
    log: AccessLog,
    pub(crate) webhooks: Webhooks,
    pub(crate) cache: Option<Cache>,
}

/// Why a registry cannot be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Htpasswd(#[from] HtpasswdError),
    #[error("cannot open the access log {path}: {source}")]
    AccessLog {
        path: String,
        source: std::io::Error,
    },
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("with [tokens] the issuer says who may what: [auth] and [[rights]] must go")]
    TokensWithRights,
    #[error("cannot be a cache: {0}")]
    Cache(#[from] CacheError),
    #[error("a cache has no quota: say how long it keeps what nobody uses (expire)")]
    CacheWithQuota,
}

impl Registry {
    /// A registry that lets everybody do everything.
    pub fn new(store: &Store, limits: Limits) -> Registry {
        Registry {
            inner: Arc::new(Inner {
                repositories: Repositories::new(store),
                limits,
                access: Access::default(),
                metrics: Metrics::default(),
                external_host: None,
                show_pages: true,
                quota: Vec::new(),
                read_only: false,
                delete: true,
                show_metrics: false,
                log: AccessLog::Off,
                webhooks: Webhooks::default(),
                cache: None,
            }),
        }
    }

    /// A registry as it was configured, reached by others at `base`. Needs a runtime.
    pub fn configured(store: &Store, config: &Config, base: &str) -> Result<Registry, SetupError> {
        let log = config.access_log.as_deref().unwrap_or("off");
        let log = AccessLog::open(log).map_err(|source| SetupError::AccessLog {
            path: log.to_owned(),
            source,
        })?;
        let repositories = Repositories::new(store);
        let cache = match &config.cache {
            None => None,
            Some(_) if !config.quota.is_empty() => return Err(SetupError::CacheWithQuota),
            Some(settings) => Some(Cache::new(settings, repositories.clone())?),
        };
        let most = config.limits.webhooks;
        let hooks = config.webhooks.clone();
        let inner = Inner {
            webhooks: Webhooks::start(hooks, most, base.to_owned(), repositories.clone()),
            repositories,
            limits: Limits {
                manifest: config.limits.manifest,
                patience: config.limits.patience,
                ..Limits::default()
            },
            access: match &config.tokens {
                None => Access::new(config.auth.as_ref(), config.rights.clone(), base)?,
                Some(_) if config.auth.is_some() || !config.rights.is_empty() => {
                    return Err(SetupError::TokensWithRights);
                }
                Some(tokens) => Access::by_tokens(tokens)?,
            },
            metrics: Metrics::default(),
            external_host: config.external_host().map(str::to_owned),
            show_pages: config.ui.unwrap_or(true),
            quota: config.quota.clone(),
            read_only: config.read_only,
            delete: config.delete.unwrap_or(true),
            show_metrics: config.metrics,
            log,
            cache,
        };
        Ok(Registry {
            inner: Arc::new(inner),
        })
    }

    /// Removes what nothing needs, beside everything else. Blocks.
    pub fn sweep(&self, keep: Keep) -> Result<Swept, RepositoryError> {
        let mut swept = self.inner.repositories.sweep(keep)?;
        if let Some(cache) = &self.inner.cache {
            let expired = cache.expire()?;
            swept.manifests += expired.manifests;
            swept.blobs += expired.blobs;
            swept.bytes += expired.bytes;
        }
        Ok(swept)
    }

    /// Ends what is asked of other registries. The last thing that happens to a registry.
    pub(crate) fn close(&self) {
        if let Some(cache) = &self.inner.cache {
            cache.close();
        }
    }

    /// Syncs the files of small blobs, which are durable without them. Blocks.
    pub(crate) fn settle(&self) -> Result<usize, RepositoryError> {
        self.inner.repositories.settle()
    }

    /// Answers a request.
    pub(crate) async fn answer(
        self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<Body>, Infallible> {
        let start = Instant::now();
        let _at_work = self.inner.metrics.begin();
        let (parts, body) = request.into_parts();
        let expects = parts.headers.contains_key(EXPECT);
        let mut upload = Upload::new(body, self.inner.limits.patience);
        let mut asked = Asked {
            label: "none",
            endpoint: None,
            actor: Actor::Anonymous,
        };
        let answer = self.dispatch(&parts, &mut upload, &mut asked).await;
        let mut response = match answer {
            Ok(response) => response,
            Err(refusal) => {
                // Who waits to be told to go on has sent nothing yet, and is told not to.
                if !expects {
                    upload.drain().await;
                }
                match asked.endpoint {
                    Some(Endpoint::Page(_)) => {
                        let seen_by = (&asked.actor, &parts.headers);
                        pages::refused(&self.inner, seen_by, &refusal)
                    }
                    _ => refusal.into_response(),
                }
            }
        };
        let headers = response.headers_mut();
        // As with Docker's registry, the root has nothing of the API.
        if !matches!(asked.endpoint, Some(Endpoint::Root)) {
            for (name, value) in [
                (
                    HeaderName::from_static("docker-distribution-api-version"),
                    "registry/2.0",
                ),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        let sent = match parts.method == Method::HEAD {
            true => 0,
            false => length
                .or(hyper::body::Body::size_hint(response.body()).exact())
                .unwrap_or_default(),
        };
        if let Some(endpoint) = &asked.endpoint
            && let Some(happened) = Happened::of(endpoint, &parts, &response)
        {
            self.inner.webhooks.tell(|| {
                let size = if happened.is_sent() {
                    sent
                } else {
                    upload.received()
                };
                happened.event(&parts, &response, (peer, asked.actor.name(), size))
            });
        }
        self.inner.metrics.record(&Seen {
            endpoint: asked.label,
            method: &parts.method,
            status: response.status(),
            took: start.elapsed(),
            received: upload.received(),
            sent,
        });
        self.inner.log.write(&Line {
            peer,
            user: asked.actor.name(),
            parts: &parts,
            status: response.status(),
            sent,
            took: start.elapsed(),
        });
        Ok(response)
    }

    async fn dispatch(&self, parts: &Parts, upload: &mut Upload, asked: &mut Asked) -> Answer {
        let endpoint = match Endpoint::parse(parts.uri.path()) {
            Ok(Some(endpoint)) => endpoint,
            Ok(None) => return Ok(api::base::page_not_found()),
            // What cannot be a tag's name is the name of no manifest.
            Err(refusal) if refusal.has(Code::TagInvalid) && is_read(&parts.method) => {
                return Err(Refusal::new(Code::ManifestUnknown));
            }
            Err(refusal) => return Err(refusal),
        };
        if matches!(endpoint, Endpoint::Page(_)) && !self.inner.show_pages {
            return Ok(api::base::page_not_found());
        }
        asked.label = endpoint.label();
        asked.endpoint = Some(endpoint.clone());
        asked.actor = self.inner.access.identify(&parts.headers).await?;
        let query = Query::parse(parts.uri.query());
        let admitted = self.admit(&asked.actor, &endpoint, &parts.method).await;
        admitted.map_err(|refusal| self.ask_for_mount(refusal, asked, &query))?;
        let call = Call {
            registry: self.inner.clone(),
            actor: asked.actor.clone(),
            method: parts.method.clone(),
            headers: &parts.headers,
            query,
            upload,
        };
        api::answer(call, endpoint).await
    }

    /// Who is asked for a token to begin a mount, is asked for one that reads the source too.
    fn ask_for_mount(&self, refusal: Refusal, asked: &Asked, query: &Query) -> Refusal {
        let (Some(Endpoint::Uploads(to)), Some(_)) = (&asked.endpoint, query.get("mount")) else {
            return refusal;
        };
        let from: Option<RepositoryName> = query.get("from").and_then(|from| from.parse().ok());
        match from.filter(|_| refusal.has(Code::Unauthorized)) {
            Some(from) => self
                .inner
                .access
                .challenge_to_mount(&asked.actor, to, &from),
            None => refusal,
        }
    }

    /// Refuses what the actor may not, and what nobody may here.
    async fn admit(
        &self,
        actor: &Actor,
        endpoint: &Endpoint,
        method: &Method,
    ) -> Result<(), Refusal> {
        // A callback's address is its secret.
        if matches!(
            endpoint,
            Endpoint::Root | Endpoint::Callback(_) | Endpoint::Token
        ) {
            return Ok(());
        }
        if matches!(endpoint, Endpoint::Metrics) && !self.inner.show_metrics {
            return Err(Refusal::new(Code::Unsupported).status(hyper::StatusCode::NOT_FOUND));
        }
        // A list of what the client may see may be empty.
        if matches!(endpoint, Endpoint::Search) {
            return Ok(());
        }
        let Some(name) = endpoint.repository() else {
            return match endpoint {
                Endpoint::Catalog => self.inner.access.check_catalog(actor),
                // The list is as a search's, and the rest is the same for everybody.
                Endpoint::Page(_) => Ok(()),
                _ => self.inner.access.check_known(actor),
            };
        };
        let action = action(endpoint, method);
        self.inner.allow(actor, name, action).await?;
        // Whoever owns a cache may have it forget a repository; what is upstream stays.
        let is_copy = self.inner.cache.is_some() && !matches!(endpoint, Endpoint::Record(_));
        let refused = match action {
            Action::Pull => false,
            Action::Push | Action::Delete if is_copy => true,
            Action::Push => self.inner.read_only,
            Action::Delete if *method == Method::PATCH => self.inner.read_only,
            Action::Delete => self.inner.read_only || !self.inner.delete,
        };
        match refused {
            true => Err(Refusal::new(Code::Unsupported)),
            false => Ok(()),
        }
    }
}

impl Inner {
    /// Whether an actor may do something to a repository.
    pub(crate) async fn allow(
        self: &Arc<Self>,
        actor: &Actor,
        name: &RepositoryName,
        action: Action,
    ) -> Result<(), Refusal> {
        if self.access.is_open() && self.access.has_no_rules() {
            return Ok(());
        }
        let (inner, actor, name) = (self.clone(), actor.clone(), name.clone());
        let check = move || {
            let access = &inner.access;
            access.check(&inner.repositories, &actor, &name, action)
        };
        tokio::task::spawn_blocking(check).await?
    }

    /// How much a repository may hold.
    pub(crate) fn quota(&self, name: &RepositoryName) -> Option<u64> {
        let fits = self.quota.iter().find(|(pattern, _)| pattern.fits(name));
        fits.map(|(_, bytes)| *bytes)
    }
}

/// What is known of a request by its end.
struct Asked {
    label: &'static str,
    endpoint: Option<Endpoint>,
    actor: Actor,
}

fn action(endpoint: &Endpoint, method: &Method) -> Action {
    let is_upload = matches!(endpoint, Endpoint::Upload(..) | Endpoint::Uploads(_));
    match *method {
        _ if is_upload => Action::Push,
        Method::GET | Method::HEAD => Action::Pull,
        Method::DELETE => Action::Delete,
        // Who may say what a repository is, is who may delete it.
        Method::PATCH if matches!(endpoint, Endpoint::Record(_)) => Action::Delete,
        _ => Action::Push,
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
