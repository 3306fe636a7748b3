//! Moments and spans of time as Go prints them.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// `2026-11-29 08:16:37.28553 +0000 UTC`, of a moment as JSON has it.
pub(super) fn printed(json: &str) -> String {
    let Ok(at) = json.parse::<Timestamp>() else {
        return json.to_owned();
    };
    // It stays in the offset in which it was written.
    let offset = offset(json).unwrap_or(Offset::UTC);
    let zoned = at.to_zoned(TimeZone::fixed(offset));
    let digits = zoned.strftime("%z").to_string();
    let zone = if offset == Offset::UTC {
        "UTC"
    } else {
        &digits
    };
    format!("{} {digits} {zone}", zoned.strftime("%Y-%m-%d %H:%M:%S%.f"))
}

fn offset(json: &str) -> Option<Offset> {
    let tail = json.get(json.len().checked_sub(6)?..)?;
    let (hours, minutes) = tail.split_once(':')?;
    let sign = match hours.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let seconds = hours[1..].parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    Offset::from_seconds(sign * seconds).ok()
}

/// `1m30s`, `1.5s`, `20ms`
pub(super) fn span(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let all = nanoseconds.unsigned_abs();
    let part = |unit: u64, name: &str| {
        let digits = unit.ilog10() as usize;
        let fraction = format!("{:0digits$}", all % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{}{point}{fraction}{name}", all / unit)
    };
    let text = match all {
        0 => "0s".into(),
        1..1_000 => part(1, "ns"),
        1_000..1_000_000 => part(1_000, "µs"),
        1_000_000..1_000_000_000 => part(1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (all / 60_000_000_000, all % 60_000_000_000);
            let fraction = format!("{:09}", rest % 1_000_000_000);
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            let seconds = format!("{}{point}{fraction}s", rest / 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_as_go_prints_them() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (5, "5ns"),
            (1_500, "1.5µs"),
            (20_000_000, "20ms"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_000_000_000, "-1s"),
        ] {
            assert_eq!(span(nanoseconds), expected);
        }
    }

    #[test]
    fn moments_keep_their_offset() {
        for (json, expected) in [
            (
                "2026-11-29T08:16:37.28553Z",
                "2026-11-29 08:16:37.28553 +0000 UTC",
            ),
            ("0001-01-01T00:00:00Z", "0001-01-01 00:00:00 +0000 UTC"),
            (
                "2026-11-29T10:16:37+02:00",
                "2026-11-29 10:16:37 +0200 +0200",
            ),
            ("never", "never"),
        ] {
            assert_eq!(printed(json), expected);
        }
    }
}
