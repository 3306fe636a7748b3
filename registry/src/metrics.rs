//! Figures for Prometheus, in its text form.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};

/// Upper bounds of the classes of durations, in seconds.
const CLASSES: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

/// What was counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    at_work: AtomicI64,
    received: AtomicU64,
    sent: AtomicU64,
    requests: Mutex<BTreeMap<Key, u64>>,
    durations: Mutex<BTreeMap<&'static str, Durations>>,
}

type Key = (&'static str, &'static str, u16);

#[derive(Debug, Default)]
struct Durations {
    classes: [u64; CLASSES.len()],
    count: u64,
    seconds: f64,
}

/// A request that was answered.
pub(crate) struct Seen<'a> {
    pub(crate) endpoint: &'static str,
    pub(crate) method: &'a Method,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// A request is at work while this lives.
pub(crate) struct AtWork<'a>(&'a AtomicI64);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn begin(&self) -> AtWork<'_> {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(&self.at_work)
    }

    pub(crate) fn record(&self, seen: &Seen<'_>) {
        self.received.fetch_add(seen.received, Ordering::Relaxed);
        self.sent.fetch_add(seen.sent, Ordering::Relaxed);
        let key = (seen.endpoint, method(seen.method), seen.status.as_u16());
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(key).or_default() += 1;
        drop(requests);
        let mut durations = self
            .durations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let durations = durations.entry(seen.endpoint).or_default();
        let seconds = seen.took.as_secs_f64();
        durations.count += 1;
        durations.seconds += seconds;
        for (class, most) in durations.classes.iter_mut().zip(CLASSES) {
            *class += u64::from(seconds <= most);
        }
    }

    pub(crate) fn show(&self) -> String {
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, lines: &[String]| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "# HELP hull_registry_{name} {help}");
            let _ = writeln!(out, "# TYPE hull_registry_{name} {kind}");
            for line in lines {
                let _ = writeln!(out, "hull_registry_{line}");
            }
        };
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<String> = requests
            .iter()
            .map(|((endpoint, method, status), count)| {
                format!(
                    "requests_total{{endpoint=\"{endpoint}\",method=\"{method}\",code=\"{status}\"}} {count}"
                )
            })
            .collect();
        family(
            "requests_total",
            "counter",
            "Requests that were answered.",
            &lines,
        );
        let durations = self
            .durations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        for (endpoint, durations) in durations.iter() {
            let name = "request_duration_seconds";
            for (count, most) in durations.classes.iter().zip(CLASSES) {
                lines.push(format!(
                    "{name}_bucket{{endpoint=\"{endpoint}\",le=\"{most}\"}} {count}"
                ));
            }
            let count = durations.count;
            lines.push(format!(
                "{name}_bucket{{endpoint=\"{endpoint}\",le=\"+Inf\"}} {count}"
            ));
            let seconds = durations.seconds;
            lines.push(format!("{name}_sum{{endpoint=\"{endpoint}\"}} {seconds}"));
            lines.push(format!("{name}_count{{endpoint=\"{endpoint}\"}} {count}"));
        }
        let help = "How long answers took to begin.";
        family("request_duration_seconds", "histogram", help, &lines);
        let number = |name: &str, value: &dyn std::fmt::Display| vec![format!("{name} {value}")];
        let received = self.received.load(Ordering::Relaxed);
        let lines = number("received_bytes_total", &received);
        family(
            "received_bytes_total",
            "counter",
            "Bytes of bodies from clients.",
            &lines,
        );
        let sent = self.sent.load(Ordering::Relaxed);
        let lines = number("sent_bytes_total", &sent);
        family(
            "sent_bytes_total",
            "counter",
            "Bytes of bodies to clients.",
            &lines,
        );
        let at_work = self.at_work.load(Ordering::Relaxed);
        let lines = number("requests_in_flight", &at_work);
        family("requests_in_flight", "gauge", "Requests at work.", &lines);
        out
    }
}

/// The methods that there are: a client's own invention must not become a line of its own.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted() {
        let metrics = Metrics::default();
        let _at_work = metrics.begin();
        for millis in [2, 200] {
            metrics.record(&Seen {
                endpoint: "blob",
                method: &Method::GET,
                status: StatusCode::OK,
                took: Duration::from_millis(millis),
                received: 1,
                sent: 10,
            });
        }
        let text = metrics.show();
        for line in [
            "hull_registry_requests_total{endpoint=\"blob\",method=\"GET\",code=\"200\"} 2",
            "hull_registry_request_duration_seconds_bucket{endpoint=\"blob\",le=\"0.005\"} 1",
            "hull_registry_request_duration_seconds_bucket{endpoint=\"blob\",le=\"+Inf\"} 2",
            "hull_registry_received_bytes_total 2",
            "hull_registry_sent_bytes_total 20",
            "hull_registry_requests_in_flight 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
