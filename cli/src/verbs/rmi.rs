//! `hull rmi`: removes images, or just their names.

use std::io::Write;

use bollard::query_parameters::RemoveImageOptions;

use super::named;
use crate::api::{Client, Error};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Force removal of the image
    #[arg(short = 'f', long)]
    force: bool,
    /// Do not delete untagged parents
    #[arg(long)]
    no_prune: bool,
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// One after the other: what one removes the next may need to be gone. With `--force`, images
/// that are not there are told but are no failure.
pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let mut status = 0;
    for image in &args.images {
        match remove(args, client, image).await {
            Ok(lines) => {
                for line in lines {
                    writeln!(std::io::stdout(), "{line}")?;
                }
            }
            Err(error) if error.is_unreachable() => return Err(error.into()),
            Err(error) => {
                if !(args.force && error.is_not_found()) {
                    status = 1;
                }
                writeln!(std::io::stderr(), "{error}")?;
            }
        }
    }
    Ok(status)
}

async fn remove(args: &Args, client: &Client, image: &str) -> Result<Vec<String>, Error> {
    let options = RemoveImageOptions {
        force: args.force,
        noprune: args.no_prune,
    };
    let name = named::image(image)?;
    let removed = client
        .docker()
        .remove_image(&name, Some(options), None)
        .await?;
    let line = |item: bollard::models::ImageDeleteResponseItem| match (item.untagged, item.deleted)
    {
        (_, Some(deleted)) => format!("Deleted: {deleted}"),
        (untagged, None) => format!("Untagged: {}", untagged.unwrap_or_default()),
    };
    Ok(removed.into_iter().map(line).collect())
}
