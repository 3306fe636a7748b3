//! `hull container prune`: removes the containers that do not run.

use std::io::Write;

use crate::api::Client;
use crate::failure::Failure;
use crate::output::filter::Filter;
use crate::terminal::confirm::confirm;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Provide filter values (e.g. "until=<timestamp>")
    #[arg(long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short = 'f', long)]
    force: bool,
}

const WARNING: &str = "WARNING! This will remove all stopped containers.";

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    if !args.force && !confirm(WARNING)? {
        return Ok(0);
    }
    let pruned = super::of_containers(client, &args.filter).await?;
    std::io::stdout().write_all(super::report(&[pruned]).as_bytes())?;
    Ok(0)
}
