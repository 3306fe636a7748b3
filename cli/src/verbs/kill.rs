//! `hull kill`: sends a container's first process a signal.

use bollard::query_parameters::KillContainerOptions;

use super::named::{self, TOGETHER};
use crate::api::Client;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Signal to send to the container
    #[arg(
        short = 's',
        long,
        value_name = "string",
        default_value = "KILL",
        hide_default_value = true
    )]
    signal: String,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    named::each(&args.containers, TOGETHER, |name| async move {
        let options = KillContainerOptions {
            signal: args.signal.clone(),
        };
        client
            .docker()
            .kill_container(&named::container(name)?, Some(options))
            .await?;
        Ok(name.to_owned())
    })
    .await
}
