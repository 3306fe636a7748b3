//! `GET /containers/{id}/stats`: what a container uses, once or every second.
//!
//! Clients make percentages of two readings, so each line holds the one before as well. With
//! `stream=false` Docker waits for a second reading; with `one-shot=true` it does not.

use futures_util::stream;
use hull_engine::api::{CpuUsage, StatsSample, Usage};
use hull_engine::{StatsStream, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::App;
use crate::http::{ApiError, Reply, Request};

/// Go's zero time, which stands for never.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) async fn stats(app: App, request: Request) -> Result<Reply, ApiError> {
    let query = &request.query;
    let stream = query.text("stream").is_none() || query.flag("stream");
    let one_shot = query.flag("one-shot");
    if stream && one_shot {
        return Err(ApiError::bad_request(
            "cannot have stream=true and one-shot=true",
        ));
    }
    if stream {
        let samples = Samples::new(app.engine.watch_stats(request.id())?);
        let lines = stream::unfold(samples, async |mut samples| {
            Some((samples.next().await?, samples))
        });
        return Ok(Reply::json_lines(lines, request.gone));
    }
    let first = app.engine.stats(request.id()).await?;
    if one_shot || first.usage.is_none() {
        return Reply::json(&line(&first, None));
    }
    let mut samples = Samples::new(app.engine.watch_stats(request.id())?);
    // The first is there to be compared with.
    samples.next().await;
    let second = samples.next().await;
    Reply::json(&second.unwrap_or_else(|| line(&first, None)))
}

/// Readings with the one before each.
struct Samples {
    stream: StatsStream,
    before: Option<Usage>,
}

impl Samples {
    fn new(stream: StatsStream) -> Self {
        Self {
            stream,
            before: None,
        }
    }

    async fn next(&mut self) -> Option<Line> {
        let sample = self.stream.next().await?;
        let line = line(&sample, self.before.as_ref());
        self.before = sample.usage;
        Some(line)
    }
}

/// Docker's names and order.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    id: String,
    read: String,
    preread: String,
    pids_stats: Value,
    blkio_stats: Blkio,
    num_procs: u32,
    storage_stats: Value,
    cpu_stats: Cpu,
    precpu_stats: Cpu,
    memory_stats: Value,
}

#[derive(Debug, Default, Serialize)]
struct Cpu {
    cpu_usage: CpuTimes,
    #[serde(skip_serializing_if = "is_zero")]
    system_cpu_usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    online_cpus: u64,
    throttling_data: Throttling,
}

#[derive(Debug, Default, Serialize)]
struct CpuTimes {
    total_usage: u64,
    usage_in_kernelmode: u64,
    usage_in_usermode: u64,
}

#[derive(Debug, Default, Serialize)]
struct Throttling {
    periods: u64,
    throttled_periods: u64,
    throttled_time: u64,
}

/// Cgroup v2 counts bytes only; the others are what it leaves empty in Docker.
#[derive(Debug, Default, Serialize)]
struct Blkio {
    io_service_bytes_recursive: Option<Vec<Value>>,
    io_serviced_recursive: Option<Vec<Value>>,
    io_queue_recursive: Option<Vec<Value>>,
    io_service_time_recursive: Option<Vec<Value>>,
    io_wait_time_recursive: Option<Vec<Value>>,
    io_merged_recursive: Option<Vec<Value>>,
    io_time_recursive: Option<Vec<Value>>,
    sectors_recursive: Option<Vec<Value>>,
}

// Serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn line(sample: &StatsSample, before: Option<&Usage>) -> Line {
    let moment =
        |usage: Option<&Usage>| usage.map_or(NEVER.to_owned(), |u| Timestamp::to_string(&u.read));
    let usage = sample.usage.as_ref();
    let before = before.filter(|_| usage.is_some());
    Line {
        name: format!("/{}", sample.name),
        id: sample.id.to_string(),
        read: moment(usage),
        preread: moment(before),
        pids_stats: usage.map_or_else(|| json!({}), pids),
        blkio_stats: Blkio {
            io_service_bytes_recursive: usage.map(devices).filter(|d| !d.is_empty()),
            ..Blkio::default()
        },
        num_procs: 0,
        storage_stats: json!({}),
        cpu_stats: usage.map(|u| cpu(&u.cpu)).unwrap_or_default(),
        precpu_stats: before.map(|u| cpu(&u.cpu)).unwrap_or_default(),
        memory_stats: usage.map_or_else(|| json!({}), memory),
    }
}

fn pids(usage: &Usage) -> Value {
    // No limit is the largest number there is.
    json!({ "current": usage.pids, "limit": usage.pids_limit.unwrap_or(u64::MAX) })
}

fn memory(usage: &Usage) -> Value {
    let memory = &usage.memory;
    json!({ "usage": memory.usage, "stats": memory.stats, "limit": memory.limit })
}

fn devices(usage: &Usage) -> Vec<Value> {
    let both = usage.io.iter().flat_map(|d| {
        [("read", d.read), ("write", d.written)].map(
            |(op, value)| json!({ "major": d.major, "minor": d.minor, "op": op, "value": value }),
        )
    });
    both.collect()
}

fn cpu(usage: &CpuUsage) -> Cpu {
    Cpu {
        cpu_usage: CpuTimes {
            total_usage: usage.total,
            usage_in_kernelmode: usage.kernel,
            usage_in_usermode: usage.user,
        },
        system_cpu_usage: usage.system,
        online_cpus: u64::from(usage.online),
        throttling_data: Throttling {
            periods: usage.periods,
            throttled_periods: usage.throttled_periods,
            throttled_time: usage.throttled,
        },
    }
}

#[cfg(test)]
mod tests {
    use hull_engine::api::{DeviceUsage, MemoryUsage};

    use super::*;
    use crate::golden;

    fn sample(usage: Option<Usage>) -> StatsSample {
        let id = "55afcfd24cbe727036744fabdb7e831c85fe2baff826279d5e941780dcd96dbf";
        StatsSample {
            id: id.parse().unwrap(),
            name: "web".parse().unwrap(),
            usage,
        }
    }

    fn usage(seconds: i64) -> Usage {
        let total = u64::try_from(seconds).unwrap() * 1_000_000_000;
        Usage {
            read: Timestamp((1_795_231_737 + seconds) * 1_000_000_000),
            cpu: CpuUsage {
                total,
                user: total / 2,
                kernel: total / 2,
                system: 2 * total,
                online: 2,
                ..CpuUsage::default()
            },
            memory: MemoryUsage {
                usage: 638_976,
                limit: 64 << 20,
                stats: [("inactive_file".to_owned(), 4096)].into(),
            },
            pids: 1,
            pids_limit: None,
            io: vec![DeviceUsage {
                major: 254,
                minor: 0,
                read: 512,
                written: 1024,
            }],
        }
    }

    #[test]
    fn a_reading_is_shown_as_docker_shows_it() {
        let line = line(&sample(Some(usage(2))), Some(&usage(1)));
        golden::check("container-stats.json", &line);
    }

    #[test]
    fn a_container_that_does_not_run_has_no_figures() {
        golden::check("container-stats-stopped.json", &line(&sample(None), None));
        // Nor any to compare with.
        let after_its_end = line(&sample(None), Some(&usage(1)));
        assert_eq!(after_its_end.precpu_stats.cpu_usage.total_usage, 0);
    }
}
