//! Moments, as Docker writes them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds since 1970, UTC. Shown as RFC 3339 with as many digits as it needs, as Go does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment.
    pub fn now() -> Self {
        Self(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX))
    }

    /// Whole seconds.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Always nine digits after the point, as `docker logs --timestamps` prints it.
    pub fn fixed(self) -> String {
        format!("{:.9}", self.civil())
    }

    /// The guest's clock gives `u64`, and may lie.
    pub(crate) fn from_guest(nanos: u64) -> Self {
        Self(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    fn civil(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default()
    }
}

/// How long it was from one moment, if it ever was, to another.
pub(crate) fn lasted(from: Option<Timestamp>, to: Timestamp) -> Duration {
    let nanos = from.map_or(0, |from| to.0.saturating_sub(from.0));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// A length of time as Go prints it: `1m30s`, `1.5s`, `100ms`.
pub(crate) fn as_go(time: Duration) -> String {
    let (minutes, seconds) = (time.as_secs() / 60, time.as_secs() % 60);
    if minutes == 0 {
        return format!("{time:?}");
    }
    let fraction = format!("{:09}", time.subsec_nanos());
    let point = match fraction.trim_end_matches('0') {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes}m{seconds}{point}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}{point}s"),
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.civil().fmt(f)
    }
}

/// Not an RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("not a time: {0}")]
pub struct NotATime(String);

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parsed: jiff::Timestamp = s.parse().map_err(|_| NotATime(s.to_owned()))?;
        i64::try_from(parsed.as_nanosecond())
            .map(Self)
            .map_err(|_| NotATime(s.to_owned()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(Rfc3339)
    }
}

/// Reads a moment where it stands, without a string of its own: a log has millions of them.
struct Rfc3339;

impl Visitor<'_> for Rfc3339 {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 time")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_go_shows_it() {
        assert_eq!(
            Timestamp(1_500_000_000).to_string(),
            "1970-01-01T00:00:01.5Z"
        );
        assert_eq!(Timestamp(1_000_000_000).to_string(), "1970-01-01T00:00:01Z");
        assert_eq!(
            Timestamp(1_500_000_000).fixed(),
            "1970-01-01T00:00:01.500000000Z"
        );
    }

    #[test]
    fn lengths_of_time_are_gos() {
        for (millis, shown) in [
            (100, "100ms"),
            (1500, "1.5s"),
            (30_000, "30s"),
            (60_000, "1m0s"),
            (90_250, "1m30.25s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(as_go(Duration::from_millis(millis)), shown);
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let t = Timestamp(1_800_000_000_123_456_789);
        assert_eq!(t.to_string().parse::<Timestamp>().unwrap(), t);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
