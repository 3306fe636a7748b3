//! `hull export`: all files of a container as an archive.

use std::path::PathBuf;

use super::named;
use crate::api::{Chunks, Client, path_escape};
use crate::failure::Failure;
use crate::output::archive::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write to a file, instead of STDOUT
    #[arg(short = 'o', long, value_name = "string")]
    output: Option<PathBuf>,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let path = args.output.as_deref().filter(|path| *path != "");
    let output = Output::check(path, "failed to export container")?;
    let container = named::container(&args.container)?;
    let url = format!("/containers/{}/export", path_escape(&container));
    let answer = client.stream(&url, &[]).await?;
    output.write(Chunks::Body(answer.into_body())).await?;
    Ok(0)
}
