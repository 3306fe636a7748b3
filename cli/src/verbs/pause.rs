//! `hull pause`: stops a container's processors.

use super::named::{self, TOGETHER};
use crate::api::Client;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    named::each(&args.containers, TOGETHER, |name| async move {
        client
            .docker()
            .pause_container(&named::container(name)?)
            .await?;
        Ok(name.to_owned())
    })
    .await
}
