//! Health checks, pure: what is to be run how often, and what a result makes of a container's
//! health. The numbers and rules are Docker's.
//!
//! ```text
//!  starting ── a check passes ──► healthy ◄── a check passes ── unhealthy
//!      └─ retries fail in a row ─────┴── retries fail in a row ─────▲
//!         (not counted in the start period)
//! ```

use std::time::Duration;

use hull_images::Healthcheck;

use crate::api::{Checked, Config, Health, HealthStatus};
use crate::error::EngineError;
use crate::time::{Timestamp, lasted};

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;
/// The shortest span that is not zero.
const LEAST_NANOS: i64 = 1_000_000;
/// How many checks are remembered.
const KEPT: usize = 5;
/// How much of what a check says is kept, in bytes.
const MOST_OUTPUT: usize = 4096;

/// What is checked, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) command: Vec<String>,
    pub(crate) timeout: Duration,
    interval: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
}

/// Refuses what cannot be meant.
pub(crate) fn judge(check: &Healthcheck) -> Result<(), EngineError> {
    let invalid = |why: String| Err(EngineError::Invalid(why));
    for (name, nanos) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ] {
        if nanos != 0 && nanos < LEAST_NANOS {
            return invalid(format!("{name} in Healthcheck cannot be less than 1ms"));
        }
    }
    if check.retries < 0 {
        return invalid("Retries in Healthcheck cannot be negative".to_owned());
    }
    match check.test.as_deref().unwrap_or_default() {
        [] => Ok(()),
        [kind, ..] if matches!(kind.as_str(), "NONE" | "CMD" | "CMD-SHELL") => Ok(()),
        [kind, ..] => invalid(format!(
            "unknown type of Healthcheck '{kind}': use one of 'NONE', 'CMD', or 'CMD-SHELL'"
        )),
    }
}

/// A request's check on top of its image's: what is not said is the image's.
pub(crate) fn merge(
    given: Option<Healthcheck>,
    image: Option<&Healthcheck>,
) -> Option<Healthcheck> {
    let (Some(mut check), Some(image)) = (given.clone(), image) else {
        return given.or_else(|| image.cloned());
    };
    if check.test.as_ref().is_none_or(Vec::is_empty) {
        check.test = image.test.clone();
    }
    for (value, other) in [
        (&mut check.interval, image.interval),
        (&mut check.timeout, image.timeout),
        (&mut check.start_period, image.start_period),
        (&mut check.start_interval, image.start_interval),
        (&mut check.retries, image.retries),
    ] {
        if *value == 0 {
            *value = other;
        }
    }
    Some(check)
}

impl Check {
    /// A container's; `None` where nothing is checked.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let check = config.healthcheck.as_ref()?;
        let span = |nanos: i64, otherwise| match u64::try_from(nanos) {
            Ok(0) | Err(_) => otherwise,
            Ok(nanos) => Duration::from_nanos(nanos),
        };
        let (kind, rest) = check.test.as_ref()?.split_first()?;
        let command = match kind.as_str() {
            "CMD" => rest.to_vec(),
            "CMD-SHELL" => shell(config).into_iter().chain(rest.to_vec()).collect(),
            _ => return None,
        };
        (!command.is_empty()).then(|| Self {
            command,
            interval: span(check.interval, INTERVAL),
            timeout: span(check.timeout, TIMEOUT),
            start_period: span(check.start_period, Duration::ZERO),
            start_interval: span(check.start_interval, START_INTERVAL),
            retries: match u32::try_from(check.retries) {
                Ok(0) | Err(_) => RETRIES,
                Ok(retries) => retries,
            },
        })
    }

    /// How long until the next check.
    pub(crate) fn pause(&self, status: HealthStatus, up: Duration) -> Duration {
        match status {
            HealthStatus::Starting if up < self.start_period => {
                self.start_interval.min(self.interval)
            }
            _ => self.interval,
        }
    }

    /// Takes a result into account; whether the status is another now.
    pub(crate) fn record(
        &self,
        health: &mut Health,
        result: Checked,
        started: Option<Timestamp>,
    ) -> bool {
        let before = health.status;
        let up = lasted(started, result.start);
        if result.exit_code == 0 {
            health.failing_streak = 0;
            health.status = HealthStatus::Healthy;
        } else if before != HealthStatus::Starting || up >= self.start_period {
            health.failing_streak = health.failing_streak.saturating_add(1);
            if health.failing_streak >= self.retries {
                health.status = HealthStatus::Unhealthy;
            }
        }
        if health.log.len() >= KEPT {
            health.log.remove(0);
        }
        health.log.push(result);
        health.status != before
    }
}

/// What reads a `CMD-SHELL`: the image's `SHELL`, or `/bin/sh -c`.
fn shell(config: &Config) -> Vec<String> {
    let own = config.other.get("Shell").and_then(|shell| {
        serde_json::from_value::<Vec<String>>(shell.clone())
            .ok()
            .filter(|shell| !shell.is_empty())
    });
    own.unwrap_or_else(|| ["/bin/sh", "-c"].map(str::to_owned).to_vec())
}

/// What a check says, as far as it is kept. The guest writes it: it never takes more room.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    cut: bool,
}

impl Output {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = MOST_OUTPUT.saturating_sub(self.bytes.len());
        let (kept, rest) = bytes.split_at(room.min(bytes.len()));
        self.bytes.extend_from_slice(kept);
        self.cut |= !rest.is_empty();
    }

    pub(crate) fn text(&self) -> String {
        let end = if self.cut { "..." } else { "" };
        format!("{}{end}", String::from_utf8_lossy(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn config(json: serde_json::Value) -> Config {
        serde_json::from_value(json).unwrap()
    }

    fn check(json: &serde_json::Value) -> Check {
        Check::of(&config(json!({ "Healthcheck": json }))).unwrap()
    }

    fn result(exit_code: i32, second: i64) -> Checked {
        Checked {
            start: Timestamp(second * 1_000_000_000),
            end: Timestamp(second * 1_000_000_000),
            exit_code,
            output: String::new(),
        }
    }

    #[test]
    fn what_is_run_depends_on_the_first_word() {
        for (config_json, command) in [
            (json!({}), None),
            (json!({ "Healthcheck": { "Test": ["NONE"] } }), None),
            (json!({ "Healthcheck": { "Test": [] } }), None),
            (json!({ "Healthcheck": { "Interval": 5 } }), None),
            (json!({ "Healthcheck": { "Test": ["CMD"] } }), None),
            (
                json!({ "Healthcheck": { "Test": ["CMD", "a", "b"] } }),
                Some(vec!["a", "b"]),
            ),
            (
                json!({ "Healthcheck": { "Test": ["CMD-SHELL", "a b"] } }),
                Some(vec!["/bin/sh", "-c", "a b"]),
            ),
            (
                json!({ "Healthcheck": { "Test": ["CMD-SHELL", "a"] }, "Shell": ["bash", "-ec"] }),
                Some(vec!["bash", "-ec", "a"]),
            ),
        ] {
            let got = Check::of(&config(config_json.clone())).map(|c| c.command);
            let wanted = command.map(|c| c.into_iter().map(str::to_owned).collect());
            assert_eq!(got, wanted, "{config_json}");
        }
    }

    #[test]
    fn what_is_not_said_is_the_images_and_then_dockers() {
        let parsed = |json| serde_json::from_value::<Healthcheck>(json).unwrap();
        let image = parsed(json!({ "Test": ["CMD", "x"], "Interval": 7, "Retries": 4 }));
        let given = parsed(json!({ "Interval": 9 }));
        let merged = merge(Some(given.clone()), Some(&image)).unwrap();
        assert_eq!(
            merged,
            parsed(json!({ "Test": ["CMD", "x"], "Interval": 9, "Retries": 4 }))
        );
        assert_eq!(merge(None, Some(&image)), Some(image));
        assert_eq!(merge(Some(given.clone()), None), Some(given));
        let plain = check(&json!({ "Test": ["CMD", "x"] }));
        assert_eq!(plain.timeout, TIMEOUT);
        assert_eq!(
            plain.pause(HealthStatus::Starting, Duration::ZERO),
            INTERVAL
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let told = |json| {
            let check = serde_json::from_value::<Healthcheck>(json).unwrap();
            judge(&check).map_err(|e| e.to_string())
        };
        assert_eq!(
            told(json!({ "Test": ["CMD", "x"], "Interval": 1_000_000 })),
            Ok(())
        );
        assert_eq!(
            told(json!({ "Timeout": 5 })).unwrap_err(),
            "Timeout in Healthcheck cannot be less than 1ms"
        );
        assert_eq!(
            told(json!({ "Retries": -1 })).unwrap_err(),
            "Retries in Healthcheck cannot be negative"
        );
        assert!(told(json!({ "Test": ["curl"] })).is_err());
    }

    #[test]
    fn failures_in_a_row_make_it_unhealthy_and_one_success_healthy() {
        let check = check(&json!({ "Test": ["CMD", "x"], "Retries": 2 }));
        let mut health = Health::default();
        let mut seen = Vec::new();
        for code in [1, 0, 1, 0, 1, 2, 1, 0] {
            let changed = check.record(&mut health, result(code, 1), Some(Timestamp(0)));
            seen.push((health.status, health.failing_streak, changed));
        }
        use HealthStatus::*;
        assert_eq!(
            seen,
            [
                (Starting, 1, false),
                (Healthy, 0, true),
                (Healthy, 1, false),
                (Healthy, 0, false),
                (Healthy, 1, false),
                (Unhealthy, 2, true),
                (Unhealthy, 3, false),
                (Healthy, 0, true),
            ]
        );
        assert_eq!(health.log.len(), KEPT);
    }

    #[test]
    fn failures_in_the_start_period_do_not_count_until_one_has_passed() {
        let check = check(&json!({
            "Test": ["CMD", "x"], "Retries": 1, "Interval": 60_000_000_000u64,
            "StartPeriod": 10_000_000_000u64, "StartInterval": 2_000_000_000u64,
        }));
        let started = Some(Timestamp(0));
        let mut health = Health::default();
        assert!(!check.record(&mut health, result(1, 9), started));
        assert_eq!(
            (health.status, health.failing_streak),
            (HealthStatus::Starting, 0)
        );
        let pause = |status, up| check.pause(status, Duration::from_secs(up)).as_secs();
        assert_eq!(pause(HealthStatus::Starting, 9), 2);
        assert_eq!(pause(HealthStatus::Starting, 10), 60);
        assert_eq!(pause(HealthStatus::Healthy, 1), 60);
        assert!(check.record(&mut health, result(0, 3), started));
        assert!(check.record(&mut health, result(1, 4), started));
        assert_eq!(health.status, HealthStatus::Unhealthy);
    }

    proptest! {
        #[test]
        fn output_never_takes_more_room(pieces in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..3000), 0..6,
        )) {
            let mut output = Output::default();
            pieces.iter().for_each(|piece| output.push(piece));
            let whole = pieces.concat();
            prop_assert!(output.bytes.len() <= MOST_OUTPUT);
            prop_assert_eq!(&output.bytes[..], &whole[..whole.len().min(MOST_OUTPUT)]);
            prop_assert_eq!(output.cut, whole.len() > MOST_OUTPUT);
            prop_assert!(!output.cut || output.text().ends_with("..."));
        }
    }
}
