//! `prune`: removes what nobody needs; of containers, of images, or of all at once.
//!
//! Each asks first, unless told not to, and then tells what is gone and how much it took.

pub(crate) mod containers;
pub(crate) mod images;
pub(crate) mod system;

use bollard::models::ImageDeleteResponseItem;
use bollard::query_parameters::{PruneContainersOptions, PruneImagesOptions};

use crate::api::{Client, Error};
use crate::output::filter::{self, Filter};
use crate::output::size;

/// What one kind of thing gave back.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pruned {
    /// Its list, with a title; empty where nothing is gone.
    text: String,
    reclaimed: i64,
}

impl Pruned {
    fn new(title: &str, lines: impl Iterator<Item = String>, reclaimed: i64) -> Pruned {
        let lines: Vec<String> = lines.collect();
        let text = match lines.is_empty() {
            true => String::new(),
            false => format!("{title}:\n{}\n", lines.join("\n")),
        };
        Pruned { text, reclaimed }
    }

    /// The list with a line below it, as it stands before the total.
    fn paragraph(&self) -> String {
        match self.text.is_empty() {
            true => String::new(),
            false => format!("{}\n", self.text),
        }
    }
}

/// What is gone, kind by kind, and how much all of it took.
fn report(all: &[Pruned]) -> String {
    let reclaimed = all.iter().map(|one| one.reclaimed).sum();
    let mut text: String = all.iter().map(Pruned::paragraph).collect();
    text.push_str("Total reclaimed space: ");
    text.push_str(&size::long(reclaimed));
    text.push('\n');
    text
}

/// Containers that do not run.
async fn of_containers(client: &Client, filters: &[Filter]) -> Result<Pruned, Error> {
    let options = PruneContainersOptions {
        filters: filter::by_key(filters),
    };
    let answer = client.docker().prune_containers(Some(options)).await?;
    let gone = answer.containers_deleted.unwrap_or_default();
    let reclaimed = answer.space_reclaimed.unwrap_or_default();
    Ok(Pruned::new(
        "Deleted Containers",
        gone.into_iter(),
        reclaimed,
    ))
}

/// Images without a name, or without a container.
async fn of_images(client: &Client, all: bool, filters: &[Filter]) -> Result<Pruned, Error> {
    let mut filters = filters.to_vec();
    filters.push(Filter::new("dangling", if all { "false" } else { "true" }));
    let options = PruneImagesOptions {
        filters: filter::by_key(&filters),
    };
    let answer = client.docker().prune_images(Some(options)).await?;
    let gone = answer.images_deleted.unwrap_or_default();
    let reclaimed = answer.space_reclaimed.unwrap_or_default();
    Ok(Pruned::new(
        "Deleted Images",
        gone.iter().map(deleted),
        reclaimed,
    ))
}

fn deleted(item: &ImageDeleteResponseItem) -> String {
    match (&item.untagged, &item.deleted) {
        (Some(name), _) => format!("untagged: {name}"),
        (None, deleted) => format!("deleted: {}", deleted.as_deref().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_listed_before_the_total() {
        let item = |untagged: Option<&str>, deleted: Option<&str>| ImageDeleteResponseItem {
            untagged: untagged.map(str::to_owned),
            deleted: deleted.map(str::to_owned),
        };
        let gone = [item(Some("x:1"), None), item(None, Some("sha256:ff"))];
        let pruned = Pruned::new("Deleted Images", gone.iter().map(deleted), 122_400_000);
        assert_eq!(
            report(&[pruned]),
            "Deleted Images:\nuntagged: x:1\ndeleted: sha256:ff\n\nTotal reclaimed space: 122.4MB\n"
        );
        let nothing = Pruned::new("Deleted Images", std::iter::empty(), 0);
        assert_eq!(report(&[nothing]), "Total reclaimed space: 0B\n");
    }
}
