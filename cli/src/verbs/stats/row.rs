//! From a daemon's figures to the cells that Docker makes of them.

use bollard::models::{ContainerCpuStats, ContainerMemoryStats, ContainerStatsResponse};

use crate::output::size;
use crate::output::text::short_id;
use crate::output::value::Value;

pub(super) const HEADERS: [(&str, &str); 9] = [
    ("BlockIO", "BLOCK I/O"),
    ("CPUPerc", "CPU %"),
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("MemPerc", "MEM %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("Name", "NAME"),
    ("NetIO", "NET I/O"),
    ("PIDs", "PIDS"),
];

/// Nothing is known.
const UNKNOWN: &str = "--";

/// A row; `container` is how it was named.
pub(super) fn row(container: &str, figures: Option<&ContainerStatsResponse>, trunc: bool) -> Value {
    let id = figures.and_then(|f| f.id.as_deref()).unwrap_or_default();
    let name = figures
        .and_then(|f| f.name.as_deref())
        .map(|name| name.trim_start_matches('/'))
        .filter(|name| !name.is_empty());
    let cell = |shown: &dyn Fn(&ContainerStatsResponse) -> String| {
        figures.map_or_else(|| UNKNOWN.to_owned(), shown)
    };
    let both = |pair: (u64, u64), of: fn(i64) -> String| {
        format!("{} / {}", of(signed(pair.0)), of(signed(pair.1)))
    };
    let memory = |f: &ContainerStatsResponse| f.memory_stats.as_ref().map(memory).unwrap_or((0, 0));
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    Value::Struct(vec![
        text("BlockIO", cell(&|f| both(block(f), size::short))),
        text("CPUPerc", cell(&|f| format!("{:.2}%", cpu_percent(f)))),
        text("Container", named(container)),
        text("ID", if trunc { short_id(id) } else { id.to_owned() }),
        text(
            "MemPerc",
            cell(&|f| {
                let (usage, limit) = memory(f);
                format!("{:.2}%", percent(usage as f64, limit as f64))
            }),
        ),
        text(
            "MemUsage",
            match figures {
                Some(f) => both(memory(f), size::binary),
                None => format!("{UNKNOWN} / {UNKNOWN}"),
            },
        ),
        text("Name", name.unwrap_or(UNKNOWN).to_owned()),
        text("NetIO", cell(&|f| both(network(f), size::short))),
        text(
            "PIDs",
            cell(&|f| {
                let pids = f.pids_stats.as_ref().and_then(|p| p.current);
                pids.unwrap_or(0).to_string()
            }),
        ),
    ])
}

/// An id is cut, wherever it came from; a name is not.
fn named(container: &str) -> String {
    let is_id = container.len() == 64 && container.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id {
        short_id(container)
    } else {
        container.to_owned()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What was used between the two readings, of one CPU's time.
fn cpu_percent(figures: &ContainerStatsResponse) -> f64 {
    let none = ContainerCpuStats::default();
    let now = figures.cpu_stats.as_ref().unwrap_or(&none);
    let before = figures.precpu_stats.as_ref().unwrap_or(&none);
    let total = |cpu: &ContainerCpuStats| {
        let usage = cpu.cpu_usage.as_ref().and_then(|u| u.total_usage);
        usage.unwrap_or(0) as f64
    };
    let system = |cpu: &ContainerCpuStats| cpu.system_cpu_usage.unwrap_or(0) as f64;
    let (used, passed) = (total(now) - total(before), system(now) - system(before));
    if used > 0.0 && passed > 0.0 {
        used / passed * f64::from(now.online_cpus.unwrap_or(1)) * 100.0
    } else {
        0.0
    }
}

/// Used without the page cache that is the first to go, and the limit.
fn memory(memory: &ContainerMemoryStats) -> (u64, u64) {
    let usage = memory.usage.unwrap_or(0);
    let stats = memory.stats.as_ref();
    // Version one of control groups has another name for it.
    let inactive = ["total_inactive_file", "inactive_file"]
        .iter()
        .find_map(|name| stats?.get(*name).copied())
        .filter(|inactive| *inactive < usage)
        .unwrap_or(0);
    (usage - inactive, memory.limit.unwrap_or(0))
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        part / whole * 100.0
    } else {
        0.0
    }
}

/// Read and written.
fn block(figures: &ContainerStatsResponse) -> (u64, u64) {
    let blkio = figures.blkio_stats.as_ref();
    let entries = blkio.and_then(|b| b.io_service_bytes_recursive.as_ref());
    let sum = |initial: char| {
        let mine = entries.into_iter().flatten().filter(|entry| {
            let op = entry.op.as_deref().and_then(|op| op.chars().next());
            op.is_some_and(|c| c.to_ascii_lowercase() == initial)
        });
        mine.filter_map(|entry| entry.value)
            .fold(0, u64::saturating_add)
    };
    (sum('r'), sum('w'))
}

/// Received and sent.
fn network(figures: &ContainerStatsResponse) -> (u64, u64) {
    let all = figures.networks.iter().flat_map(|n| n.values());
    all.fold((0, 0), |(received, sent), one| {
        (
            received.saturating_add(one.rx_bytes.unwrap_or(0)),
            sent.saturating_add(one.tx_bytes.unwrap_or(0)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(row: &Value, name: &str) -> String {
        let Value::Struct(fields) = row else {
            panic!("a row is a struct")
        };
        let found = fields.iter().find(|(key, _)| key == name);
        found.expect(name).1.to_string()
    }

    #[test]
    fn a_row_reads_as_dockers() {
        let figures = serde_json::from_str(
            r#"{"name":"/tp1","id":"85971415a3dce2689ffc2085cfa4db29","read":"2026-11-21T03:28:57Z",
            "preread":"2026-11-21T03:28:56Z","pids_stats":{"current":3,"limit":18446744073709551615},
            "blkio_stats":{"io_service_bytes_recursive":[
                {"major":254,"minor":0,"op":"read","value":682700},
                {"major":254,"minor":0,"op":"write","value":2066795}]},
            "cpu_stats":{"cpu_usage":{"total_usage":500000000},"system_cpu_usage":9000000000,"online_cpus":2},
            "precpu_stats":{"cpu_usage":{"total_usage":250000000},"system_cpu_usage":7000000000,"online_cpus":2},
            "memory_stats":{"usage":643072,"stats":{"inactive_file":4096},"limit":67108864},
            "networks":{"eth0":{"rx_bytes":266,"tx_bytes":84}}}"#,
        )
        .expect("figures");
        let row = row("tp1", Some(&figures), true);
        for (name, expected) in [
            ("Container", "tp1"),
            ("ID", "85971415a3dc"),
            ("Name", "tp1"),
            ("CPUPerc", "25.00%"),
            ("MemUsage", "624KiB / 64MiB"),
            ("MemPerc", "0.95%"),
            ("NetIO", "266B / 84B"),
            ("BlockIO", "683kB / 2.07MB"),
            ("PIDs", "3"),
        ] {
            assert_eq!(field(&row, name), expected, "{name}");
        }
    }

    #[test]
    fn one_that_does_not_run_uses_nothing() {
        let figures =
            serde_json::from_str(r#"{"name":"/x","id":"85","read":"0001-01-01T00:00:00Z"}"#);
        let row = row("x", Some(&figures.expect("figures")), true);
        assert_eq!(field(&row, "MemUsage"), "0B / 0B");
        assert_eq!(field(&row, "CPUPerc"), "0.00%");
    }

    #[test]
    fn one_of_which_nothing_is_known_yet_says_so() {
        let row = row("x", None, true);
        assert_eq!(field(&row, "MemUsage"), "-- / --");
        assert_eq!(field(&row, "Name"), "--");
    }

    #[test]
    fn every_header_is_a_field() {
        let Value::Struct(fields) = row("x", None, true) else {
            panic!("a row is a struct")
        };
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, HEADERS.map(|(name, _)| name));
    }
}
