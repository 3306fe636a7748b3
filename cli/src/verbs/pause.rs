//! `hull pause` and `hull unpause`: stop a container's processors, and let them go on.

use super::named::{self, TOGETHER};
use crate::api::Client;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    Pause,
    Unpause,
}

pub(crate) async fn run(args: &Args, turn: Turn, client: &Client) -> Result<u8, Failure> {
    named::each(&args.containers, TOGETHER, |name| async move {
        let container = named::container(name)?;
        match turn {
            Turn::Pause => client.docker().pause_container(&container).await?,
            Turn::Unpause => client.docker().unpause_container(&container).await?,
        }
        Ok(name.to_owned())
    })
    .await
}
