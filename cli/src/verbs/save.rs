//! `hull save`: images as an archive.

use std::path::PathBuf;

use crate::api::{Chunks, Client};
use crate::failure::Failure;
use crate::output::archive::Output;
use crate::spec::platform;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write to a file, instead of STDOUT
    #[arg(short = 'o', long, value_name = "string")]
    output: Option<PathBuf>,
    /// Save only the given platform variant
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let output = args.output.as_deref().filter(|path| *path != "");
    let output = Output::check(output, "failed to save image")?;
    let mut query: Vec<(&str, &str)> = Vec::new();
    query.extend(args.images.iter().map(|name| ("names", name.as_str())));
    let platform = args.platform.as_deref().map(platform::json).transpose()?;
    query.extend(platform.iter().map(|json| ("platform", json.as_str())));
    let answer = client.stream("/images/get", &query).await?;
    output.write(Chunks::Body(answer.into_body())).await?;
    Ok(0)
}
