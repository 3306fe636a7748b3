//! `hull restart`: stops a container and starts it again.

use bollard::query_parameters::RestartContainerOptions;

use super::named::{self, TOGETHER};
use super::stop::How;
use crate::api::Client;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    how: How,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let options = RestartContainerOptions {
        signal: args.how.signal.clone(),
        t: args.how.seconds(),
    };
    named::each(&args.containers, TOGETHER, |name| {
        let options = options.clone();
        async move {
            client
                .docker()
                .restart_container(&named::container(name)?, Some(options))
                .await?;
            Ok(name.to_owned())
        }
    })
    .await
}
