//! The registry on this box: on the images that are here, and up again after a restart.
//!
//! What it should be is one file, `registry.json` in the data root, written aside and renamed. It
//! says whether the registry runs; starting the daemon starts it, and its failure is told by
//! `status`, for the daemon has more to do than this.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hull_engine::api::ImageStore;
use hull_registry::config::Config;
use hull_registry::{Service, ServiceError};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// What an administrator asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct Wish {
    /// Instead of what the configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    /// TOML: see `hull_registry::config`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<String>,
}

/// What is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Record {
    running: bool,
    wish: Wish,
}

/// How it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Status {
    pub(crate) running: bool,
    /// Where it listens, or should.
    pub(crate) address: String,
    /// With TLS.
    pub(crate) secure: bool,
    /// Why it does not run though it should.
    pub(crate) error: String,
}

/// Why it is not as it was asked to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OnBoxError {
    #[error("the registry runs at {0}: stop it before you start it with something else")]
    Running(String),
    #[error("invalid registry configuration: {0}")]
    Config(#[from] Box<toml::de::Error>),
    #[error("cannot start the registry: {0}")]
    Start(#[from] ServiceError),
    #[error("cannot write {path}: {source}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The registry. Clones are the same.
#[derive(Clone)]
pub(crate) struct OnBox(Arc<Inner>);

struct Inner {
    path: PathBuf,
    store: ImageStore,
    state: Mutex<State>,
}

struct State {
    record: Record,
    service: Option<Service>,
    error: String,
}

impl OnBox {
    /// Starts it if it ran when the daemon ended.
    pub(crate) async fn open(data_root: &Path, store: &ImageStore) -> OnBox {
        let path = data_root.join("registry.json");
        let mut error = String::new();
        let record = read(&path).unwrap_or_else(|failure| {
            error = format!("cannot read {}: {failure}", path.display());
            Record::default()
        });
        let mut service = None;
        if record.running {
            match start(store, &record.wish).await {
                Ok(started) => service = Some(started),
                Err(failure) => error = failure.to_string(),
            }
        }
        if !error.is_empty() {
            tracing::warn!(error, "the registry does not run");
        }
        OnBox(Arc::new(Inner {
            path,
            store: store.clone(),
            state: Mutex::new(State {
                record,
                service,
                error,
            }),
        }))
    }

    /// Starts it as it is wished, or as it was before where nothing is.
    pub(crate) async fn start(&self, wish: Wish) -> Result<Status, OnBoxError> {
        let mut state = self.0.state.lock().await;
        let wish = match wish == Wish::default() {
            true => state.record.wish.clone(),
            false => wish,
        };
        if state.service.is_some() {
            return match wish == state.record.wish {
                true => Ok(state.status()),
                false => Err(OnBoxError::Running(state.status().address)),
            };
        }
        let service = start(&self.0.store, &wish).await?;
        let running = true;
        self.write(&Record {
            running,
            wish: wish.clone(),
        })?;
        state.record = Record { running, wish };
        state.service = Some(service);
        state.error.clear();
        Ok(state.status())
    }

    /// Stops it, and says whether it ran.
    pub(crate) async fn stop(&self) -> Result<bool, OnBoxError> {
        let mut state = self.0.state.lock().await;
        let record = Record {
            running: false,
            ..state.record.clone()
        };
        self.write(&record)?;
        state.record = record;
        state.error.clear();
        match state.service.take() {
            None => Ok(false),
            Some(service) => {
                service.stop().await?;
                Ok(true)
            }
        }
    }

    pub(crate) async fn status(&self) -> Status {
        self.0.state.lock().await.status()
    }

    /// Ends it with the daemon. The next one starts it again.
    pub(crate) async fn close(&self) {
        if let Some(service) = self.0.state.lock().await.service.take()
            && let Err(error) = service.stop().await
        {
            tracing::warn!(%error, "the registry did not end well");
        }
    }

    fn write(&self, record: &Record) -> Result<(), OnBoxError> {
        let path = &self.0.path;
        write(path, record).map_err(|source| OnBoxError::Write {
            path: path.clone(),
            source,
        })
    }
}

impl State {
    fn status(&self) -> Status {
        let service = self.service.as_ref();
        Status {
            running: service.is_some(),
            address: match (service, self.record.wish.listen) {
                (Some(service), _) => service.address().to_string(),
                (None, Some(address)) => address.to_string(),
                (None, None) => String::new(),
            },
            secure: service.is_some_and(Service::is_secure),
            error: self.error.clone(),
        }
    }
}

async fn start(store: &ImageStore, wish: &Wish) -> Result<Service, OnBoxError> {
    let text = wish.config.as_deref().unwrap_or_default();
    let mut config: Config = toml::from_str(text).map_err(Box::new)?;
    config.listen = wish.listen.or(config.listen);
    let service = Service::start(store, &config).await?;
    tracing::info!(address = %service.address(), "the registry runs");
    Ok(service)
}

fn read(path: &Path) -> io::Result<Record> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, record: &Record) -> io::Result<()> {
    let aside = path.with_extension("json~");
    let mut file = fs::File::create(&aside)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::File::open(folder)?.sync_all()
}
