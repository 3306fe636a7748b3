//! `hull rename`: gives a container another name.

use bollard::query_parameters::RenameContainerOptions;

use super::named;
use crate::api::{Client, Error};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "CONTAINER")]
    container: String,
    #[arg(value_name = "NEW_NAME")]
    new_name: String,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let name = args.new_name.trim();
    if name.is_empty() || args.container.trim().is_empty() {
        return Err(Failure::new(
            "Error: Neither old nor new names may be empty",
        ));
    }
    let renamed = async {
        let options = RenameContainerOptions {
            name: name.to_owned(),
        };
        client
            .docker()
            .rename_container(&named::container(&args.container)?, options)
            .await?;
        Ok::<_, Error>(())
    };
    match renamed.await {
        Ok(()) => Ok(0),
        Err(error) => Err(Failure::new(format!(
            "{error}\nError: failed to rename container named {}",
            args.container
        ))),
    }
}
