//! `hull system prune`: removes all that nobody needs, kind by kind.

use std::collections::HashMap;
use std::io::Write;

use bollard::models::{BuildPruneResponse, NetworkPruneResponse, VolumePruneResponse};
use bollard::query_parameters::{PruneBuildOptions, PruneNetworksOptions, PruneVolumesOptions};

use super::Pruned;
use crate::api::{Client, Error};
use crate::failure::Failure;
use crate::output::filter::{self, Filter};
use crate::terminal::confirm::confirm;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove all unused images not just dangling ones
    #[arg(short = 'a', long)]
    all: bool,
    /// Provide filter values (e.g. "label=<key>=<value>")
    #[arg(long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short = 'f', long)]
    force: bool,
    /// Prune anonymous volumes
    #[arg(long)]
    volumes: bool,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    if args.volumes && args.filter.iter().any(|filter| filter.is("until")) {
        return Err(Failure::new(
            "ERROR: The \"until\" filter is not supported with \"--volumes\"",
        ));
    }
    if !args.force && !confirm(&warning(args))? {
        return Ok(0);
    }
    let filters = filter::by_key(&args.filter);
    let mut all = vec![
        super::of_containers(client, &args.filter).await?,
        of_networks(client, filters.clone()).await?,
    ];
    if args.volumes {
        all.push(of_volumes(client, filters.clone()).await?);
    }
    all.push(super::of_images(client, args.all, &args.filter).await?);
    all.push(of_build_cache(client, args.all, filters).await?);
    std::io::stdout().write_all(super::report(&all).as_bytes())?;
    Ok(0)
}

/// What is going to be gone, and what is spared.
fn warning(args: &Args) -> String {
    let mut lines = vec![
        "all stopped containers",
        "all networks not used by at least one container",
    ];
    lines.extend(
        args.volumes
            .then_some("all anonymous volumes not used by at least one container"),
    );
    lines.extend(match args.all {
        true => [
            "all images without at least one container associated to them",
            "all build cache",
        ],
        false => ["all dangling images", "unused build cache"],
    });
    let mut text = String::from("WARNING! This will remove:\n");
    text.extend(lines.iter().map(|line| format!("  - {line}\n")));
    if !args.filter.is_empty() {
        let mut filters: Vec<String> = args.filter.iter().map(ToString::to_string).collect();
        filters.sort();
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        text.extend(filters.iter().map(|filter| format!("  - {filter}\n")));
    }
    text
}

type Filters = Option<HashMap<String, Vec<String>>>;

async fn of_networks(client: &Client, filters: Filters) -> Result<Pruned, Error> {
    let options = PruneNetworksOptions { filters };
    let answer: NetworkPruneResponse = client.docker().prune_networks(Some(options)).await?;
    let gone = answer.networks_deleted.unwrap_or_default();
    Ok(Pruned::new("Deleted Networks", gone.into_iter(), 0))
}

async fn of_volumes(client: &Client, filters: Filters) -> Result<Pruned, Error> {
    let options = PruneVolumesOptions { filters };
    let answer: VolumePruneResponse = client.docker().prune_volumes(Some(options)).await?;
    let gone = answer.volumes_deleted.unwrap_or_default();
    let reclaimed = answer.space_reclaimed.unwrap_or_default();
    Ok(Pruned::new("Deleted Volumes", gone.into_iter(), reclaimed))
}

async fn of_build_cache(client: &Client, all: bool, filters: Filters) -> Result<Pruned, Error> {
    let options = PruneBuildOptions {
        all: Some(all),
        filters,
        ..PruneBuildOptions::default()
    };
    let answer: BuildPruneResponse = client.docker().prune_build(Some(options)).await?;
    let gone = answer.caches_deleted.unwrap_or_default();
    let reclaimed = answer.space_reclaimed.unwrap_or_default();
    Ok(Pruned::new(
        "Deleted build cache objects",
        gone.into_iter(),
        reclaimed,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(all: bool, volumes: bool, filters: &[&str]) -> Args {
        Args {
            all,
            volumes,
            force: false,
            filter: filters.iter().map(|f| f.parse().expect(f)).collect(),
        }
    }

    #[test]
    fn the_warning_names_every_kind_and_what_is_spared() {
        assert_eq!(
            warning(&args(false, false, &[])),
            "WARNING! This will remove:\n  - all stopped containers\n\
             \x20 - all networks not used by at least one container\n  - all dangling images\n\
             \x20 - unused build cache\n"
        );
        assert_eq!(
            warning(&args(true, true, &["until=24h", "label=x"])),
            "WARNING! This will remove:\n  - all stopped containers\n\
             \x20 - all networks not used by at least one container\n\
             \x20 - all anonymous volumes not used by at least one container\n\
             \x20 - all images without at least one container associated to them\n\
             \x20 - all build cache\n\n  Items to be pruned will be filtered with:\n\
             \x20 - label=x\n  - until=24h\n"
        );
    }
}
