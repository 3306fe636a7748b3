//! `hull history`: how an image was made, the newest step first.

use std::io::Write;

use bollard::models::HistoryResponseItem;
use jiff::Timestamp;

use super::named;
use crate::api::Client;
use crate::failure::Failure;
use crate::output::listing::Listing;
use crate::output::text::{ellipsis, short_id};
use crate::output::value::Value;
use crate::output::{age, size};
use crate::spec::platform;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Print sizes and dates in human readable format
    #[arg(
        short = 'H',
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        value_parser = crate::spec::units::switch,
        action = clap::ArgAction::Set
    )]
    human: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Show history for the given platform
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Only show image IDs
    #[arg(short = 'q', long)]
    quiet: bool,
    #[arg(value_name = "IMAGE")]
    image: String,
}

const HUMAN: &str = "{{.ID}}\\t{{.CreatedSince}}\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}";
const EXACT: &str = "{{.ID}}\\t{{.CreatedAt}}\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}";

const HEADERS: [(&str, &str); 6] = [
    ("Comment", "COMMENT"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("CreatedSince", "CREATED"),
    ("ID", "IMAGE"),
    ("Size", "SIZE"),
];

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let listing = listing(args);
    let name = named::image(&args.image)?;
    let wanted = args.platform.as_deref().filter(|text| !text.is_empty());
    let wanted = wanted.map(platform::json).transpose()?;
    let query: Vec<_> = wanted
        .iter()
        .map(|json| ("platform", json.as_str()))
        .collect();
    let path = format!("/images/{name}/history");
    let steps: Vec<HistoryResponseItem> = client.get_as(&path, &query).await?;
    let rows: Vec<Value> = steps.iter().map(|step| row(step, args)).collect();
    std::io::stdout().write_all(listing.render(&HEADERS, &rows)?.as_bytes())?;
    Ok(0)
}

fn listing(args: &Args) -> Listing {
    let kind = "image.historyContext";
    let format = args.format.as_deref();
    if args.quiet && matches!(format, None | Some("" | "table")) {
        return Listing::plain("{{.ID}}", kind);
    }
    Listing::new(format, if args.human { HUMAN } else { EXACT }, kind)
}

fn row(step: &HistoryResponseItem, args: &Args) -> Value {
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    let at = Timestamp::from_second(step.created).unwrap_or_default();
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let since = match (args.human, step.created) {
        (false, _) => at.clone(),
        (true, ..=0) => "N/A".to_owned(),
        (true, created) => age::since(created),
    };
    let command = step.created_by.replace('\t', " ");
    Value::Struct(vec![
        text("Comment", step.comment.clone()),
        text("CreatedAt", at),
        text(
            "CreatedBy",
            match args.no_trunc {
                true => command,
                false => ellipsis(&command, 45),
            },
        ),
        text("CreatedSince", since),
        text(
            "ID",
            match args.no_trunc || !step.id.contains(':') {
                true => step.id.clone(),
                false => short_id(&step.id),
            },
        ),
        text(
            "Size",
            match args.human {
                true => size::short(step.size),
                false => step.size.to_string(),
            },
        ),
    ])
}
