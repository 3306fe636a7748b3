//! A line for each kind of thing that takes space.

use bollard::models::{ContainerSummaryStateEnum, SystemDataUsageResponse};

use crate::failure::Failure;
use crate::output::listing::Listing;
use crate::output::size;
use crate::output::value::Value;

const TABLE: &str = "{{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}";
/// What `--format raw` stands for.
const RAW: &str = "type: {{.Type}}\\ntotal: {{.TotalCount}}\\nactive: {{.Active}}\\nsize: {{.Size}}\\nreclaimable: {{.Reclaimable}}\\n";
const HEADERS: [(&str, &str); 5] = [
    ("Active", "ACTIVE"),
    ("Reclaimable", "RECLAIMABLE"),
    ("Size", "SIZE"),
    ("TotalCount", "TOTAL"),
    ("Type", "TYPE"),
];

/// What there is of one kind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    total: usize,
    active: usize,
    bytes: i64,
    reclaimable: i64,
    /// The reclaimable part is also told in percent.
    percent: bool,
}

pub(super) fn render(
    usage: &SystemDataUsageResponse,
    format: Option<&str>,
) -> Result<String, Failure> {
    let rows = [
        ("Images", images(usage)),
        ("Containers", containers(usage)),
        ("Local Volumes", volumes(usage)),
        ("Build Cache", build_cache(usage)),
    ];
    let rows = rows.map(|(kind, share)| (go_name(kind), row(kind, &share)));
    let rows = rows.iter().map(|(kind, row)| (*kind, row));
    let format = Listing::or_raw(format, RAW);
    Listing::new(format, TABLE, "formatter.diskUsageContext").render_kinds(&HEADERS, rows)
}

/// The name of a row's type.
fn go_name(kind: &str) -> &'static str {
    match kind {
        "Images" => "formatter.diskUsageImagesContext",
        "Containers" => "formatter.diskUsageContainersContext",
        "Local Volumes" => "formatter.diskUsageVolumesContext",
        _ => "formatter.diskUsageBuilderContext",
    }
}

fn row(kind: &str, share: &Share) -> Value {
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    let reclaimable = size::long(share.reclaimable);
    let reclaimable = match share.percent && share.bytes > 0 {
        true => format!(
            "{reclaimable} ({}%)",
            i128::from(share.reclaimable) * 100 / i128::from(share.bytes)
        ),
        false => reclaimable,
    };
    Value::Struct(vec![
        text("Active", share.active.to_string()),
        text("Reclaimable", reclaimable),
        text("Size", size::long(share.bytes)),
        text("TotalCount", share.total.to_string()),
        text("Type", kind.to_owned()),
    ])
}

fn images(usage: &SystemDataUsageResponse) -> Share {
    let all = usage.images.as_deref().unwrap_or_default();
    let used = all.iter().filter(|image| image.containers > 0);
    let alone: i64 = used
        .clone()
        .filter(|image| image.size >= 0 && image.shared_size >= 0)
        .map(|image| image.size - image.shared_size)
        .sum();
    let bytes = usage.layers_size.unwrap_or_default();
    Share {
        total: all.len(),
        active: used.count(),
        bytes,
        reclaimable: bytes - alone,
        percent: true,
    }
}

fn containers(usage: &SystemDataUsageResponse) -> Share {
    use ContainerSummaryStateEnum::{PAUSED, RESTARTING, RUNNING};

    let all = usage.containers.as_deref().unwrap_or_default();
    let mut share = Share {
        total: all.len(),
        percent: true,
        ..Share::default()
    };
    for one in all {
        let bytes = one.size_rw.unwrap_or_default();
        share.bytes += bytes;
        match one.state {
            Some(RUNNING | PAUSED | RESTARTING) => share.active += 1,
            _ => share.reclaimable += bytes,
        }
    }
    share
}

fn volumes(usage: &SystemDataUsageResponse) -> Share {
    let all = usage.volumes.as_deref().unwrap_or_default();
    let mut share = Share {
        total: all.len(),
        percent: true,
        ..Share::default()
    };
    for data in all.iter().filter_map(|volume| volume.usage_data.as_ref()) {
        let bytes = data.size.max(0);
        share.bytes += bytes;
        match data.ref_count {
            ..=0 => share.reclaimable += bytes,
            _ => share.active += 1,
        }
    }
    share
}

fn build_cache(usage: &SystemDataUsageResponse) -> Share {
    let all = usage.build_cache.as_deref().unwrap_or_default();
    let mut share = Share {
        total: all.len(),
        ..Share::default()
    };
    for cached in all {
        let bytes = cached.size.unwrap_or_default();
        if cached.in_use.unwrap_or_default() {
            share.active += 1;
        } else if !cached.shared.unwrap_or_default() {
            share.reclaimable += bytes;
        }
        if !cached.shared.unwrap_or_default() {
            share.bytes += bytes;
        }
    }
    share
}
