//! Pax extended headers: `<length> <key>=<value>\n` records that override an entry's header.

use hull_layer::Timestamp;

use super::TarError;
use super::sparse::Region;

/// What one entry's records say. An empty value takes back what was said before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Overrides {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: SparseRecords,
}

/// GNU's records for sparse files, of all three generations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) real_size: Option<u64>,
    /// From `map` (0.1), or from `offset` and `numbytes` pairs (0.0).
    pub(super) regions: Option<Vec<Region>>,
    pending_offset: Option<u64>,
}

pub(super) fn parse(mut records: &[u8]) -> Result<Overrides, TarError> {
    let mut overrides = Overrides::default();
    while !records.is_empty() {
        let (key, value, rest) = split_record(records)?;
        overrides.apply(key, value)?;
        records = rest;
    }
    if overrides.sparse.pending_offset.is_some() {
        return Err(TarError::Header);
    }
    Ok(overrides)
}

/// Key, value and what follows the record.
type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Takes the first record off.
fn split_record(records: &[u8]) -> Result<Record<'_>, TarError> {
    let space = records.iter().position(|&byte| byte == b' ');
    let space = space.ok_or(TarError::Header)?;
    let length = records.get(..space).and_then(decimal);
    let length = length
        .and_then(|length| usize::try_from(length).ok())
        .ok_or(TarError::Header)?;
    let record = records.get(space + 1..length).ok_or(TarError::Header)?;
    let body = record.strip_suffix(b"\n").ok_or(TarError::Header)?;
    let equals = body.iter().position(|&byte| byte == b'=');
    let (key, value) = body.split_at(equals.ok_or(TarError::Header)?);
    if key.is_empty() {
        return Err(TarError::Header);
    }
    let rest = records.get(length..).unwrap_or_default();
    Ok((key, value.get(1..).unwrap_or_default(), rest))
}

impl Overrides {
    fn apply(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            if name.is_empty() || name.contains(&0) {
                return Err(TarError::Header);
            }
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        match key {
            b"path" => self.path = text(value)?,
            b"linkpath" => self.link = text(value)?,
            b"size" => self.size = integer(value)?,
            b"uid" => self.uid = integer(value)?,
            b"gid" => self.gid = integer(value)?,
            b"mtime" if value.is_empty() => self.mtime = None,
            b"mtime" => self.mtime = Some(timestamp(value).ok_or(TarError::Header)?),
            b"GNU.sparse.major" => self.sparse.major = integer(value)?,
            b"GNU.sparse.minor" => self.sparse.minor = integer(value)?,
            b"GNU.sparse.name" => self.sparse.name = text(value)?,
            b"GNU.sparse.size" => self.sparse.size = integer(value)?,
            b"GNU.sparse.realsize" => self.sparse.real_size = integer(value)?,
            b"GNU.sparse.map" => self.sparse.regions = Some(region_list(value)?),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.sparse.add(key, value)?,
            _ => {}
        }
        Ok(())
    }
}

impl SparseRecords {
    /// Format 0.0 repeats two keys in turn, which the standard does not foresee.
    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        let value = decimal(value).ok_or(TarError::Header)?;
        match (key, self.pending_offset.take()) {
            (b"GNU.sparse.offset", None) => self.pending_offset = Some(value),
            (b"GNU.sparse.numbytes", Some(offset)) => {
                self.regions.get_or_insert_default().push(Region {
                    offset,
                    length: value,
                });
            }
            _ => return Err(TarError::Header),
        }
        Ok(())
    }
}

fn text(value: &[u8]) -> Result<Option<Vec<u8>>, TarError> {
    if value.contains(&0) {
        return Err(TarError::Header);
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn integer(value: &[u8]) -> Result<Option<u64>, TarError> {
    match value {
        b"" => Ok(None),
        _ => decimal(value).map(Some).ok_or(TarError::Header),
    }
}

fn region_list(value: &[u8]) -> Result<Vec<Region>, TarError> {
    if value.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Option<Vec<u64>> = value.split(|&b| b == b',').map(decimal).collect();
    let numbers = numbers.ok_or(TarError::Header)?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(TarError::Header);
    }
    let region = |&[offset, length]: &[u64; 2]| Region { offset, length };
    Ok(pairs.iter().map(region).collect())
}

pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Seconds with an optional sign and fraction; digits after the ninth are dropped.
fn timestamp(value: &[u8]) -> Option<Timestamp> {
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(value) => (true, value),
        None => (false, value),
    };
    let mut parts = value.splitn(2, |&byte| byte == b'.');
    let secs = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    let nanos = digits
        .take(9)
        .fold(0u32, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    Some(match (negative, nanos) {
        (false, nanos) => Timestamp { secs, nanos },
        (true, 0) => Timestamp { secs: -secs, nanos },
        (true, nanos) => Timestamp {
            secs: -secs - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: &str, value: &str) -> String {
        let body = key.len() + value.len() + 3;
        let mut length = body + 1;
        while length.to_string().len() + body != length {
            length += 1;
        }
        format!("{length} {key}={value}\n")
    }

    #[test]
    fn records_override_the_header() {
        let text = [
            record("path", "dir/ä=b"),
            record("mtime", "1.5"),
            record("uid", "70000"),
            record("SCHILY.xattr.user.x", "a\nb"),
            record("comment", "ignored"),
            record("linkpath", "x"),
            record("linkpath", ""),
        ]
        .concat();
        let overrides = parse(text.as_bytes()).unwrap();
        assert_eq!(overrides.path.as_deref(), Some("dir/ä=b".as_bytes()));
        assert_eq!(overrides.link, None);
        assert_eq!(overrides.uid, Some(70000));
        assert_eq!(overrides.xattrs, [(b"user.x".to_vec(), b"a\nb".to_vec())]);
    }

    #[test]
    fn times_have_signs_and_fractions() {
        let check = |text: &str, expected: Option<(i64, u32)>| {
            let found = timestamp(text.as_bytes()).map(|t| (t.secs, t.nanos));
            assert_eq!(found, expected, "{text:?}");
        };
        check("0", Some((0, 0)));
        check("12.", Some((12, 0)));
        check("12.5", Some((12, 500_000_000)));
        check("12.0000000019", Some((12, 1)));
        check("-1", Some((-1, 0)));
        check("-1.25", Some((-2, 750_000_000)));
        check("", None);
        check("1.x", None);
        check("99999999999999999999", None);
        check("--1", None);
    }

    #[test]
    fn broken_records_are_refused() {
        for text in [
            "x",
            "5 a=b",
            "6 a=b\n\n",
            "0 a=b\n",
            "99 a=b\n",
            "6 ab c\n",
            "5 =bc\n",
            "-6 a=b\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse(record("path", "a\0b").as_bytes()).is_err());
        assert!(parse(record("GNU.sparse.map", "1,2,3").as_bytes()).is_err());
        assert!(parse(record("GNU.sparse.offset", "1").as_bytes()).is_err());
        assert!(parse(record("GNU.sparse.numbytes", "1").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }
    }
}
