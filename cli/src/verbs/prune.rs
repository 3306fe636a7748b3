//! `hull image prune`: removes the images that nobody needs.

use std::io::Write;

use bollard::models::ImageDeleteResponseItem;
use bollard::query_parameters::PruneImagesOptions;

use crate::api::{Client, Error};
use crate::failure::Failure;
use crate::output::filter::{self, Filter};
use crate::output::size;
use crate::terminal::confirm::confirm;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove all unused images, not just dangling ones
    #[arg(short = 'a', long)]
    all: bool,
    /// Provide filter values (e.g. "until=<timestamp>")
    #[arg(long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short = 'f', long)]
    force: bool,
}

const DANGLING: &str = "WARNING! This will remove all dangling images.";
const ALL: &str =
    "WARNING! This will remove all images without at least one container associated to them.";

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    if !args.force {
        if !confirm(if args.all { ALL } else { DANGLING })? {
            return Ok(0);
        }
        // Docker leaves a line between the answer and what came of it.
        writeln!(std::io::stdout())?;
    }
    let mut filters = args.filter.clone();
    filters.push(Filter::new(
        "dangling",
        if args.all { "false" } else { "true" },
    ));
    let options = PruneImagesOptions {
        filters: filter::by_key(&filters),
    };
    let pruned = client.docker().prune_images(Some(options)).await;
    let pruned = pruned.map_err(Error::from)?;
    let removed = pruned.images_deleted.unwrap_or_default();
    let text = shown(&removed, pruned.space_reclaimed.unwrap_or_default());
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

fn shown(removed: &[ImageDeleteResponseItem], reclaimed: i64) -> String {
    let mut text = String::new();
    if !removed.is_empty() {
        text.push_str("Deleted Images:\n");
        for item in removed {
            let line = match (&item.untagged, &item.deleted) {
                (Some(name), _) => format!("untagged: {name}\n"),
                (None, deleted) => format!("deleted: {}\n", deleted.as_deref().unwrap_or_default()),
            };
            text.push_str(&line);
        }
        text.push('\n');
    }
    text.push_str(&format!(
        "Total reclaimed space: {}\n",
        size::long(reclaimed)
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_listed_before_the_total() {
        assert_eq!(shown(&[], 0), "Total reclaimed space: 0B\n");
        let item = |untagged: Option<&str>, deleted: Option<&str>| ImageDeleteResponseItem {
            untagged: untagged.map(str::to_owned),
            deleted: deleted.map(str::to_owned),
        };
        let removed = [item(Some("x:1"), None), item(None, Some("sha256:ff"))];
        assert_eq!(
            shown(&removed, 122_400_000),
            "Deleted Images:\nuntagged: x:1\ndeleted: sha256:ff\n\nTotal reclaimed space: 122.4MB\n"
        );
    }
}
