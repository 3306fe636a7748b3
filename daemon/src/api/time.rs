//! Moments in queries: seconds since 1970 with or without a fraction, or RFC 3339.

use hull_engine::Timestamp;

use crate::http::ApiError;

const NANOS: i64 = 1_000_000_000;

/// Reads the value of the parameter `name`.
pub(super) fn parse(name: &str, text: &str) -> Result<Timestamp, ApiError> {
    unix(text)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| ApiError::bad_request(format!("invalid value for {name:?}: {text:?}")))
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
            assert_eq!(parse("since", text).ok().map(|t| t.0), expected, "{text}");
        }
    }
}
