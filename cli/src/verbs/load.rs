//! `hull load`: images from an archive.

use std::io;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::api::{Client, JsonLines};
use crate::failure::Failure;
use crate::output::progress;
use crate::spec::{platform, system_reason};
use crate::terminal::{stdin_is_terminal, stdout_is_terminal};

const CHUNK: usize = 256 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read from tar archive file, instead of STDIN
    #[arg(short = 'i', long, value_name = "string")]
    input: Option<PathBuf>,
    /// Load only the given platform variant
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Suppress the load output
    #[arg(short = 'q', long)]
    quiet: bool,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let quiet = args.quiet || !stdout_is_terminal();
    let mut query = vec![("quiet", if quiet { "1" } else { "0" })];
    let platform = args.platform.as_deref().map(platform::json).transpose()?;
    query.extend(platform.iter().map(|json| ("platform", json.as_str())));
    let mut lines = match &args.input {
        Some(path) => post(client, &query, open(path).await?).await?,
        None if stdin_is_terminal() => {
            return Err(Failure::new(
                "requested load from stdin, but stdin is empty",
            ));
        }
        None => post(client, &query, tokio::io::stdin()).await?,
    };
    progress::show(&mut lines, &mut io::stdout(), stdout_is_terminal()).await?;
    Ok(0)
}

async fn post(
    client: &Client,
    query: &[(&str, &str)],
    archive: impl AsyncRead + Send + Unpin + 'static,
) -> Result<JsonLines, Failure> {
    let body = StreamBody::new(chunks(archive).map_ok(Frame::data));
    Ok(client
        .post_lines("/images/load", query, "application/x-tar", body)
        .await?)
}

/// A file to send; the complaint is worded as Docker's.
pub(super) async fn open(path: &PathBuf) -> Result<tokio::fs::File, Failure> {
    tokio::fs::File::open(path).await.map_err(|error| {
        Failure::new(format!(
            "open {}: {}",
            path.display(),
            system_reason(&error)
        ))
    })
}

/// The bytes of a reader, in pieces.
pub(in crate::verbs) fn chunks(
    reader: impl AsyncRead + Send + Unpin + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(reader, |mut reader| async move {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        match reader.read_buf(&mut buffer).await? {
            0 => Ok(None),
            _ => Ok(Some((buffer.freeze(), reader))),
        }
    })
}
