//! `hull diff`: what a container has changed.

use std::fmt::Write;

use serde::Deserialize;

use super::named;
use crate::api::{Client, path_escape};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "CONTAINER")]
    container: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    path: String,
    kind: u8,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    if args.container.is_empty() {
        return Err(Failure::new("Container name cannot be empty"));
    }
    let container = named::container(&args.container)?;
    let path = format!("/containers/{}/changes", path_escape(&container));
    let changes: Option<Vec<Change>> = client.get_as(&path, &[]).await?;
    print!("{}", rendered(&changes.unwrap_or_default()));
    Ok(0)
}

fn rendered(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let kind = match change.kind {
            0 => 'C',
            1 => 'A',
            _ => 'D',
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{kind} {}", change.path);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_letters() {
        let changes: Vec<Change> = serde_json::from_str(
            r#"[{"Path":"/a","Kind":0},{"Path":"/a/b","Kind":1},{"Path":"/c","Kind":2}]"#,
        )
        .unwrap();
        assert_eq!(rendered(&changes), "C /a\nA /a/b\nD /c\n");
    }
}
