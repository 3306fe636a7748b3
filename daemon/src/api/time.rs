//! Moments in queries: seconds since 1970 with or without a fraction, or RFC 3339.

use hull_engine::Timestamp;
use hyper::StatusCode;

use crate::http::ApiError;

const NANOS: i64 = 1_000_000_000;

/// Reads the value of a parameter. What is no moment is a failure of the server's, as in Docker.
pub(super) fn parse(text: &str) -> Result<Timestamp, ApiError> {
    unix(text).or_else(|| text.parse().ok()).ok_or_else(|| {
        let message = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    })
}

/// Reads the one value of an `until` filter: a moment, or how long ago (`1h30m`).
pub(super) fn filter(values: &[String]) -> Result<Timestamp, ApiError> {
    let [text] = values else {
        return Err(ApiError::bad_request(
            "more than one until filter specified",
        ));
    };
    let ago = || Some(Timestamp(Timestamp::now().0.checked_sub(duration(text)?)?));
    let moment = ago().or_else(|| unix(text)).or_else(|| date(text));
    moment.ok_or_else(|| {
        ApiError::bad_request(format!(
            "failed to parse value as time or duration: {text:?}"
        ))
    })
}

/// RFC 3339, of which everything behind the day may be missing; then it is UTC.
fn date(text: &str) -> Option<Timestamp> {
    let completed = ["", "Z", ":00Z", ":00:00Z", "T00:00:00Z"];
    completed
        .iter()
        .find_map(|rest| format!("{text}{rest}").parse().ok())
}

/// Go's durations in nanoseconds: `24h`, `1h30m`, `1.5s`.
fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: f64 = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let nanos = match unit {
            "h" => 3600.0 * NANOS as f64,
            "m" => 60.0 * NANOS as f64,
            "s" => NANOS as f64,
            "ms" => 1e6,
            "us" | "µs" => 1e3,
            "ns" => 1.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * nanos;
        rest = tail;
    }
    (!text.is_empty() && total < i64::MAX as f64).then_some(total as i64)
}

fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(9)
        .collect();
    let nanos: i64 = digits.parse().ok()?;
    let whole = seconds.parse::<i64>().ok()?.checked_mul(NANOS)?;
    let nanos = if seconds.starts_with('-') {
        -nanos
    } else {
        nanos
    };
    whole.checked_add(nanos).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_until_filter_is_a_moment_or_an_age() {
        for (text, expected) in [
            ("24h", Some(24 * 3600 * NANOS)),
            ("1h30m", Some(5400 * NANOS)),
            ("1.5s", Some(1_500_000_000)),
            ("10", None),
            ("h", None),
            ("1d", None),
            ("99999999999h", None),
            ("", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
        let moment = |text: &str| filter(&[text.to_owned()]).ok().map(|t| t.0);
        assert_eq!(moment("1.5"), Some(1_500_000_000));
        assert_eq!(moment("1970-01-01T00:00:02"), Some(2 * NANOS));
        assert_eq!(moment("1970-01-02"), Some(86_400 * NANOS));
        assert!(moment("1h").is_some());
        assert_eq!(moment("bogus"), None);
    }

    #[test]
    fn moments_are_seconds_or_dates() {
        for (text, expected) in [
            ("1", Some(NANOS)),
            ("1.5", Some(1_500_000_000)),
            ("1795231760.000000001", Some(1_795_231_760_000_000_001)),
            ("-1.5", Some(-1_500_000_000)),
            ("1970-01-01T00:00:02Z", Some(2 * NANOS)),
            ("1.x", None),
            ("", None),
            ("99999999999999", None),
            ("now", None),
        ] {
            assert_eq!(parse(text).ok().map(|t| t.0), expected, "{text}");
        }
    }
}
