//! Ages as Docker words them: `Less than a second`, `About a minute`, `5 hours`.
//!
//! The steps are go-units': seconds to a minute, minutes to an hour, then hours to two
//! days, days to two weeks, weeks to two months and months to two years, so that an age
//! never reads "1 days".

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The words for a span of `seconds`; a negative one counts as nothing.
pub(crate) fn words(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let minutes = whole / 60;
    // Hours are rounded, all that is longer is cut, as go-units does.
    let hours = (seconds.max(0.0) / 3600.0 + 0.5) as u64;
    match (whole, minutes, hours) {
        (0, ..) => "Less than a second".into(),
        (1, ..) => "1 second".into(),
        (2..60, ..) => format!("{whole} seconds"),
        (_, 1, _) => "About a minute".into(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".into(),
        (_, _, 0..48) => format!("{hours} hours"),
        (_, _, 48..336) => format!("{} days", hours / 24),
        (_, _, 336..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", whole / 3600 / 24 / 365),
    }
}

/// `words` of the time from `created` (Unix seconds) to now, with `ago`.
pub(crate) fn since(created: i64) -> String {
    let now = Timestamp::now().as_duration().as_secs_f64();
    format!("{} ago", words(now - created as f64))
}

/// A moment as Go prints one: `2026-11-21 02:50:38 +0000 UTC`, in local time.
pub(crate) fn moment(created: i64) -> String {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    moment_in(created, ZONE.get_or_init(local_zone).clone())
}

/// This host's zone from its one file. Asked in general, the whole zone database is gone
/// through, which costs more than all the rest of a list.
fn local_zone() -> TimeZone {
    if std::env::var_os("TZ").is_some_and(|zone| !zone.is_empty()) {
        return TimeZone::system();
    }
    let file = std::fs::read("/etc/localtime").ok();
    file.and_then(|data| TimeZone::tzif("Local", &data).ok())
        .unwrap_or(TimeZone::UTC)
}

fn moment_in(created: i64, zone: TimeZone) -> String {
    match Timestamp::from_second(created) {
        Ok(at) => at
            .to_zoned(zone)
            .strftime("%Y-%m-%d %H:%M:%S %z %Z")
            .to_string(),
        Err(_) => created.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_step_up_as_dockers_do() {
        const HOUR: f64 = 3600.0;
        const DAY: f64 = 24.0 * HOUR;
        for (seconds, expected) in [
            (-3.0, "Less than a second"),
            (0.9, "Less than a second"),
            (1.0, "1 second"),
            (59.9, "59 seconds"),
            (60.0, "About a minute"),
            (119.0, "About a minute"),
            (120.0, "2 minutes"),
            (3599.0, "59 minutes"),
            (HOUR, "About an hour"),
            (1.4 * HOUR, "About an hour"),
            (1.5 * HOUR, "2 hours"),
            (47.4 * HOUR, "47 hours"),
            (47.5 * HOUR, "2 days"),
            (13.0 * DAY, "13 days"),
            (14.0 * DAY, "2 weeks"),
            (59.0 * DAY, "8 weeks"),
            (60.0 * DAY, "2 months"),
            (729.0 * DAY, "24 months"),
            (731.0 * DAY, "2 years"),
        ] {
            assert_eq!(words(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_moment_reads_as_go_prints_it() {
        assert_eq!(
            moment_in(1_795_231_730, TimeZone::UTC),
            "2026-11-21 03:28:50 +0000 UTC"
        );
    }
}
