//! `hull system df`: what takes space on disk.

mod summary;
mod verbose;

use std::io::Write;

use bollard::query_parameters::DataUsageOptions;

use crate::api::{Client, Error};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Show detailed information on space usage
    #[arg(short = 'v', long)]
    verbose: bool,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let format = args.format.as_deref();
    let usage = client.docker().df(None::<DataUsageOptions>).await;
    let usage = usage.map_err(Error::from)?;
    let text = match args.verbose {
        true => verbose::render(&usage, format)?,
        false => summary::render(&usage, format)?,
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}
