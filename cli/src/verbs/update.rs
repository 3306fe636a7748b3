//! `hull update`: changes what containers may use and when they are started again.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use bollard::models::ContainerUpdateBody;

use super::named::{self, TOGETHER};
use crate::api::Client;
use crate::failure::Failure;
use crate::spec::restart;
use crate::spec::units::{NanoCpus, bytes, int};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    changes: Changes,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Changes {
    /// Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)
    #[arg(long, value_name = "uint16")]
    blkio_weight: Option<u16>,
    /// Limit CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int", value_parser = int)]
    cpu_period: Option<i64>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int", value_parser = int)]
    cpu_quota: Option<i64>,
    /// CPU shares (relative weight)
    #[arg(short = 'c', long, value_name = "int", value_parser = int)]
    cpu_shares: Option<i64>,
    /// Number of CPUs
    #[arg(long, value_name = "decimal")]
    cpus: Option<NanoCpus>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_mems: Option<String>,
    /// Memory limit
    #[arg(short = 'm', long, value_name = "bytes", value_parser = bytes)]
    memory: Option<i64>,
    /// Memory soft limit
    #[arg(long, value_name = "bytes", value_parser = bytes)]
    memory_reservation: Option<i64>,
    /// Swap limit equal to memory plus swap: -1 to enable unlimited swap
    #[arg(long, value_name = "bytes", value_parser = bytes)]
    memory_swap: Option<i64>,
    /// Tune container pids limit (set -1 for unlimited)
    #[arg(long, value_name = "int", value_parser = int)]
    pids_limit: Option<i64>,
    /// Restart policy to apply when a container exits
    #[arg(long, value_name = "string")]
    restart: Option<String>,
}

impl Changes {
    /// The request; none where nothing was given.
    fn body(&self) -> Result<Option<ContainerUpdateBody>, restart::RestartError> {
        let restart_policy = self.restart.as_deref().map(restart::parse).transpose()?;
        let body = ContainerUpdateBody {
            blkio_weight: self.blkio_weight,
            cpu_period: self.cpu_period,
            cpu_quota: self.cpu_quota,
            cpu_shares: self.cpu_shares,
            nano_cpus: self.cpus.map(|cpus| cpus.0),
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            memory: self.memory,
            memory_reservation: self.memory_reservation,
            memory_swap: self.memory_swap,
            pids_limit: self.pids_limit,
            restart_policy,
            ..ContainerUpdateBody::default()
        };
        Ok((body != ContainerUpdateBody::default()).then_some(body))
    }
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let body = args
        .changes
        .body()
        .map_err(|error| Failure::new(error.to_string()))?;
    let Some(body) = body else {
        let text = "you must provide one or more flags when using this command";
        return Err(Failure::new(text));
    };
    let body = serde_json::to_value(body).map_err(|error| Failure::new(error.to_string()))?;
    let warnings = Mutex::new(Vec::new());
    let status = named::each(&args.containers, TOGETHER, |name| {
        let (body, warnings) = (&body, &warnings);
        async move {
            let path = format!("/containers/{}/update", named::container(name)?);
            let updated: Updated = client.post_as(&path, body).await?;
            let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
            warnings.extend(updated.warnings.into_iter().flatten());
            Ok(name.to_owned())
        }
    })
    .await?;
    let warnings = warnings
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    for warning in warnings {
        writeln!(std::io::stdout(), "{warning}")?;
    }
    Ok(status)
}

/// What the daemon answers.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Updated {
    warnings: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use bollard::models::{RestartPolicy, RestartPolicyNameEnum};
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn body(words: &[&str]) -> Result<Option<ContainerUpdateBody>, restart::RestartError> {
        let line = [&["update"], words, &["web"]].concat();
        Line::parse_from(line).args.changes.body()
    }

    #[test]
    fn what_is_given_is_asked_for_and_nothing_else() {
        assert_eq!(body(&[]), Ok(None));
        let asked = body(&["--restart", "on-failure:3", "-m", "64m", "--cpus=1.5"]);
        let policy = RestartPolicy {
            name: Some(RestartPolicyNameEnum::ON_FAILURE),
            maximum_retry_count: Some(3),
        };
        let wanted = ContainerUpdateBody {
            memory: Some(64 << 20),
            nano_cpus: Some(1_500_000_000),
            restart_policy: Some(policy),
            ..ContainerUpdateBody::default()
        };
        assert_eq!(asked, Ok(Some(wanted)));
        assert!(body(&["--restart", "often"]).is_err());
    }
}
