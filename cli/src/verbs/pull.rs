//! `hull pull`: an image from a registry. Also what fetches one before a container is made of it,
//! which is told on stderr: stdout is the container's.

use std::io::{IsTerminal, Write};

use hull_images::{Reference, ReferenceError};

use crate::accounts::{Accounts, server_of};
use crate::api::Client;
use crate::failure::Failure;
use crate::output::progress;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Download all tagged images in the repository
    #[arg(short = 'a', long)]
    all_tags: bool,
    /// Set platform if server is multi-platform capable
    #[arg(
        long,
        value_name = "string",
        env = "DOCKER_DEFAULT_PLATFORM",
        hide_env = true
    )]
    platform: Option<String>,
    /// Suppress verbose output
    #[arg(short = 'q', long)]
    quiet: bool,
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: String,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let image = named(&args.name, args.all_tags, args.quiet)?;
    let wanted = Wanted {
        image: &image,
        platform: args.platform.as_deref().filter(|text| !text.is_empty()),
        quiet: args.quiet,
    };
    let stdout = std::io::stdout();
    let terminal = stdout.is_terminal();
    fetch(client, wanted, (&mut { stdout }, terminal)).await?;
    writeln!(std::io::stdout(), "{}", image)?;
    Ok(0)
}

/// The image that is meant, with the default tag unless all are; says so.
pub(super) fn named(name: &str, all: bool, quiet: bool) -> Result<Reference, Failure> {
    let image: Reference = name
        .parse()
        .map_err(|error: ReferenceError| Failure::new(error.to_string()))?;
    if !image.is_name_only() {
        return match all {
            true => Err(Failure::new("tag can't be used with --all-tags/-a")),
            false => Ok(image),
        };
    }
    if all {
        return Ok(image);
    }
    if !quiet {
        writeln!(std::io::stdout(), "Using default tag: latest")?;
    }
    Ok(image.or_latest())
}

pub(super) struct Wanted<'a> {
    pub(super) image: &'a Reference,
    pub(super) platform: Option<&'a str>,
    pub(super) quiet: bool,
}

/// Fetches what a container is to be made of.
pub(super) async fn pull(client: &Client, wanted: Wanted<'_>) -> Result<(), Failure> {
    let stderr = std::io::stderr();
    let terminal = stderr.is_terminal();
    fetch(client, wanted, (&mut { stderr }, terminal)).await
}

async fn fetch(
    client: &Client,
    wanted: Wanted<'_>,
    (out, terminal): (&mut (dyn Write + Send), bool),
) -> Result<(), Failure> {
    let image = wanted.image;
    let server = server_of(image.repository().domain());
    let account = Accounts::open()?.get(server)?.header(server);
    let (name, version) = (image.repository().to_string(), image.version());
    let mut query = vec![("fromImage", name.as_str())];
    if !image.is_name_only() {
        query.push(("tag", &version));
    }
    query.extend(wanted.platform.map(|platform| ("platform", platform)));
    let mut lines = client.transfer("/images/create", &query, &account).await?;
    match wanted.quiet {
        true => progress::show(&mut lines, &mut std::io::sink(), false).await,
        false => progress::show(&mut lines, out, terminal).await,
    }
}
