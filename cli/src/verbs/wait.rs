//! `hull wait`: blocks until containers stop and prints their statuses.

use super::named::{self, ONE_BY_ONE};
use crate::api::{Client, WaitFor};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    named::each(&args.containers, ONE_BY_ONE, |name| async move {
        let waiting = client
            .wait(&named::container(name)?, WaitFor::NotRunning)
            .await?;
        Ok(waiting.exit().await?.status.to_string())
    })
    .await
}
