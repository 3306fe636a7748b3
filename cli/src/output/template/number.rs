//! Numbers, characters and strings as a format writes them: Go's own forms.

use crate::output::text::quote;

/// A constant. What it is taken for depends on who asks: `1.0` will do where an integer is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    pub(super) written: String,
    pub(super) int: Option<i64>,
    /// Only where it is too large for an integer with a sign.
    pub(super) large: Option<u64>,
    pub(super) float: Option<f64>,
    /// The imaginary part, of a number that has one; `float` is the real one then.
    pub(super) imaginary: Option<f64>,
}

impl Number {
    fn of_int(written: &str, int: i64) -> Number {
        Number {
            written: written.to_owned(),
            int: Some(int),
            large: None,
            float: Some(int as f64),
            imaginary: None,
        }
    }

    /// Whether it stands for a float where nobody asks for a type.
    pub(super) fn is_float(&self) -> bool {
        let digits = self.written.trim_start_matches(['+', '-']);
        let hex = digits.starts_with("0x") || digits.starts_with("0X");
        let hex_int = hex && !digits.contains(['p', 'P']);
        !hex_int
            && !self.written.starts_with('\'')
            && self.written.contains(['.', 'e', 'E', 'p', 'P'])
    }
}

/// `'a'`
pub(super) fn character(written: &str) -> Result<Number, String> {
    let inside = written.get(1..).unwrap_or_default();
    let mut rest = inside.chars();
    let mut bytes = Vec::new();
    let Some(code) = unescape(&mut rest, '\'', &mut bytes) else {
        return Err("invalid syntax".into());
    };
    match rest.as_str() {
        "'" => Ok(Number::of_int(written, i64::from(code))),
        _ => Err(format!("malformed character constant: {written}")),
    }
}

/// `1+2i`
pub(super) fn complex(written: &str) -> Result<Number, String> {
    let split = written.rfind(['+', '-']).filter(|at| *at > 0);
    let parts = split.and_then(|at| {
        let (real, imaginary) = written.split_at(at);
        Some((float(real)?, float(imaginary.strip_suffix('i')?)?))
    });
    match parts {
        Some((real, imaginary)) => Ok(with_imaginary(written, real, imaginary)),
        None => Err("syntax error scanning complex number".into()),
    }
}

fn with_imaginary(written: &str, real: f64, imaginary: f64) -> Number {
    let plain = imaginary == 0.0;
    Number {
        written: written.to_owned(),
        int: (plain && real.fract() == 0.0).then_some(real as i64),
        large: None,
        float: Some(real),
        imaginary: Some(imaginary),
    }
}

/// `1`, `0x1F`, `1e3`, `2i`
pub(super) fn number(written: &str) -> Result<Number, String> {
    if let Some(imaginary) = written.strip_suffix('i').and_then(float) {
        return Ok(with_imaginary(written, 0.0, imaginary));
    }
    if let Some(int) = int(written) {
        return Ok(Number::of_int(written, int));
    }
    if let Some(large) = magnitude(written) {
        return Ok(Number {
            written: written.to_owned(),
            int: None,
            large: Some(large),
            float: Some(large as f64),
            imaginary: None,
        });
    }
    let Some(float) = float(written) else {
        return Err(format!("illegal number syntax: {}", quote(written)));
    };
    if float.is_infinite() {
        return Err(format!("illegal number syntax: {}", quote(written)));
    }
    if !written.contains(['.', 'e', 'E', 'p', 'P']) {
        return Err(format!("integer overflow: {}", quote(written)));
    }
    let fits = float.fract() == 0.0 && float.abs() < 9.2e18;
    Ok(Number {
        written: written.to_owned(),
        int: fits.then_some(float as i64),
        large: None,
        float: Some(float),
        imaginary: None,
    })
}

fn int(written: &str) -> Option<i64> {
    let (negative, digits) = match written.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, written.strip_prefix('+').unwrap_or(written)),
    };
    let magnitude = i128::from(magnitude(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Without a sign, in any base.
fn magnitude(digits: &str) -> Option<u64> {
    let lower = digits.to_ascii_lowercase();
    let (base, rest, prefixed) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..], true),
        Some("0o") => (8, &lower[2..], true),
        Some("0b") => (2, &lower[2..], true),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..], true),
        _ => (10, lower.as_str(), false),
    };
    let bare = without_underscores(rest, prefixed)?;
    if bare.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(&bare, base).ok()
}

/// An underscore stands between digits, or between a prefix and a digit.
fn without_underscores(digits: &str, prefixed: bool) -> Option<String> {
    let well =
        !digits.ends_with('_') && !digits.contains("__") && (prefixed || !digits.starts_with('_'));
    well.then(|| digits.replace('_', ""))
}

fn float(written: &str) -> Option<f64> {
    let digits = written.trim_start_matches(['+', '-']);
    if written.len() > digits.len() + 1 {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let value = match lower.strip_prefix("0x") {
        Some(hex) => hex_float(hex)?,
        // Underscores need a prefix of a base in a float.
        None if lower.contains('_') || !lower.contains(|c: char| c.is_ascii_digit()) => {
            return None;
        }
        None => lower.parse().ok()?,
    };
    Some(if written.starts_with('-') {
        -value
    } else {
        value
    })
}

/// `1.8p3`, after its `0x`.
fn hex_float(hex: &str) -> Option<f64> {
    let (mantissa, exponent) = hex.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let mantissa = without_underscores(mantissa, true)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let places = i32::try_from(fraction.len()).ok()?;
    Some(value * 2.0_f64.powi(exponent.checked_sub(places.checked_mul(4)?)?))
}

/// A string without its quotes; nothing where an escape is wrong.
pub(super) fn unquoted(written: &str) -> Option<String> {
    let inside = written.get(1..written.len().checked_sub(1)?)?;
    if written.starts_with('`') {
        return Some(inside.replace('\r', ""));
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside.chars();
    while !rest.as_str().is_empty() {
        unescape(&mut rest, '"', &mut bytes)?;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Takes one character, escaped or not; `\xff` is a byte rather than a character.
fn unescape(rest: &mut std::str::Chars<'_>, end: char, bytes: &mut Vec<u8>) -> Option<u32> {
    let first = rest.next()?;
    if first == end || first == '\n' {
        return None;
    }
    let mut push = |c: char| {
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Some(u32::from(c))
    };
    if first != '\\' {
        return push(first);
    }
    match rest.next()? {
        'a' => push('\u{7}'),
        'b' => push('\u{8}'),
        'f' => push('\u{c}'),
        'n' => push('\n'),
        'r' => push('\r'),
        't' => push('\t'),
        'v' => push('\u{b}'),
        '\\' => push('\\'),
        c if c == end => push(c),
        'x' => byte(digits(rest, 0, 2, 16)?, bytes),
        'u' => push(char::from_u32(digits(rest, 0, 4, 16)?)?),
        'U' => push(char::from_u32(digits(rest, 0, 8, 16)?)?),
        c => byte(digits(rest, c.to_digit(8)?, 2, 8)?, bytes),
    }
}

fn byte(code: u32, bytes: &mut Vec<u8>) -> Option<u32> {
    bytes.push(u8::try_from(code).ok()?);
    Some(code)
}

fn digits(rest: &mut std::str::Chars<'_>, first: u32, count: u32, base: u32) -> Option<u32> {
    let mut value = first;
    for _ in 0..count {
        value = value
            .checked_mul(base)?
            .checked_add(rest.next()?.to_digit(base)?)?;
    }
    Some(value)
}
