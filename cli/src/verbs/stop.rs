//! `hull stop` and `hull restart`: ask a container to end and make it after a while, and start it
//! again.

use bollard::query_parameters::{RestartContainerOptions, StopContainerOptions};

use super::named::{self, TOGETHER};
use crate::api::Client;
use crate::failure::Failure;
use crate::spec::units::int;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    how: How,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// How a container is made to stop.
#[derive(Debug, clap::Args)]
struct How {
    /// Signal to send to the container
    #[arg(short = 's', long, value_name = "string")]
    signal: Option<String>,
    /// Seconds to wait before killing the container
    #[arg(short = 't', long, value_name = "int", value_parser = int, alias = "time")]
    timeout: Option<i64>,
}

/// What comes then.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    Rest,
    StartAgain,
}

pub(crate) async fn run(args: &Args, then: Then, client: &Client) -> Result<u8, Failure> {
    let signal = &args.how.signal;
    let seconds = args.how.timeout;
    let t = seconds.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
    named::each(&args.containers, TOGETHER, |name| async move {
        let (container, signal) = (named::container(name)?, signal.clone());
        match then {
            Then::Rest => {
                let options = StopContainerOptions { signal, t };
                let stopping = client.docker().stop_container(&container, Some(options));
                stopping.await?;
            }
            Then::StartAgain => {
                let options = RestartContainerOptions { signal, t };
                let restarting = client.docker().restart_container(&container, Some(options));
                restarting.await?;
            }
        }
        Ok(name.to_owned())
    })
    .await
}
