//! A container's stdio on the host: its log, the clients that watch, and what they type.
//!
//! ```text
//!  guest output ──pump──► log file ──► acknowledged
//!                   └───► clients (bounded: a slow one holds the process back, as a terminal does)
//!  clients' input ──queue──► guest stdin
//! ```
//!
//! It outlives the runs of the container: a client may attach before the start.

mod client;
mod input;
mod pump;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use client::{Audience, Prelude, client_pair};
pub(crate) use input::{AtEnd, DetachScan, Typed, feed, relay};
pub(crate) use pump::{Sink, drain, pump};

use crate::api::{LogLine, LogLines, LogOptions, OutputFrame, StdStream, Tail};
use crate::error::EngineError;
use crate::id::ContainerId;
use crate::log::{Attributes, Log, LogReader, LogWriter, Run, Selection, Shelf};

/// How many pieces of input wait for a guest.
const INPUT_QUEUE: usize = 16;
/// How many batches of lines are read ahead of a client, and how much text one has, unless one line
/// is longer.
const READ_AHEAD: usize = 2;
const BATCH: usize = 64 << 10;

/// How far a log is written, and whether more may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of whole lines.
    pub(crate) length: u64,
    /// Whether a run is under way.
    pub(crate) live: bool,
    /// Which: whoever follows one run does not go on into the next, however soon it comes.
    pub(crate) run: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Console {
    id: ContainerId,
    log: Log,
    /// Clients and the log's writer change together, so that a replay has no gap.
    pub(crate) stage: Mutex<Stage>,
    progress: watch::Sender<Progress>,
    input: mpsc::Sender<Typed>,
    /// Taken by the run's feeder while there is one.
    pub(crate) typed: Arc<Mutex<mpsc::Receiver<Typed>>>,
}

/// Who is attached, and what is being written.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) writer: Option<LogWriter>,
    pub(crate) audience: Audience,
}

impl Console {
    pub(crate) fn new(id: ContainerId, log: Log) -> Self {
        let length = log.end().unwrap_or_else(|error| {
            tracing::error!(container = %id, %error, "the length of a log is not known");
            0
        });
        let (input, typed) = mpsc::channel(INPUT_QUEUE);
        Self {
            id,
            log,
            stage: Mutex::default(),
            progress: watch::Sender::new(Progress {
                length,
                live: false,
                run: 0,
            }),
            input,
            typed: Arc::new(Mutex::new(typed)),
        }
    }

    pub(crate) fn id(&self) -> &ContainerId {
        &self.id
    }

    pub(crate) fn input(&self) -> mpsc::Sender<Typed> {
        self.input.clone()
    }

    /// Where a new run's lines will begin.
    pub(crate) fn length(&self) -> u64 {
        self.progress.borrow().length
    }

    /// A run begins, or goes on.
    pub(crate) async fn begin(&self, run: Run, attributes: Attributes) -> Result<(), EngineError> {
        let opened = self.log.write(run, attributes);
        let writer = opened.map_err(|e| self.failed(e))?;
        let length = writer.length();
        self.stage.lock().await.writer = Some(writer);
        self.progress.send_modify(|p| {
            *p = Progress {
                length,
                live: true,
                run: p.run + 1,
            };
        });
        Ok(())
    }

    /// A run is over: clients get the end, followers stop.
    pub(crate) async fn finish(&self) {
        let mut stage = self.stage.lock().await;
        stage.writer = None;
        stage.audience.dismiss();
        self.progress.send_modify(|p| p.live = false);
        // What was typed for a process that has ended is not for the next one.
        if let Ok(mut typed) = self.typed.try_lock() {
            while typed.try_recv().is_ok() {}
        }
    }

    pub(crate) fn wrote(&self, length: u64) {
        self.progress.send_modify(|p| p.length = length);
    }

    pub(crate) fn failed(&self, source: std::io::Error) -> EngineError {
        EngineError::Log {
            id: self.id.clone(),
            source,
        }
    }

    /// Sends the lines asked for, until the end or until nobody receives any more.
    pub(crate) fn read(
        &self,
        options: LogOptions,
        closing: CancellationToken,
    ) -> Result<LogLines, EngineError> {
        let Log::Files(shelf) = &self.log else {
            return Err(EngineError::NoLog);
        };
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let (shelf, id, progress) = (shelf.clone(), self.id.clone(), self.progress.subscribe());
        tokio::spawn(async move {
            let work = send_lines(&shelf, progress, options, &sender);
            let result = tokio::select! {
                result = work => result,
                () = closing.cancelled() => Ok(()),
                () = sender.closed() => Ok(()),
            };
            if let Err(source) = result {
                // The receiver may be gone, then nobody wants to know.
                let _ = sender.send(Err(EngineError::Log { id, source })).await;
            }
        });
        Ok(LogLines::new(receiver))
    }

    /// All of the log up to `length`, as it was written, and what was held back of it.
    pub(crate) async fn replay(
        &self,
        length: u64,
        held: impl Iterator<Item = (StdStream, Bytes)>,
        wanted: impl Fn(StdStream) -> bool,
        to: &mpsc::Sender<OutputFrame>,
    ) -> std::io::Result<()> {
        if let (1.., Log::Files(shelf)) = (length, &self.log) {
            let mut reader = LogReader::open(shelf.clone(), length, Tail::All).await?;
            while let Some(line) = reader.next(length).await? {
                let frame = OutputFrame {
                    stream: line.stream,
                    bytes: line.log.into(),
                };
                if wanted(line.stream) && to.send(frame).await.is_err() {
                    return Ok(());
                }
            }
        }
        for (stream, bytes) in held.filter(|(s, b)| wanted(*s) && !b.is_empty()) {
            if to.send(OutputFrame { stream, bytes }).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

async fn send_lines(
    shelf: &Arc<Shelf>,
    mut progress: watch::Receiver<Progress>,
    options: LogOptions,
    sender: &mpsc::Sender<Result<Vec<LogLine>, EngineError>>,
) -> std::io::Result<()> {
    let (follow, tail) = (options.follow, options.tail);
    let selection = Selection(options);
    let mut now = *progress.borrow_and_update();
    let mut reader = LogReader::open(shelf.clone(), now.length, tail).await?;
    let run = now.run;
    loop {
        let (mut batch, mut size) = (Vec::new(), 0);
        loop {
            let line = reader.next(now.length).await?;
            let is_last = line.is_none();
            if let Some(line) = line.filter(|line| selection.wants(line)) {
                let line = selection.shown(line);
                size += line.bytes.len();
                batch.push(line);
            }
            if size >= BATCH || is_last && !batch.is_empty() {
                size = 0;
                if sender.send(Ok(std::mem::take(&mut batch))).await.is_err() {
                    return Ok(());
                }
            }
            if is_last {
                break;
            }
        }
        if !follow || !now.live || now.run != run || progress.changed().await.is_err() {
            return Ok(());
        }
        now = *progress.borrow_and_update();
    }
}
