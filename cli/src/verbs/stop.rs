//! `hull stop`: asks a container to end, and makes it after a while.

use bollard::query_parameters::StopContainerOptions;

use super::named::{self, TOGETHER};
use crate::api::Client;
use crate::failure::Failure;
use crate::spec::units::int;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) how: How,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// How a container is made to stop, also before it is started again.
#[derive(Debug, clap::Args)]
pub(crate) struct How {
    /// Signal to send to the container
    #[arg(short = 's', long, value_name = "string")]
    pub(super) signal: Option<String>,
    /// Seconds to wait before killing the container
    #[arg(short = 't', long, value_name = "int", value_parser = int, alias = "time")]
    timeout: Option<i64>,
}

impl How {
    pub(super) fn seconds(&self) -> Option<i32> {
        self.timeout
            .map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX))
    }
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let options = StopContainerOptions {
        signal: args.how.signal.clone(),
        t: args.how.seconds(),
    };
    named::each(&args.containers, TOGETHER, |name| {
        let options = options.clone();
        async move {
            client
                .docker()
                .stop_container(&named::container(name)?, Some(options))
                .await?;
            Ok(name.to_owned())
        }
    })
    .await
}
