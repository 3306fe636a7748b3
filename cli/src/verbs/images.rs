//! `hull images`: the images there are.

use std::io::Write;

use bollard::models::ImageSummary;
use bollard::query_parameters::ListImagesOptions;
use hull_images::Reference;

use crate::api::{Client, Error};
use crate::failure::Failure;
use crate::output::filter::{self, Filter};
use crate::output::listing::Listing;
use crate::output::text::short_id;
use crate::output::value::Value;
use crate::output::{age, size};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show all images (default hides intermediate images)
    #[arg(short = 'a', long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Filter output based on conditions provided
    #[arg(short = 'f', long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short = 'q', long)]
    quiet: bool,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    repository: Option<String>,
}

const NONE: &str = "<none>";

/// What `--format raw` stands for.
const RAW: &str = "repository: {{.Repository}}\\ntag: {{.Tag}}\\nimage_id: {{.ID}}\\ncreated_at: {{.CreatedAt}}\\nvirtual_size: {{.Size}}\\n";
const RAW_WITH_DIGESTS: &str = "repository: {{.Repository}}\\ntag: {{.Tag}}\\ndigest: {{.Digest}}\\nimage_id: {{.ID}}\\ncreated_at: {{.CreatedAt}}\\nvirtual_size: {{.Size}}\\n";
const RAW_QUIET: &str = "image_id: {{.ID}}";

const TABLE: &str = "{{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\\t{{.Size}}";
const TABLE_WITH_DIGESTS: &str = "{{.Repository}}\\t{{.Tag}}\\t{{.Digest}}\\t{{.ID}}\\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\\t{{.Size}}";

pub(super) const HEADERS: [(&str, &str); 11] = [
    ("Containers", "CONTAINERS"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("SharedSize", "SHARED SIZE"),
    ("Size", "SIZE"),
    ("Tag", "TAG"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("VirtualSize", "SIZE"),
];

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let listing = listing(args);
    let mut filters = args.filter.clone();
    filters.extend(
        args.repository
            .as_ref()
            .map(|name| Filter::new("reference", name)),
    );
    let options = ListImagesOptions {
        all: args.all,
        filters: filter::by_key(&filters),
        ..ListImagesOptions::default()
    };
    let found = client
        .docker()
        .list_images(Some(options))
        .await
        .map_err(Error::from)?;
    let digests = args.digests || listing.mentions("Digest");
    let rows: Vec<Value> = found
        .iter()
        .flat_map(|image| rows(image, digests, !args.no_trunc))
        .collect();
    std::io::stdout().write_all(listing.render(&HEADERS, &rows)?.as_bytes())?;
    Ok(0)
}

fn listing(args: &Args) -> Listing {
    let kind = "formatter.imageContext";
    let raw = match (args.quiet, args.digests) {
        (true, _) => RAW_QUIET,
        (false, true) => RAW_WITH_DIGESTS,
        (false, false) => RAW,
    };
    let format = Listing::or_raw(args.format.as_deref(), raw);
    if args.quiet && matches!(format, None | Some("" | "table")) {
        return Listing::plain("{{.ID}}", kind);
    }
    Listing::new(
        format,
        if args.digests {
            TABLE_WITH_DIGESTS
        } else {
            TABLE
        },
        kind,
    )
}

/// The row of an image's first name.
pub(super) fn first_row(image: &ImageSummary, trunc: bool) -> Value {
    let first = image.repo_tags.first().and_then(|name| name.parse().ok());
    let name = first.as_ref().map(familiar);
    let tag = first.as_ref().and_then(Reference::tag);
    row(
        image,
        trunc,
        [name.as_deref().unwrap_or(NONE), tag.unwrap_or(NONE), ""],
    )
}

/// A name without its tag, as people write it.
fn familiar(name: &Reference) -> String {
    name.repository().familiar()
}

fn digest(name: &Reference) -> Option<String> {
    name.digest().map(ToString::to_string)
}

/// A row for each name; with digests, for each pair of name and digest.
fn rows(image: &ImageSummary, digests: bool, trunc: bool) -> Vec<Value> {
    let row =
        |repository: &str, tag: &str, digest: &str| row(image, trunc, [repository, tag, digest]);
    let parse = |names: &[String]| -> Vec<Reference> {
        names.iter().filter_map(|name| name.parse().ok()).collect()
    };
    let tagged = parse(&image.repo_tags);
    let pinned = parse(&image.repo_digests);
    let mut rows = Vec::new();
    for name in &tagged {
        let repository = familiar(name);
        let tag = name.tag().unwrap_or(NONE);
        let own: Vec<String> = pinned
            .iter()
            .filter(|pin| digests && familiar(pin) == repository)
            .filter_map(digest)
            .collect();
        match own.as_slice() {
            [] => rows.push(row(&repository, tag, NONE)),
            own => rows.extend(own.iter().map(|digest| row(&repository, tag, digest))),
        }
    }
    // Names that only digests have: one row, or one for each digest.
    let mut seen: Vec<String> = tagged.iter().map(familiar).collect();
    for pin in &pinned {
        let repository = familiar(pin);
        if seen.contains(&repository) {
            continue;
        }
        let digest = digest(pin);
        rows.push(row(&repository, NONE, digest.as_deref().unwrap_or(NONE)));
        if !digests {
            seen.push(repository);
        }
    }
    if rows.is_empty() {
        rows.push(row(NONE, NONE, NONE));
    }
    rows
}

fn row(image: &ImageSummary, trunc: bool, [repository, tag, digest]: [&str; 3]) -> Value {
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    let known = |number: i64, shown: String| if number < 0 { "N/A".into() } else { shown };
    let unique = image.size.saturating_sub(image.shared_size);
    Value::Struct(vec![
        text(
            "Containers",
            known(image.containers, image.containers.to_string()),
        ),
        text("CreatedAt", age::moment(image.created)),
        text("CreatedSince", age::since(image.created)),
        text("Digest", digest.to_owned()),
        text(
            "ID",
            if trunc {
                short_id(&image.id)
            } else {
                image.id.clone()
            },
        ),
        text("Repository", repository.to_owned()),
        text(
            "SharedSize",
            known(image.shared_size, size::long(image.shared_size)),
        ),
        text("Size", size::short(image.size)),
        text("Tag", tag.to_owned()),
        text("UniqueSize", known(image.shared_size, size::long(unique))),
        text("VirtualSize", size::long(image.size)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tags: &[&str], digests: &[&str], with_digests: bool) -> Vec<String> {
        let image = ImageSummary {
            id: "sha256:65670c1edc0cf718".into(),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            repo_digests: digests.iter().map(|digest| (*digest).to_owned()).collect(),
            ..ImageSummary::default()
        };
        let template = "{{.Repository}} {{.Tag}} {{.Digest}} {{.ID}}";
        let listing = Listing::new(Some(template), TABLE, "image");
        let text = listing
            .render(&HEADERS, &rows(&image, with_digests, true))
            .expect("rows");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_image_has_a_row_for_each_name() {
        let tags = ["busybox:latest", "localhost:5000/bb:1"];
        let expected = [
            "busybox latest <none> 65670c1edc0c",
            "localhost:5000/bb 1 <none> 65670c1edc0c",
        ];
        assert_eq!(shown(&tags, &[], false), expected);
        assert_eq!(
            shown(&[], &[], false),
            ["<none> <none> <none> 65670c1edc0c"]
        );
    }

    #[test]
    fn digests_stand_beside_the_names_they_belong_to() {
        let digest = format!("sha256:{}", "d".repeat(64));
        let pinned = format!("bb@{digest}");
        let with = shown(&["bb:1"], &[&pinned], true);
        assert_eq!(with, [format!("bb 1 {digest} 65670c1edc0c")]);
        let alone = shown(&[], &[&pinned], false);
        assert_eq!(alone, [format!("bb <none> {digest} 65670c1edc0c")]);
    }
}
