//! `hull image prune`: removes the images that nobody needs.

use std::io::Write;

use crate::api::Client;
use crate::failure::Failure;
use crate::output::filter::Filter;
use crate::terminal::confirm::confirm;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove all unused images, not just dangling ones
    #[arg(short = 'a', long)]
    all: bool,
    /// Provide filter values (e.g. "until=<timestamp>")
    #[arg(long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short = 'f', long)]
    force: bool,
}

const DANGLING: &str = "WARNING! This will remove all dangling images.";
const ALL: &str =
    "WARNING! This will remove all images without at least one container associated to them.";

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    if !args.force && !confirm(if args.all { ALL } else { DANGLING })? {
        return Ok(0);
    }
    let pruned = super::of_images(client, args.all, &args.filter).await?;
    std::io::stdout().write_all(super::report(&[pruned]).as_bytes())?;
    Ok(0)
}
