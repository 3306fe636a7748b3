//! `hull import`: a file system's archive becomes an image.

use std::path::PathBuf;

use futures_util::TryStreamExt;
use http_body_util::{Empty, StreamBody};
use hyper::body::Frame;
use tokio::io::AsyncRead;

use super::load::{chunks, open};
use hull_images::Reference;

use crate::api::{Client, JsonLines};
use crate::failure::Failure;
use crate::output::progress;
use crate::terminal::stdout_is_terminal;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apply Dockerfile instruction to the created image
    #[arg(short = 'c', long, value_name = "list")]
    change: Vec<String>,
    /// Set commit message for imported image
    #[arg(short = 'm', long, value_name = "string")]
    message: Option<String>,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    #[arg(value_name = "file|URL|-")]
    source: String,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    if let Some(name) = &args.name {
        name.parse::<Reference>()
            .map_err(|error| Failure::new(error.to_string()))?;
    }
    let far = args.source.starts_with("http://") || args.source.starts_with("https://");
    let mut query = vec![("fromSrc", if far { args.source.as_str() } else { "-" })];
    query.extend(args.name.as_deref().map(|name| ("repo", name)));
    query.extend(args.message.as_deref().map(|message| ("message", message)));
    query.extend(
        args.platform
            .as_deref()
            .map(|platform| ("platform", platform)),
    );
    query.extend(
        args.change
            .iter()
            .map(|change| ("changes", change.as_str())),
    );
    let mut lines = match args.source.as_str() {
        "-" => post(client, &query, tokio::io::stdin()).await?,
        _ if far => {
            client
                .post_lines("/images/create", &query, "text/plain", Empty::new())
                .await?
        }
        path => post(client, &query, open(&PathBuf::from(path)).await?).await?,
    };
    progress::show(&mut lines, &mut std::io::stdout(), stdout_is_terminal()).await?;
    Ok(0)
}

async fn post(
    client: &Client,
    query: &[(&str, &str)],
    archive: impl AsyncRead + Send + Unpin + 'static,
) -> Result<JsonLines, Failure> {
    let body = StreamBody::new(chunks(archive).map_ok(Frame::data));
    Ok(client
        .post_lines("/images/create", query, "text/plain", body)
        .await?)
}
