//! Times that users give: `42m` ago, `2013-01-02T13:23:37Z`, a Unix time. The daemon takes
//! Unix seconds only.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::spec::units::Nanoseconds;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value for \"{flag}\": failed to parse value as time or duration: \"{value}\"")]
pub(crate) struct MomentError {
    flag: &'static str,
    value: String,
}

/// As [`unix`], for a verb that does not say which flag was meant.
pub(crate) fn unix_of(value: &str) -> Result<String, String> {
    let nameless = |_| format!("failed to parse value as time or duration: \"{value}\"");
    unix("", value).map_err(nameless)
}

/// The value of `flag` in Unix seconds, with a fraction where it has one.
pub(crate) fn unix(flag: &'static str, value: &str) -> Result<String, MomentError> {
    at(flag, value, Timestamp::now(), &TimeZone::system())
}

fn at(
    flag: &'static str,
    value: &str,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<String, MomentError> {
    if value != "0"
        && let Ok(Nanoseconds(ago)) = value.parse()
    {
        let then = now.as_nanosecond().saturating_sub(i128::from(ago));
        return Ok(then.div_euclid(1_000_000_000).to_string());
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if value.split('.').all(digits) && value.split('.').count() <= 2 {
        return Ok(value.to_owned());
    }
    let parsed = value
        .parse::<Timestamp>()
        .ok()
        .or_else(|| local(value, zone));
    match parsed {
        Some(time) => Ok(format!(
            "{}.{:09}",
            time.as_second(),
            time.subsec_nanosecond()
        )),
        None => Err(MomentError {
            flag,
            value: value.to_owned(),
        }),
    }
}

/// A date, with a time to any precision or none, in our own time zone.
fn local(value: &str, zone: &TimeZone) -> Option<Timestamp> {
    let civil: DateTime = match value.parse() {
        Ok(civil) => civil,
        // `2013-01-02T15` is an hour.
        Err(_) => format!("{value}:00").parse().ok()?,
    };
    Some(civil.to_zoned(zone.clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_docker_reads_them() {
        let now = Timestamp::from_second(1_000_000).expect("in range");
        for (value, expected) in [
            ("10m", Some("999400")),
            ("1h", Some("996400")),
            ("0", Some("0")),
            ("1136073845", Some("1136073845")),
            ("1136073845.000000001", Some("1136073845.000000001")),
            ("2013-01-02T13:23:37Z", Some("1357133017.000000000")),
            ("2013-01-02T13:23:37.5+01:00", Some("1357129417.500000000")),
            ("2013-01-02T13:23:37", Some("1357133017.000000000")),
            ("2013-01-02T13:23", Some("1357132980.000000000")),
            ("2013-01-02", Some("1357084800.000000000")),
            ("bogus", None),
            ("", None),
        ] {
            let read = at("since", value, now, &TimeZone::UTC).ok();
            assert_eq!(read.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn the_complaint_names_the_flag() {
        let error = unix("since", "bogus").expect_err("refused").to_string();
        let expected =
            "invalid value for \"since\": failed to parse value as time or duration: \"bogus\"";
        assert_eq!(error, expected);
    }
}
