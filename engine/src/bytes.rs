//! Sizes as people write them: `10g`, `64MiB`, `4096`.

use std::str::FromStr;

/// So many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid size: '{0}'")]
pub struct NotASize(String);

impl FromStr for ByteSize {
    type Err = NotASize;

    /// A whole number and one of Docker's binary suffixes: `b k m g t p`, also `kb` and `kib`, in
    /// either case.
    fn from_str(text: &str) -> Result<Self, NotASize> {
        Self::with_unit(text, 1024)
    }
}

impl ByteSize {
    /// As [`ByteSize::from_str`], with suffixes of 1000 bytes: Docker's sizes of disks and files.
    pub(crate) fn decimal(text: &str) -> Result<Self, NotASize> {
        Self::with_unit(text, 1000)
    }

    fn with_unit(text: &str, unit: u64) -> Result<Self, NotASize> {
        let bad = || NotASize(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let end = lower
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(lower.len());
        let (digits, suffix) = lower.split_at(end);
        let number: u64 = digits.parse().map_err(|_| bad())?;
        let power = match suffix.trim_start() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 1,
            "m" | "mb" | "mib" => 2,
            "g" | "gb" | "gib" => 3,
            "t" | "tb" | "tib" => 4,
            "p" | "pb" | "pib" => 5,
            _ => return Err(bad()),
        };
        let factor = unit.pow(power);
        number.checked_mul(factor).map(Self).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_whatever_the_suffix_says() {
        for (text, expected) in [
            ("0", Some(0)),
            ("42", Some(42)),
            ("42b", Some(42)),
            ("1 k", Some(1024)),
            ("32m", Some(32 << 20)),
            ("32MB", Some(32 << 20)),
            ("10GiB", Some(10 << 30)),
            ("1t", Some(1 << 40)),
            ("2p", Some(2 << 50)),
            ("", None),
            ("-1", None),
            ("g", None),
            ("12q", None),
            ("1.5g", None),
            ("99999999999999p", None),
        ] {
            assert_eq!(text.parse().ok(), expected.map(ByteSize), "{text}");
        }
        assert_eq!(ByteSize::decimal("10m"), Ok(ByteSize(10_000_000)));
        assert_eq!(ByteSize::decimal("5"), Ok(ByteSize(5)));
    }
}
