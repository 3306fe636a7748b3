//! `hull rm`: removes containers.

use bollard::query_parameters::RemoveContainerOptions;

use super::named::{self, FORCED, TOGETHER};
use crate::api::Client;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(short = 'f', long)]
    force: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(short = 'v', long)]
    volumes: bool,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let manner = if args.force { FORCED } else { TOGETHER };
    named::each(&args.containers, manner, |name| async move {
        let options = RemoveContainerOptions {
            force: args.force,
            v: args.volumes,
            link: false,
        };
        client
            .docker()
            .remove_container(&named::container(name)?, Some(options))
            .await?;
        Ok(name.to_owned())
    })
    .await
}
