//! `hull ps`: the containers there are.

use std::io::Write;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptions;
use hull_images::Reference;

use crate::api::{Client, Error};
use crate::failure::Failure;
use crate::output::filter::{self, Filter};
use crate::output::go;
use crate::output::listing::Listing;
use crate::output::template::Template;
use crate::output::text::{ellipsis, quote, short_id};
use crate::output::value::Value;
use crate::output::{age, ports, size};
use crate::spec::units::int;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show all containers (default shows just running)
    #[arg(short = 'a', long)]
    all: bool,
    /// Filter output based on conditions provided
    #[arg(short = 'f', long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "int", value_parser = int)]
    last: Option<i64>,
    /// Show the latest created container (includes all states)
    #[arg(short = 'l', long)]
    latest: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display container IDs
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Display total file sizes
    #[arg(short = 's', long)]
    size: bool,
}

/// The type of a row, by its name in Go.
const KIND: &str = "formatter.ContainerContext";
/// What `--format raw` stands for.
const RAW: &str = "container_id: {{.ID}}\\nimage: {{.Image}}\\ncommand: {{.Command}}\\ncreated_at: {{.CreatedAt}}\\nstate: {{- pad .State 1 0}}\\nstatus: {{- pad .Status 1 0}}\\nnames: {{.Names}}\\nlabels: {{- pad .Labels 1 0}}\\nports: {{- pad .Ports 1 0}}\\n";
const RAW_QUIET: &str = "container_id: {{.ID}}";

const TABLE: &str =
    "{{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}";

pub(super) const HEADERS: [(&str, &str); 16] = [
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Label", ""),
    ("Labels", "LABELS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Mounts", "MOUNTS"),
    ("Names", "NAMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
    ("Ports", "PORTS"),
    ("RunningFor", "CREATED"),
    ("Size", "SIZE"),
    ("State", "STATE"),
    ("Status", "STATUS"),
];

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let listing = listing(args)?;
    let last = match (args.last, args.latest) {
        (None | Some(-1), true) => Some(1),
        (last, _) => last.filter(|last| *last > 0),
    };
    let options = ListContainersOptions {
        all: args.all,
        limit: last.map(|last| i32::try_from(last).unwrap_or(i32::MAX)),
        size: args.size || listing.mentions("Size"),
        filters: filter::by_key(&args.filter),
    };
    let found = client
        .docker()
        .list_containers(Some(options))
        .await
        .map_err(Error::from)?;
    let rows: Vec<Value> = found.iter().map(|one| row(one, !args.no_trunc)).collect();
    std::io::stdout().write_all(listing.render(&HEADERS, &rows)?.as_bytes())?;
    Ok(0)
}

fn listing(args: &Args) -> Result<Listing, Failure> {
    let given = args.format.as_deref().filter(|format| !format.is_empty());
    if let Some(format) = given {
        check(format)?;
    }
    let raw = match (args.quiet, args.size) {
        (true, _) => RAW_QUIET.to_owned(),
        (false, true) => format!("{RAW}size: {{{{.Size}}}}\\n"),
        (false, false) => RAW.to_owned(),
    };
    let format = Listing::or_raw(given, &raw);
    if args.quiet && matches!(format, None | Some("" | "table")) {
        return Ok(Listing::plain("{{.ID}}", KIND));
    }
    let table = if args.size {
        format!("{TABLE}\\t{{{{.Size}}}}")
    } else {
        TABLE.to_owned()
    };
    Ok(Listing::new(format, &table, KIND))
}

/// A format is tried on no container at all, as it was given, before anything is asked.
fn check(format: &str) -> Result<(), Failure> {
    let template = Template::parse(format)
        .map_err(|error| Failure::new(format!("failed to parse template: {error}")))?;
    let Value::Struct(nothing) = row(&ContainerSummary::default(), false) else {
        return Ok(());
    };
    match template.run(&go::Value::row(KIND, &nothing)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(format!("failed to execute template: {error}"))),
    }
}

pub(super) fn row(one: &ContainerSummary, trunc: bool) -> Value {
    let id = one.id.as_deref().unwrap_or_default();
    let created = one.created.unwrap_or(0);
    let mut labels: Vec<(String, String)> =
        one.labels.clone().unwrap_or_default().into_iter().collect();
    labels.sort();
    let label_words: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let mounts = one.mounts.as_deref().unwrap_or_default();
    let local = mounts
        .iter()
        .filter(|mount| mount.driver.as_deref() == Some("local"))
        .count();
    let command = one.command.as_deref().unwrap_or_default();
    let command = quote(&if trunc {
        ellipsis(command, 20)
    } else {
        command.to_owned()
    });
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    Value::Struct(vec![
        text("Command", command),
        text("CreatedAt", age::moment(created)),
        text("ID", if trunc { short_id(id) } else { id.to_owned() }),
        text("Image", image(one, trunc)),
        ("Label".into(), Value::Lookup(labels)),
        text("Labels", label_words.join(",")),
        text("LocalVolumes", local.to_string()),
        text("Mounts", mount_names(one, trunc)),
        text("Names", names(one, trunc)),
        text("Networks", networks(one)),
        ("Platform".into(), Value::Null),
        text(
            "Ports",
            ports::cell(one.ports.as_deref().unwrap_or_default()),
        ),
        text("RunningFor", age::since(created)),
        text("Size", sizes(one)),
        text(
            "State",
            one.state
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        text("Status", one.status.clone().unwrap_or_default()),
    ])
}

/// The name it was made from; its id where that name has moved on to another image.
fn image(one: &ContainerSummary, trunc: bool) -> String {
    let name = one.image.as_deref().unwrap_or_default();
    if name.is_empty() {
        return "<no image>".into();
    }
    if !trunc {
        return name.to_owned();
    }
    let id = short_id(one.image_id.as_deref().unwrap_or_default());
    if !id.is_empty() && id == short_id(name) {
        return id;
    }
    match name.parse::<Reference>() {
        Ok(reference) => match reference.tag() {
            Some(tag) => format!("{}:{tag}", reference.repository().familiar()),
            None => reference.repository().familiar(),
        },
        Err(_) => name.to_owned(),
    }
}

/// Without the slash before each; a name within another container's is a link, not its own.
fn names(one: &ContainerSummary, trunc: bool) -> String {
    let all = one.names.as_deref().unwrap_or_default();
    let bare: Vec<&str> = all
        .iter()
        .map(|name| name.strip_prefix('/').unwrap_or(name))
        .collect();
    match bare
        .iter()
        .find(|name| !name.contains('/'))
        .filter(|_| trunc)
    {
        Some(own) => (*own).to_owned(),
        None => bare.join(","),
    }
}

fn mount_names(one: &ContainerSummary, trunc: bool) -> String {
    let mounts = one.mounts.as_deref().unwrap_or_default();
    let name = |mount: &bollard::models::MountPoint| {
        let named = mount.name.clone().filter(|name| !name.is_empty());
        let name = named.or_else(|| mount.source.clone()).unwrap_or_default();
        if trunc { ellipsis(&name, 15) } else { name }
    };
    mounts.iter().map(name).collect::<Vec<_>>().join(",")
}

fn networks(one: &ContainerSummary) -> String {
    let networks = one
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.as_ref());
    let mut names: Vec<&str> = networks
        .into_iter()
        .flat_map(|networks| networks.keys().map(String::as_str))
        .collect();
    names.sort_unstable();
    names.join(",")
}

fn sizes(one: &ContainerSummary) -> String {
    let written = size::short(one.size_rw.unwrap_or(0));
    match one.size_root_fs.filter(|total| *total > 0) {
        Some(total) => format!("{written} (virtual {})", size::short(total)),
        None => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(json: &str) -> ContainerSummary {
        serde_json::from_str(json).expect("a container")
    }

    fn field(row: &Value, name: &str) -> String {
        let Value::Struct(fields) = row else {
            panic!("a row is a struct")
        };
        fields
            .iter()
            .find(|(key, _)| key == name)
            .expect(name)
            .1
            .to_string()
    }

    #[test]
    fn a_row_reads_as_dockers() {
        let one = summary(
            r#"{"Id":"b27ec311211f88a3","Names":["/registry2"],"Image":"docker.io/library/registry:2",
            "ImageID":"sha256:749b5471d790d78f","Command":"/entrypoint.sh /etc/docker/registry/config.yml",
            "Created":1795231704,"Ports":[{"IP":"::","PrivatePort":5000,"PublicPort":5003,"Type":"tcp"}],
            "Labels":{"b":"2","a":"1"},"State":"running","Status":"Up 26 seconds","SizeRootFs":2066795,
            "NetworkSettings":{"Networks":{"bridge":{}}},
            "Mounts":[{"Type":"volume","Name":"31de6cc264c2de62f1185a7c","Driver":"local"}]}"#,
        );
        let row = row(&one, true);
        for (name, expected) in [
            ("ID", "b27ec311211f"),
            ("Image", "registry:2"),
            ("Command", "\"/entrypoint.sh /etc…\""),
            ("Ports", "[::]:5003->5000/tcp"),
            ("Labels", "a=1,b=2"),
            ("Mounts", "31de6cc264c2de…"),
            ("LocalVolumes", "1"),
            ("Names", "registry2"),
            ("Networks", "bridge"),
            ("Size", "0B (virtual 2.07MB)"),
            ("Status", "Up 26 seconds"),
        ] {
            assert_eq!(field(&row, name), expected, "{name}");
        }
    }

    #[test]
    fn an_image_whose_name_moved_on_is_its_id() {
        let one = summary(
            r#"{"Id":"x","Image":"sha256:749b5471d790d78f46","ImageID":"sha256:749b5471d790d78f46"}"#,
        );
        assert_eq!(image(&one, true), "749b5471d790");
    }

    #[test]
    fn every_header_is_a_field() {
        let Value::Struct(fields) = row(&summary("{}"), true) else {
            panic!("a row is a struct")
        };
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, HEADERS.map(|(name, _)| name));
    }
}
