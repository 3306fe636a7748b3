//! Numbers with Docker's spellings: `32m` of memory, `0.5` CPUs, `1m30s`, `nofile=1024:2048`.
//! The messages are the ones that Docker gives for the same slip.

use bollard::models::ResourcesUlimits;

/// Bytes with a binary suffix: `b k m g t p`, also `kb` and `kib`, in either case.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let lower = text.to_ascii_lowercase();
    let digits_end = lower
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(lower.len());
    let (digits, suffix) = lower.split_at(digits_end);
    let number: f64 = digits
        .parse()
        .map_err(|_| format!("invalid size: '{text}'"))?;
    let suffix = suffix.strip_prefix(' ').unwrap_or(suffix);
    let unit = match suffix {
        "" | "b" => "",
        other => other
            .strip_suffix("ib")
            .or(other.strip_suffix('b'))
            .unwrap_or(other),
    };
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    let total = number * 1024_f64.powi(power);
    if total > i64::MAX as f64 {
        Err(format!("invalid size: '{text}'"))
    } else {
        Ok(total as i64)
    }
}

/// CPUs in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NanoCpus(pub(crate) i64);

impl std::str::FromStr for NanoCpus {
    type Err = String;

    fn from_str(text: &str) -> Result<NanoCpus, String> {
        let bad = || format!("failed to parse {text} as a rational number");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return Err(bad());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 9 {
            return Err("value is too precise".into());
        }
        let whole: i64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| bad())?
        };
        let padded: i64 = format!("{fraction:0<9}").parse().map_err(|_| bad())?;
        let nanos = whole
            .checked_mul(1_000_000_000)
            .and_then(|nanos| nanos.checked_add(padded));
        nanos.map(NanoCpus).ok_or_else(bad)
    }
}

/// A span of time in nanoseconds, as Go writes one: `1h2m3.5s`, `300ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nanoseconds(pub(crate) i64);

impl std::str::FromStr for Nanoseconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Nanoseconds, String> {
        let bad = || format!("time: invalid duration \"{text}\"");
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1.0, rest),
            None => (1.0, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Nanoseconds(0));
        }
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total = 0.0;
        while !rest.is_empty() {
            let unit_at = rest
                .find(|c: char| !(c.is_ascii_digit() || c == '.'))
                .ok_or_else(|| format!("time: missing unit in duration \"{text}\""))?;
            let (number, tail) = rest.split_at(unit_at);
            let unit_end = tail
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(tail.len());
            let (unit, next) = tail.split_at(unit_end);
            let scale = match unit {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => {
                    return Err(format!(
                        "time: unknown unit \"{unit}\" in duration \"{text}\""
                    ));
                }
            };
            let number: f64 = number.parse().map_err(|_| bad())?;
            total += number * scale;
            rest = next;
        }
        if total > i64::MAX as f64 {
            Err(bad())
        } else {
            Ok(Nanoseconds((sign * total) as i64))
        }
    }
}

/// A whole number, refused in Go's words.
pub(crate) fn int(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
}

/// A flag's value after `=`, with all of Go's spellings.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing \"{text}\": invalid syntax"
        )),
    }
}

/// `name=soft[:hard]`.
pub(crate) fn ulimit(text: &str) -> Result<ResourcesUlimits, String> {
    const NAMES: [&str; 15] = [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let (name, limits) = text
        .split_once('=')
        .ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let (soft, hard) = (int(soft)?, int(hard)?);
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        ));
    }
    Ok(ResourcesUlimits {
        name: Some(name.into()),
        soft: Some(soft),
        hard: Some(hard),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_binary_whatever_the_suffix_says() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("-1", Ok(-1)),
            ("42", Ok(42)),
            ("42b", Ok(42)),
            ("32m", Ok(33_554_432)),
            ("32MB", Ok(33_554_432)),
            ("32MiB", Ok(33_554_432)),
            ("1.5g", Ok(1_610_612_736)),
            ("1 k", Ok(1024)),
            ("12q", Err("invalid suffix: 'q'")),
            ("x", Err("invalid size: 'x'")),
            ("", Err("invalid size: ''")),
            ("9999999p", Err("invalid size: '9999999p'")),
        ] {
            assert_eq!(bytes(text), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn cpus_are_exact_to_a_billionth() {
        for (text, expected) in [
            ("0.5", Ok(500_000_000)),
            ("2", Ok(2_000_000_000)),
            (".25", Ok(250_000_000)),
            ("1.0000000000", Ok(1_000_000_000)),
            ("0.0000000001", Err("value is too precise")),
            ("x", Err("failed to parse x as a rational number")),
            (".", Err("failed to parse . as a rational number")),
        ] {
            let parsed = text.parse::<NanoCpus>().map(|cpus| cpus.0);
            assert_eq!(parsed, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn times_are_gos() {
        for (text, expected) in [
            ("1h2m3.5s", Ok(3_723_500_000_000)),
            ("300ms", Ok(300_000_000)),
            ("-1s", Ok(-1_000_000_000)),
            ("0", Ok(0)),
            ("5", Err("time: missing unit in duration \"5\"")),
            ("5x", Err("time: unknown unit \"x\" in duration \"5x\"")),
            ("", Err("time: invalid duration \"\"")),
        ] {
            let parsed = text.parse::<Nanoseconds>().map(|time| time.0);
            assert_eq!(parsed, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn ulimits_have_a_known_name_and_a_soft_limit_within_the_hard_one() {
        let shown = |text| ulimit(text).map(|limit| (limit.soft.unwrap(), limit.hard.unwrap()));
        assert_eq!(shown("nofile=1024"), Ok((1024, 1024)));
        assert_eq!(shown("nofile=1024:2048"), Ok((1024, 2048)));
        assert_eq!(shown("core=-1"), Ok((-1, -1)));
        assert_eq!(shown("foo"), Err("invalid ulimit argument: foo".into()));
        assert_eq!(shown("foo=1"), Err("invalid ulimit type: foo".into()));
        assert!(shown("nofile=5:4").is_err() && shown("nofile=x").is_err());
    }
}
