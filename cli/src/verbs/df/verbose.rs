//! Everything that takes space, one by one.

use bollard::models::{
    BuildCache, ContainerSummary, ImageSummary, SystemDataUsageResponse, Volume,
};

use crate::failure::Failure;
use crate::output::go;
use crate::output::listing::Listing;
use crate::output::template::Template;
use crate::output::value::Value;
use crate::output::{age, size};
use crate::verbs::{images, ps};

const IMAGES: &str = "{{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{.CreatedSince}}\\t{{.Size}}\\t{{.SharedSize}}\\t{{.UniqueSize}}\\t{{.Containers}}";
const CONTAINERS: &str = "{{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.LocalVolumes}}\\t{{.Size}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Names}}";
const VOLUMES: &str = "{{.Name}}\\t{{.Links}}\\t{{.Size}}";
const BUILD_CACHE: &str = "{{.ID}}\\t{{.CacheType}}\\t{{.Size}}\\t{{.CreatedSince}}\\t{{.LastUsedSince}}\\t{{.UsageCount}}\\t{{.Shared}}";

const OF_VOLUMES: [(&str, &str); 3] = [
    ("Links", "LINKS"),
    ("Name", "VOLUME NAME"),
    ("Size", "SIZE"),
];
const OF_BUILD_CACHE: [(&str, &str); 7] = [
    ("CacheType", "CACHE TYPE"),
    ("CreatedSince", "CREATED"),
    ("ID", "CACHE ID"),
    ("LastUsedSince", "LAST USED"),
    ("Shared", "SHARED"),
    ("Size", "SIZE"),
    ("UsageCount", "USAGE"),
];

pub(super) fn render(
    usage: &SystemDataUsageResponse,
    format: Option<&str>,
) -> Result<String, Failure> {
    let given = format.filter(|format| !matches!(*format, "" | "table"));
    // A format gets everything, a table what fits.
    let width = match given {
        Some(_) => Width::Whole,
        None => Width::Cut,
    };
    let list = usage.images.as_deref().unwrap_or_default();
    let images: Vec<Value> = list.iter().map(|one| image(one, width)).collect();
    let list = usage.containers.as_deref().unwrap_or_default();
    let containers: Vec<Value> = list.iter().map(|one| container(one, width)).collect();
    let list = usage.volumes.as_deref().unwrap_or_default();
    let volumes: Vec<Value> = list.iter().map(volume).collect();
    let cached = usage.build_cache.as_deref().unwrap_or_default();
    let cache: Vec<Value> = cached.iter().map(|one| cache_record(one, width)).collect();
    if let Some(format) = given {
        let all = [
            ("Images".into(), Value::List(images)),
            ("Containers".into(), Value::List(containers)),
            ("Volumes".into(), Value::List(volumes)),
            ("BuildCache".into(), Value::List(cache)),
        ];
        return whole(format, &go::Value::row("formatter.diskUsageContext", &all));
    }
    let kept: i64 = cached
        .iter()
        .filter(|one| !one.shared.unwrap_or_default())
        .filter_map(|one| one.size)
        .sum();
    let table = |format, headers: &[_], rows: &[Value]| {
        Listing::new(None, format, "formatter.diskUsageContext").render(headers, rows)
    };
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\nBuild cache usage: {}\n\n{}",
        table(IMAGES, &images::HEADERS, &images)?,
        table(CONTAINERS, &ps::HEADERS, &containers)?,
        table(VOLUMES, &OF_VOLUMES, &volumes)?,
        size::long(kept),
        table(BUILD_CACHE, &OF_BUILD_CACHE, &cache)?,
    ))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Cut,
    Whole,
}

/// All of it by one format, with nothing after it.
fn whole(format: &str, all: &go::Value) -> Result<String, Failure> {
    let format = match format {
        "json" => "{{json .}}",
        format => format.strip_prefix("table").unwrap_or(format),
    };
    let format = format
        .trim_matches(' ')
        .replace("\\t", "\t")
        .replace("\\n", "\n");
    let template = Template::parse(&format)
        .map_err(|error| Failure::new(format!("template parsing error: {error}")))?;
    let text = template.run(all);
    text.map_err(|error| Failure::new(error.to_string()))
}

/// With its first name only.
fn image(image: &ImageSummary, width: Width) -> Value {
    images::first_row(image, width == Width::Cut)
}

fn container(one: &ContainerSummary, width: Width) -> Value {
    // The image below is told among the images.
    let own = ContainerSummary {
        size_root_fs: None,
        ..one.clone()
    };
    ps::row(&own, width == Width::Cut)
}

fn volume(volume: &Volume) -> Value {
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    let data = volume.usage_data.as_ref();
    let known = |number: Option<i64>, show: fn(i64) -> String| match number {
        Some(-1) if show(-1) != "-1" => "-1B".to_owned(),
        Some(number) => show(number),
        None => "N/A".to_owned(),
    };
    let mut labels: Vec<String> = volume
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.sort();
    let none = || "N/A".to_owned();
    Value::Struct(vec![
        // Of volumes of a swarm alone.
        text("Availability", none()),
        text("Driver", volume.driver.clone()),
        text("Group", none()),
        text("Labels", labels.join(",")),
        text("Links", known(data.map(|d| d.ref_count), |n| n.to_string())),
        text("Mountpoint", volume.mountpoint.clone()),
        text("Name", volume.name.clone()),
        text(
            "Scope",
            volume.scope.map(|s| s.to_string()).unwrap_or_default(),
        ),
        text("Size", known(data.map(|d| d.size), size::long)),
        text("Status", none()),
    ])
}

fn cache_record(one: &BuildCache, width: Width) -> Value {
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    let since = |moment: Option<&String>| {
        let moment = moment.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        moment
            .map(|t| age::since(t.as_second()))
            .unwrap_or_default()
    };
    let at = |moment: Option<&String>| {
        let moment = moment.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        moment
            .map(|t| age::moment(t.as_second()))
            .unwrap_or_default()
    };
    let id = one.id.clone().unwrap_or_default();
    Value::Struct(vec![
        text(
            "CacheType",
            one.typ.map(|t| t.to_string()).unwrap_or_default(),
        ),
        text("CreatedAt", at(one.created_at.as_ref())),
        text("CreatedSince", since(one.created_at.as_ref())),
        text("Description", one.description.clone().unwrap_or_default()),
        text(
            "ID",
            match width {
                Width::Cut => id.chars().take(12).collect(),
                Width::Whole => id,
            },
        ),
        text("InUse", one.in_use.unwrap_or_default().to_string()),
        text("LastUsedAt", at(one.last_used_at.as_ref())),
        text("LastUsedSince", since(one.last_used_at.as_ref())),
        // Older builders had one.
        text("Parent", String::new()),
        text("Shared", one.shared.unwrap_or_default().to_string()),
        text("Size", size::short(one.size.unwrap_or_default())),
        text(
            "UsageCount",
            one.usage_count.unwrap_or_default().to_string(),
        ),
    ])
}
