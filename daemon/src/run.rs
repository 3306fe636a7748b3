//! `hulld` from start to end: lock, engine, sockets, signals.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hull_engine::Engine;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::api::{self, App};
use crate::listen::{Group, Host, Listener};
use crate::lock::RunLock;
use crate::on_box::OnBox;
use crate::server::Server;
use crate::tls::Acceptor;
use crate::{Settings, notify};

/// Serves until SIGTERM or SIGINT. VMs live on.
///
/// # Errors
/// Something that the daemon needs cannot be had; nothing is left running.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    // Registered first: a signal that comes during the start is acted on after it.
    let mut terminate = signal(SignalKind::terminate()).context("handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("handle SIGINT")?;
    let _ignored = signal(SignalKind::hangup()).context("handle SIGHUP")?;

    prepare(&settings.run_dir)?;
    let _lock = RunLock::acquire(&settings.run_dir)?;
    let hosts = match settings.hosts.is_empty() {
        true => vec![default_host(&settings.run_dir)?],
        false => settings.hosts.clone(),
    };
    let identity = settings.tls.as_ref().map(Acceptor::open).transpose()?;
    // Before the engine opens: a second daemon must not get as far as adopting VMs.
    let group = Group::find(settings.group.as_deref())?;
    let mut listeners = Vec::new();
    for host in &hosts {
        listeners.push(host.listen(group, identity.as_ref()).await?);
    }
    let hosts: Vec<Host> = listeners.iter().map(Listener::host).collect();
    let engine = Engine::open(engine_options(&settings)?)
        .await
        .context("open the engine")?;

    let registry = OnBox::open(&settings.data_root, engine.images().store()).await;

    let stop = CancellationToken::new();
    let app = App::new(engine.clone(), registry.clone());
    let serving = tokio::spawn(serve(app, listeners, stop.clone()));
    ready(&hosts);

    let why = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = why, "stopping; running containers go on");
    announce("STOPPING=1");
    stop.cancel();
    serving.await.context("the server failed")?;
    registry.close().await;
    engine.close().await;
    Ok(())
}

/// Answers for an engine until `stop` is cancelled. The sockets are gone then.
async fn serve(app: App, listeners: Vec<Listener>, stop: CancellationToken) {
    Server::new(app, api::routes()).serve(listeners, stop).await;
}

/// Others may pass through to the socket, and see nothing else.
fn prepare(run_dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(run_dir)
        .with_context(|| format!("create {}", run_dir.display()))
}

fn default_host(run_dir: &Path) -> anyhow::Result<Host> {
    let run_dir = std::path::absolute(run_dir).context("find the run directory")?;
    Ok(format!("unix://{}", run_dir.join("hull.sock").display()).parse()?)
}

fn engine_options(settings: &Settings) -> anyhow::Result<hull_engine::api::Options> {
    let own_dir = || -> anyhow::Result<PathBuf> {
        let program = std::env::current_exe().context("find hulld itself")?;
        Ok(program
            .parent()
            .context("find hulld's directory")?
            .to_owned())
    };
    let bin = settings.bin_dir.clone().map_or_else(own_dir, Ok)?;
    let lib = match &settings.lib_dir {
        Some(lib) => lib.clone(),
        None => own_dir()?.join("../lib"),
    };
    let data_root = std::path::absolute(&settings.data_root).context("find the data root")?;
    let run_dir = std::path::absolute(&settings.run_dir).context("find the run directory")?;
    let mut engine = hull_engine::api::Options::new(data_root, run_dir, &bin, &lib);
    engine.registries.insecure.clone_from(&settings.insecure);
    engine.registries.mirrors.clone_from(&settings.mirrors);
    if !settings.certificates.is_empty() {
        let certificates = &mut engine.registries.certificates;
        certificates.clone_from(&settings.certificates);
    }
    let defaults = &mut engine.defaults;
    defaults.log.clone_from(&settings.log);
    defaults.boot_deadline = settings.boot_deadline;
    defaults.call_deadline = defaults.call_deadline.max(settings.boot_deadline);
    defaults.memory_mib = settings.memory_mib.unwrap_or(defaults.memory_mib);
    defaults.vcpus = settings.vcpus.unwrap_or(defaults.vcpus);
    if let Some(mib) = settings.scratch_mib {
        defaults.scratch_bytes = mib << 20;
    }
    Ok(engine)
}

/// One line for whoever started this and waits, and a word to the service manager.
fn ready(hosts: &[Host]) {
    for host in hosts {
        tracing::info!(%host, "listening");
    }
    let addresses: Vec<_> = hosts.iter().map(Host::to_string).collect();
    // Whoever closed our output does not want to know.
    let _ = writeln!(std::io::stdout(), "hulld ready: {}", addresses.join(" "));
    announce("READY=1");
}

fn announce(state: &str) {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = notify::send(&socket, state)
    {
        tracing::warn!(%error, state, "tell the service manager");
    }
}
