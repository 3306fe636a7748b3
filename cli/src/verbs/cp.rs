//! `hull cp`: files between a container and this host.

use std::io::{self, Read, Write};
use std::path::Path;

use bytes::{Buf, Bytes};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::api::{Chunks, Client, Error, path_escape, path_stat};
use crate::copy::pack::pack;
use crate::copy::place::{Place, split};
use crate::copy::plan::{There, plan};
use crate::copy::unpack::{Warnings, unpack};
use crate::failure::Failure;
use crate::output::archive::copy;
use crate::output::size;
use crate::spec::system_reason;
use crate::terminal::stdout_is_terminal;
use crate::verbs::load::chunks;

/// How many pieces of an archive wait for the other side.
const WAITING: usize = 4;
const PIECE: usize = 64 << 10;
const GO_FOLDER: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Archive mode (copy all uid/gid information)
    #[arg(short = 'a', long)]
    archive: bool,
    /// Always follow symbol link in SRC_PATH
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached
    #[arg(short = 'q', long)]
    quiet: bool,
    #[arg(value_name = "CONTAINER:SRC_PATH|SRC_PATH|-")]
    source: String,
    #[arg(value_name = "DEST_PATH|-|CONTAINER:DEST_PATH")]
    target: String,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let (source, target) = (Place::parse(&args.source), Place::parse(&args.target));
    if source.is_empty() {
        return Err(Failure::new("source can not be empty"));
    }
    if target.is_empty() {
        return Err(Failure::new("destination can not be empty"));
    }
    let copied = match (&source, &target) {
        (Place::There { container, path }, Place::Here(here)) => {
            out(args, client, (container, path), here).await?
        }
        (Place::Here(here), Place::There { container, path }) => {
            into(args, client, here, (container, path)).await?
        }
        (Place::There { .. }, Place::There { .. }) => {
            return Err(Failure::new("copying between containers is not supported"));
        }
        (Place::Here(_), Place::Here(_)) => {
            return Err(Failure::new("must specify at least one container source"));
        }
    };
    if !args.quiet && stdout_is_terminal() && args.target != "-" {
        let copied = size::short(i64::try_from(copied).unwrap_or(i64::MAX));
        eprintln!("Successfully copied {copied} to {}", args.target);
    }
    Ok(0)
}

/// What is at a path of a container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stat {
    name: String,
    mode: u32,
    link_target: String,
}

impl Stat {
    fn kind(&self) -> There {
        match self.mode & GO_FOLDER {
            0 => There::File,
            _ => There::Folder,
        }
    }

    fn is_link(&self) -> bool {
        self.mode & GO_LINK != 0
    }
}

type InContainer<'a> = (&'a str, &'a str);

async fn out(
    args: &Args,
    client: &Client,
    (container, path): InContainer<'_>,
    here: &str,
) -> Result<u64, Failure> {
    let mut path = path.to_owned();
    let mut rename = None;
    if args.follow_link
        && let Ok(stat) = stat(client, container, &path).await
        && stat.is_link()
    {
        rename = Some(split(&path).1);
        path = stat.link_target;
    }
    let url = url(container);
    let response = client.stream(&url, &[("path", &path)]).await?;
    let stat: Stat = path_stat(&response)?;
    let archive = Chunks::Body(response.into_body());
    if here == "-" {
        return copy(archive, &mut io::stdout().lock()).await;
    }
    let there = look(here)?;
    let mut plan = plan(stat.kind(), there, here).map_err(Failure::new)?;
    if plan.rename.is_none() && stat.name != "." && stat.name != "/" {
        plan.rename = rename;
    }
    let (sender, pieces) = mpsc::channel(WAITING);
    let folder = plan.folder.clone();
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut reader = Pieces {
            pieces,
            current: Bytes::new(),
            total: 0,
        };
        let unpacked = unpack(&mut reader, Path::new(&folder), plan.rename.as_deref());
        // To its end: what is left is the padding that tar readers do not ask for.
        let drained = io::copy(&mut reader, &mut io::sink());
        (unpacked.and_then(|w| drained.map(|_| w)), reader.total)
    });
    feed(archive, &sender).await;
    drop(sender);
    let (unpacked, total) = unpacking.await.map_err(|e| Failure::new(e.to_string()))?;
    let warnings: Warnings = unpacked.map_err(|e| Failure::new(e.to_string()))?;
    for warning in warnings {
        eprintln!("{warning}");
    }
    Ok(total)
}

/// Sends what comes; a failure as the last piece.
async fn feed(mut archive: Chunks, sender: &mpsc::Sender<Result<Bytes, Error>>) {
    loop {
        let piece = match archive.next().await {
            Ok(Some(piece)) => Ok(piece),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let last = piece.is_err();
        // Who has failed to unpack reads no more.
        if sender.send(piece).await.is_err() || last {
            return;
        }
    }
}

async fn into(
    args: &Args,
    client: &Client,
    here: &str,
    (container, path): InContainer<'_>,
) -> Result<u64, Failure> {
    let mut target = path.to_owned();
    let mut found = stat(client, container, &target).await.ok();
    if let Some(link) = found.as_ref().filter(|stat| stat.is_link()) {
        target = link.link_target.clone();
        found = Some(stat(client, container, &target).await?);
    }
    let there = found.as_ref().map_or(There::Nothing, Stat::kind);
    let archive = if args.archive { "true" } else { "false" };
    let mut query = vec![("copyUIDGID", archive), ("noOverwriteDirNonDir", "true")];
    if here == "-" {
        if there != There::Folder {
            return Err(Failure::new(format!(
                "destination \"{container}:{path}\" must be a directory"
            )));
        }
        query.push(("path", &target));
        let body = StreamBody::new(futures_util::TryStreamExt::map_ok(
            chunks(tokio::io::stdin()),
            Frame::data,
        ));
        client.put(&url(container), &query, body).await?;
        return Ok(0);
    }
    let lstat = |path: &str| {
        let reason = |e: &io::Error| format!("lstat {path}: {}", system_reason(e));
        let found = match args.follow_link || path.ends_with('/') {
            true => std::fs::metadata(path),
            false => std::fs::symlink_metadata(path),
        };
        found.map_err(|e| Failure::new(reason(&e)))
    };
    let kind = match lstat(here)?.is_dir() {
        true => There::Folder,
        false => There::File,
    };
    let plan = plan(kind, there, &target).map_err(Failure::new)?;
    let (_, base) = split(here);
    let name = plan.rename.unwrap_or(base);
    query.push(("path", &plan.folder));
    let source = match args.follow_link {
        true => std::fs::canonicalize(here).map_err(|e| Failure::new(system_reason(&e)))?,
        false => here.into(),
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let packing = tokio::task::spawn_blocking(move || {
        let mut out = Sender {
            pieces: sender,
            buffer: Vec::with_capacity(PIECE),
            total: 0,
        };
        let packed = pack(&source, &name, &mut out);
        if let Err(error) = &packed
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            // The daemon must not take what there is for all of it.
            let error = io::Error::new(error.kind(), error.to_string());
            let _ = out.pieces.blocking_send(Err(error));
        }
        packed.map(|()| out.total)
    });
    let body = StreamBody::new(stream::unfold(receiver, |mut receiver| async move {
        let piece: io::Result<Bytes> = receiver.recv().await?;
        Some((piece.map(Frame::data), receiver))
    }));
    let sent = client.put(&url(container), &query, body).await;
    let packed = packing.await.map_err(|e| Failure::new(e.to_string()))?;
    match (sent, packed) {
        // A file here that could not be read is why the daemon got no whole archive.
        (_, Err(local)) if local.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(local.to_string()))
        }
        // And a daemon that has refused it is why nobody listened any more.
        (Err(error), _) => Err(error.into()),
        (Ok(()), packed) => packed.map_err(|local| Failure::new(local.to_string())),
    }
}

fn url(container: &str) -> String {
    format!("/containers/{}/archive", path_escape(container))
}

async fn stat(client: &Client, container: &str, path: &str) -> Result<Stat, Error> {
    client.stat(&url(container), &[("path", path)]).await
}

/// What is at the destination here. What is not there must have a folder to be in.
fn look(path: &str) -> Result<There, Failure> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(There::Folder),
        Ok(metadata) if metadata.is_file() => Ok(There::File),
        Ok(_) => Err(Failure::new(format!(
            "invalid output path: {path:?} must be a directory or a regular file"
        ))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let (folder, _) = split(path);
            match std::fs::metadata(&folder) {
                Ok(_) => Ok(There::Nothing),
                Err(_) => Err(Failure::new(format!(
                    "invalid output path: directory {folder:?} does not exist"
                ))),
            }
        }
        Err(e) => Err(Failure::new(format!("lstat {path}: {}", system_reason(&e)))),
    }
}

/// Pieces of an archive for a reader that blocks.
struct Pieces {
    pieces: mpsc::Receiver<Result<Bytes, Error>>,
    current: Bytes,
    total: u64,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece.map_err(|e| io::Error::other(e.to_string()))?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        self.total += count as u64;
        Ok(count)
    }
}

/// Sends an archive in pieces from a writer that blocks.
struct Sender {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
    total: u64,
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        self.total += count as u64;
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        let sent = self.pieces.blocking_send(Ok(full.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
