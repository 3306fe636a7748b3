//! From the guest's output to the log and the clients.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hull_protocol::agent::ProcessId;
use hull_protocol::stream::Output;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Console;
use super::client::{Client, Patience};
use crate::agent::AgentFailure;
use crate::agent::stream::{OutputStream, Record};
use crate::api::StdStream;
use crate::log::Shelf;

/// How long to wait before another connection; the VM's end cuts the wait short.
const RETRY: Duration = Duration::from_millis(100);

/// Reads a container's output to its end, whatever becomes of the connection. `ended` turns true
/// when the process has ended: from then on no client holds the rest back.
pub(crate) async fn pump(console: &Console, socket: &Path, ended: watch::Receiver<bool>) {
    let process = ProcessId::init();
    let mut packer = Packer::default();
    loop {
        match pump_once(console, socket, &process, (&ended, &mut packer)).await {
            Ok(()) => return packer.finish().await,
            Err(e) if e.is_transport() => {
                tracing::debug!(error = %e, "the output of a container was lost");
            }
            Err(error) => {
                tracing::warn!(%error, "the output of a container cannot be read");
                return;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn pump_once(
    console: &Console,
    socket: &Path,
    process: &ProcessId,
    (ended, packer): (&watch::Receiver<bool>, &mut Packer),
) -> Result<(), AgentFailure> {
    let from = match &console.stage.lock().await.writer {
        Some(writer) => writer.resume_at(),
        None => return Ok(()),
    };
    let mut output = OutputStream::open(socket, process, from).await?;
    loop {
        let records = output.records().await?;
        let (fresh, audience, stored, full) = {
            let mut stage = console.stage.lock().await;
            let audience = stage.audience.clone();
            let Some(writer) = stage.writer.as_mut() else {
                return Ok(());
            };
            let (fresh, written) = writer.append(&records);
            if let Err(error) = written {
                tracing::warn!(%error, container = %console.id(), "output is not logged");
            }
            console.wrote(writer.length());
            (fresh, audience, writer.resume_at(), writer.take_full())
        };
        output.acknowledge(stored).await?;
        for record in fresh {
            let patience = patience(ended);
            if let Some(stream) = stream_of(&record) {
                audience.show(stream, &record.bytes, patience).await;
            }
        }
        if let Some(shelf) = full {
            packer.pack(shelf).await;
        }
        if records.iter().any(|r| r.output == Output::End) {
            return Ok(());
        }
    }
}

/// Compresses what is full of a log while the rest is written. Whoever fills files faster than
/// they are compressed waits, lest the disk fill with them.
#[derive(Default)]
struct Packer(Option<JoinHandle<()>>);

impl Packer {
    async fn pack(&mut self, shelf: Arc<Shelf>) {
        self.finish().await;
        self.0 = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = shelf.pack() {
                tracing::warn!(%error, log = %shelf.current().display(), "a log is not compressed");
            }
        }));
    }

    async fn finish(&mut self) {
        if let Some(work) = self.0.take()
            && let Err(error) = work.await
        {
            tracing::error!(%error, "compressing a log failed");
        }
    }
}

/// Where the output of an exec goes.
pub(crate) enum Sink {
    /// To this client while it listens.
    Client(Client),
    /// Nowhere.
    Nowhere,
}

/// Reads the output of an exec to its end, from an offset on. `note` is told an offset before it
/// is acknowledged, so that who goes on later never asks for what the agent has dropped. The sink
/// stays the caller's: a client that sees its end asks for the exit code at once.
pub(crate) async fn drain(
    socket: &Path,
    process: &ProcessId,
    sink: &Sink,
    ended: watch::Receiver<bool>,
    (mut from, note): (u64, impl Fn(u64)),
) {
    loop {
        match drain_once(socket, process, sink, &ended, (&mut from, &note)).await {
            Ok(()) => return,
            Err(e) if e.is_transport() => {}
            Err(error) => {
                tracing::debug!(%error, %process, "the output of an exec cannot be read");
                return;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn drain_once(
    socket: &Path,
    process: &ProcessId,
    sink: &Sink,
    ended: &watch::Receiver<bool>,
    (from, note): (&mut u64, &impl Fn(u64)),
) -> Result<(), AgentFailure> {
    let mut output = OutputStream::open(socket, process, *from).await?;
    loop {
        let records = output.records().await?;
        for record in &records {
            if record.output == Output::End {
                return Ok(());
            }
            let known = usize::try_from(from.saturating_sub(record.offset)).unwrap_or(usize::MAX);
            let fresh = record.bytes.slice(known.min(record.bytes.len())..);
            *from = record.end().max(*from);
            if let (Sink::Client(client), Some(stream)) = (sink, stream_of(record)) {
                client.show(stream, &fresh, patience(ended)).await;
            }
        }
        note(*from);
        output.acknowledge(*from).await?;
    }
}

fn patience(ended: &watch::Receiver<bool>) -> Patience {
    match *ended.borrow() {
        true => Patience::Queue,
        false => Patience::Wait,
    }
}

fn stream_of(record: &Record) -> Option<StdStream> {
    match record.output {
        Output::Stdout => Some(StdStream::Stdout),
        Output::Stderr => Some(StdStream::Stderr),
        Output::End => None,
    }
}
