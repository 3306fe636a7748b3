//! A configured registry that runs: with its address, its sweeps, and its end.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hull_images::repositories::Keep;
use hull_images::{Options, Store, StoreError};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Untagged};
use crate::registry::{Registry, SetupError};
use crate::server::{Connections, Listening, serve};
use crate::tls::TlsError;

/// Where a registry listens if nothing else is said: for this machine only.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// How long small blobs gather before their files are synced.
const SETTLE: Duration = Duration::from_secs(5);

/// Why a registry cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot create {}: {source}", path.display())]
    Root { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot handle signals: {0}")]
    Signals(#[source] io::Error),
    #[error("the server failed: {0}")]
    Server(#[from] tokio::task::JoinError),
}

/// A registry that runs until it is stopped, or dropped.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    secure: bool,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Service {
    /// Starts a registry on a store.
    pub async fn start(store: &Store, config: &Config) -> Result<Service, ServiceError> {
        let address = config.listen.unwrap_or(ADDRESS);
        let listen = |source| ServiceError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let listening = match &config.tls {
            None => Listening::plain(listener),
            Some(files) => Listening::secure(listener, files)?,
        };
        let secure = listening.is_secure();
        let scheme = if secure { "https" } else { "http" };
        let base = config
            .external_url
            .as_deref()
            .map(|url| url.trim_end_matches('/'));
        let base = base.map_or_else(|| format!("{scheme}://{address}"), str::to_owned);
        let registry = Registry::configured(store, config, &base)?;
        let connections = Connections {
            most: config.limits.connections,
            idle: config.limits.patience,
            stall: config.limits.patience,
            ..Connections::default()
        };
        let stop = CancellationToken::new();
        let keep = Keep {
            grace: config.collect.grace,
            untagged: config.collect.untagged == Untagged::Keep,
        };
        let sweeping = sweep(registry.clone(), config.collect.every, keep, stop.clone());
        let settling = settle(registry.clone(), stop.clone());
        let serving = serve(registry.clone(), listening, connections, stop.clone());
        let serving = tokio::spawn(async move {
            tokio::join!(serving, sweeping, settling);
            registry.close();
        });
        Ok(Service {
            address,
            secure,
            stop,
            serving,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Ends it when what is at work is done.
    pub async fn stop(mut self) -> Result<(), ServiceError> {
        self.stop.cancel();
        Ok((&mut self.serving).await?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn sweep(registry: Registry, every: Duration, keep: Keep, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => return,
        }
        let registry = registry.clone();
        match tokio::task::spawn_blocking(move || registry.sweep(keep)).await {
            Ok(Ok(swept)) => tracing::info!(?swept, "swept"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot sweep"),
            Err(error) => tracing::error!(%error, "a sweep failed"),
        }
    }
}

/// Brings to their files, many at once, what small blobs left to be synced later.
async fn settle(registry: Registry, stop: CancellationToken) {
    let mut last = false;
    while !last {
        last = tokio::select! {
            () = tokio::time::sleep(SETTLE) => false,
            () = stop.cancelled() => true,
        };
        let registry = registry.clone();
        match tokio::task::spawn_blocking(move || registry.settle()).await {
            Ok(Ok(blobs)) => tracing::debug!(blobs, "settled"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot sync small blobs"),
            Err(error) => tracing::error!(%error, "syncing small blobs failed"),
        }
    }
}

/// Runs a registry with a store of its own until SIGTERM or SIGINT.
pub async fn run_alone(root: &Path, config: &Config) -> Result<(), ServiceError> {
    // Registered first: a signal that comes during the start is acted on after it.
    let mut terminate = signal(SignalKind::terminate()).map_err(ServiceError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServiceError::Signals)?;
    std::fs::create_dir_all(root).map_err(|source| ServiceError::Root {
        path: root.to_owned(),
        source,
    })?;
    let store = Store::open(root, Options::default())?;
    let service = Service::start(&store, config).await?;
    let scheme = if service.is_secure() { "https" } else { "http" };
    // Whoever closed our output does not want to know.
    let _ = writeln!(
        io::stdout(),
        "registry ready: {scheme}://{}",
        service.address()
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    service.stop().await
}
