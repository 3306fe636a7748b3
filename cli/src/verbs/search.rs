//! `hull search`: repositories of Docker Hub, or of the registry that the term begins with.

use std::io::Write;

use serde::Deserialize;

use crate::accounts::{Accounts, server_of};
use crate::api::Client;
use crate::failure::Failure;
use crate::output::filter::{self, Filter};
use crate::output::listing::Listing;
use crate::output::text::ellipsis;
use crate::output::value::Value;

const TABLE: &str = "{{.Name}}\\t{{.Description}}\\t{{.StarCount}}\\t{{.IsOfficial}}";
const HEADERS: [(&str, &str); 4] = [
    ("Description", "DESCRIPTION"),
    ("IsOfficial", "OFFICIAL"),
    ("Name", "NAME"),
    ("StarCount", "STARS"),
];
/// Characters of a description.
const WIDTH: usize = 45;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Filter output based on conditions provided
    #[arg(short = 'f', long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Pretty-print search using a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Max number of search results
    #[arg(long, value_name = "int")]
    limit: Option<i64>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    #[arg(value_name = "TERM")]
    term: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Found {
    name: String,
    description: String,
    star_count: i64,
    is_official: bool,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let listing = Listing::new(args.format.as_deref(), TABLE, "registry.searchContext");
    let filters = filter::by_key(&args.filter);
    let asked = |key: &str| filters.as_ref().and_then(|filters| filters.get(key));
    if asked("is-automated").is_some_and(|values| values.iter().any(|v| v == "true" || v == "1")) {
        writeln!(
            std::io::stderr(),
            "WARNING: the \"is-automated\" filter is deprecated, and searching for \"is-automated=true\" will not yield any results in future."
        )?;
    }
    let limit = args.limit.map(|limit| limit.to_string());
    let filters = filters.map(|filters| serde_json::json!(filters).to_string());
    let mut query = vec![("term", args.term.as_str())];
    query.extend(limit.as_deref().map(|limit| ("limit", limit)));
    query.extend(filters.as_deref().map(|filters| ("filters", filters)));
    let host = match args.term.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    };
    let server = server_of(host);
    let account = Accounts::open()?.get(server)?.header(server);
    let mut found: Vec<Found> = client
        .search(&query, &account)
        .await?
        .into_iter()
        .filter_map(|hit| serde_json::from_value(hit).ok())
        .collect();
    found.sort_by_key(|hit| std::cmp::Reverse(hit.star_count));
    let rows: Vec<Value> = found.iter().map(|hit| row(hit, !args.no_trunc)).collect();
    std::io::stdout().write_all(listing.render(&HEADERS, &rows)?.as_bytes())?;
    Ok(0)
}

fn row(hit: &Found, trunc: bool) -> Value {
    let one_line = hit.description.replace(['\n', '\r'], " ");
    let description = match trunc {
        true => ellipsis(&one_line, WIDTH),
        false => one_line,
    };
    Value::Struct(vec![
        ("Description".into(), Value::text(description)),
        ("IsOfficial".into(), Value::Mark(hit.is_official)),
        ("Name".into(), Value::text(hit.name.clone())),
        ("StarCount".into(), Value::text(hit.star_count.to_string())),
    ])
}
