//! One 512-byte header block, as it stands: no extension is applied here.

use super::sparse::Region;
use super::{BLOCK, TarError};

/// The fields of a header that mean something to us.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Header {
    pub(super) flag: u8,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) major: u32,
    pub(super) minor: u32,
    /// Of a GNU sparse file of the old kind (type `S`).
    pub(super) sparse: Option<OldSparse>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct OldSparse {
    pub(super) regions: Vec<Region>,
    pub(super) size: u64,
    /// Another block with regions follows the header.
    pub(super) continues: bool,
}

enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Header, TarError> {
    verify_checksum(block)?;
    let format = match (&block[257..265], &block[508..512]) {
        (b"ustar  \0", _) => Format::Gnu,
        ([b'u', b's', b't', b'a', b'r', 0, ..], b"tar\0") => Format::Star,
        ([b'u', b's', b't', b'a', b'r', 0, ..], _) => Format::Ustar,
        _ => Format::V7,
    };
    let flag = block[156];
    let prefix: &[u8] = match format {
        Format::Ustar => &block[345..500],
        Format::Star => &block[345..476],
        Format::V7 | Format::Gnu => &[],
    };
    let mut name = until_nul(prefix).to_vec();
    if !name.is_empty() {
        name.push(b'/');
    }
    name.extend_from_slice(until_nul(&block[..100]));
    let is_device = matches!(flag, b'3' | b'4') && !matches!(format, Format::V7);
    let device = |field: &[u8]| match is_device {
        true => u32::try_from(unsigned(field)?).map_err(|_| TarError::Header),
        false => Ok(0),
    };
    let sparse = match (&format, flag) {
        (Format::Gnu, b'S') => Some(OldSparse {
            regions: regions(&block[386..482])?,
            continues: block[482] != 0,
            size: unsigned(&block[483..495])?,
        }),
        (_, b'S') => return Err(TarError::Header),
        _ => None,
    };
    Ok(Header {
        flag,
        name,
        link: until_nul(&block[157..257]).to_vec(),
        // Other bits of the field are the file's type, which the flag says.
        mode: (number(&block[100..108])? & 0o7777) as u32,
        uid: unsigned(&block[108..116])?,
        gid: unsigned(&block[116..124])?,
        size: unsigned(&block[124..136])?,
        mtime: number(&block[136..148])?,
        major: device(&block[329..337])?,
        minor: device(&block[337..345])?,
        sparse,
    })
}

/// The regions of a sparse header or of a block that continues one: up to the first empty slot.
pub(super) fn regions(slots: &[u8]) -> Result<Vec<Region>, TarError> {
    let used = slots.chunks_exact(24).take_while(|slot| slot[0] != 0);
    used.map(|slot| {
        Ok(Region {
            offset: unsigned(&slot[..12])?,
            length: unsigned(&slot[12..])?,
        })
    })
    .collect()
}

/// Historic writers summed signed bytes. Counted in whole sums: this is most of the work that an
/// empty entry makes.
fn verify_checksum(block: &[u8; BLOCK]) -> Result<(), TarError> {
    let field = &block[148..156];
    let stated = number(field)?;
    // The field itself counts as blanks.
    let blanks = field.len() as i64 * i64::from(b' ');
    let unsigned = |bytes: &[u8]| bytes.iter().map(|&byte| i64::from(byte)).sum::<i64>();
    let signed = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|&byte| i64::from(byte.cast_signed()))
            .sum::<i64>()
    };
    if stated == unsigned(block) - unsigned(field) + blanks
        || stated == signed(block) - signed(field) + blanks
    {
        Ok(())
    } else {
        Err(TarError::Header)
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn unsigned(field: &[u8]) -> Result<u64, TarError> {
    u64::try_from(number(field)?).map_err(|_| TarError::Header)
}

/// Octal digits, or base-256 where the first bit is set.
fn number(field: &[u8]) -> Result<i64, TarError> {
    match field.first() {
        Some(&first) if first & 0x80 != 0 => base256(first, field),
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Result<i64, TarError> {
    let is_padding = |byte: &u8| matches!(byte, 0 | b' ');
    let start = field.iter().position(|byte| !is_padding(byte));
    let digits = &field[start.unwrap_or(field.len())..];
    let end = digits.iter().position(is_padding).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    // A number ends at its first NUL; only blanks may stand between them.
    if rest
        .iter()
        .take_while(|&&byte| byte != 0)
        .any(|&b| b != b' ')
    {
        return Err(TarError::Header);
    }
    digits.iter().try_fold(0i64, |value, &digit| match digit {
        b'0'..=b'7' => value
            .checked_mul(8)
            .and_then(|value| value.checked_add(i64::from(digit - b'0')))
            .ok_or(TarError::Header),
        _ => Err(TarError::Header),
    })
}

/// Two's complement, big-endian; the mark's bit is not part of the number.
fn base256(first: u8, field: &[u8]) -> Result<i64, TarError> {
    let negative = first & 0x40 != 0;
    let start = i128::from(if negative { -1 } else { 0 });
    let mut value = start;
    for (at, &byte) in field.iter().enumerate() {
        let byte = match (at, negative) {
            (0, false) => byte & 0x7f,
            _ => byte,
        };
        value = (value << 8) | i128::from(byte);
        if i64::try_from(value).is_err() {
            return Err(TarError::Header);
        }
    }
    i64::try_from(value).map_err(|_| TarError::Header)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        let check = |field: &[u8], expected: Option<i64>| {
            assert_eq!(number(field).ok(), expected, "{field:?}");
        };
        check(b"0000644\0", Some(0o644));
        check(b"   644 \0", Some(0o644));
        check(b"\0\0\0\0\0\0\0\0", Some(0));
        check(b"        ", Some(0));
        check(b"77777777777\0", Some(0o77_777_777_777));
        check(b"0000648\0", None);
        check(b"-000644\0", None);
        check(b"64 4\0", None);
        check(b"12\0garbage", Some(0o12));
        check(&[0x80, 0, 0, 0, 0, 0, 1, 0], Some(256));
        check(&[0xff; 12], Some(-1));
        check(&[0xff, 0xff, 0xff, 0xfe], Some(-2));
        check(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None);
        check(&[0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None);
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        assert!(matches!(parse(&[b'x'; BLOCK]), Err(TarError::Header)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_block_is_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), BLOCK)) {
            let mut block = [0; BLOCK];
            block.copy_from_slice(&bytes);
            let sum: i64 = block.iter().enumerate()
                .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { i64::from(byte) })
                .sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            let _ = parse(&block);
        }
    }
}
