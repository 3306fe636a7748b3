//! `hull logs`: what a container has written, and what it goes on to write.

use super::attach::Subject;
use crate::api::{Chunks, Client, StreamKind};
use crate::failure::Failure;
use crate::moment;
use crate::session::{Output, show};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show extra details provided to logs
    #[arg(long)]
    details: bool,
    /// Follow log output
    #[arg(short = 'f', long)]
    follow: bool,
    /// Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "string")]
    since: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(short = 'n', long, value_name = "string", default_value = "all")]
    tail: String,
    /// Show timestamps
    #[arg(short = 't', long)]
    timestamps: bool,
    /// Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "string")]
    until: Option<String>,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let container = Subject::find(client, &args.container).await?;
    let unix = |flag, value: &Option<String>| {
        let given = value.as_deref().filter(|value| !value.is_empty());
        given.map(|value| moment::unix(flag, value)).transpose()
    };
    let refuse = |error: moment::MomentError| Failure::new(error.to_string());
    let since = unix("since", &args.since).map_err(refuse)?;
    let until = unix("until", &args.until).map_err(refuse)?;
    let mut query = vec![
        ("stdout", "1"),
        ("stderr", "1"),
        ("tail", args.tail.as_str()),
    ];
    query.extend(args.follow.then_some(("follow", "1")));
    query.extend(args.timestamps.then_some(("timestamps", "1")));
    query.extend(args.details.then_some(("details", "1")));
    query.extend(since.as_deref().map(|since| ("since", since)));
    query.extend(until.as_deref().map(|until| ("until", until)));
    let response = client
        .stream(&format!("/containers/{}/logs", container.id), &query)
        .await?;
    let kind = StreamKind::of(response.headers(), container.tty);
    show(Chunks::Body(response.into_body()), kind, Output::BOTH).await?;
    Ok(0)
}
