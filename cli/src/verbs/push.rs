//! `hull push`: an image to a registry.

use std::io::Write;

use super::pull::named;
use crate::accounts::{Accounts, server_of};
use crate::api::{Client, path_escape};
use crate::failure::Failure;
use crate::output::progress;
use crate::spec::platform;
use crate::terminal::stdout_is_terminal;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Push all tags of an image to the repository
    #[arg(short = 'a', long)]
    all_tags: bool,
    /// Push only if the image is for the given platform
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Suppress verbose output
    #[arg(short = 'q', long)]
    quiet: bool,
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let wanted = args.platform.as_deref().filter(|text| !text.is_empty());
    let wanted = wanted.map(platform::json).transpose()?;
    let image = named(&args.name, args.all_tags, args.quiet)?;
    if image.digest().is_some() {
        return Err(Failure::new("cannot push a digest reference"));
    }
    let server = server_of(image.repository().domain());
    let account = Accounts::open()?.get(server)?.header(server);
    let path = format!(
        "/images/{}/push",
        path_escape(&image.repository().to_string())
    );
    let mut query: Vec<_> = image.tag().map(|tag| ("tag", tag)).into_iter().collect();
    query.extend(wanted.iter().map(|json| ("platform", json.as_str())));
    let mut lines = client.transfer(&path, &query, &account).await?;
    if args.quiet {
        progress::show(&mut lines, &mut std::io::sink(), false).await?;
        writeln!(std::io::stdout(), "{}", image)?;
        return Ok(0);
    }
    progress::show(&mut lines, &mut std::io::stdout(), stdout_is_terminal()).await?;
    Ok(0)
}
