//! `hull commit`: a container's changes become an image.

use hull_images::Reference;
use serde::Deserialize;

use crate::api::Client;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short = 'a', long, value_name = "string")]
    author: Option<String>,
    /// Apply Dockerfile instruction to the created image
    #[arg(short = 'c', long, value_name = "list")]
    change: Vec<String>,
    /// Commit message
    #[arg(short = 'm', long, value_name = "string")]
    message: Option<String>,
    /// Pause container during commit
    #[arg(
        short = 'p',
        long,
        value_name = "bool",
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pause: bool,
    #[arg(value_name = "CONTAINER")]
    container: String,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Committed {
    id: String,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let name = args.name.as_deref().unwrap_or_default();
    if !name.is_empty() {
        name.parse::<Reference>()
            .map_err(|error| Failure::new(error.to_string()))?;
    }
    let mut query = vec![
        ("container", args.container.as_str()),
        ("repo", name),
        ("author", args.author.as_deref().unwrap_or_default()),
        ("comment", args.message.as_deref().unwrap_or_default()),
        ("pause", if args.pause { "1" } else { "0" }),
    ];
    query.extend(
        args.change
            .iter()
            .map(|change| ("changes", change.as_str())),
    );
    let committed: Committed = client.post_query("/commit", &query).await?;
    println!("{}", committed.id);
    Ok(0)
}
