//! Numbers, characters and strings with the flags of a verb: width, precision, sign, padding.

use crate::output::text::quote;

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`: the names of fields.
    pub(super) names: bool,
    /// `%#v`: as source text.
    pub(super) source: bool,
}

impl Flags {
    /// As wide as asked for.
    pub(super) fn padded(&self, text: &str) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let fill = |with: &str| with.repeat(missing);
        match (self.minus, self.zero) {
            (true, _) => format!("{text}{}", fill(" ")),
            (false, true) => format!("{}{text}", fill("0")),
            (false, false) => format!("{}{text}", fill(" ")),
        }
    }

    fn unzeroed(&self, text: &str) -> String {
        Flags {
            zero: false,
            ..*self
        }
        .padded(text)
    }

    /// An integer by its magnitude.
    pub(super) fn integer(&self, magnitude: u64, negative: bool, verb: char) -> String {
        let mut digits = match verb {
            'b' => format!("{magnitude:b}"),
            'o' | 'O' => format!("{magnitude:o}"),
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            _ => magnitude.to_string(),
        };
        let least = match (self.precision, self.width) {
            (Some(0), _) if magnitude == 0 => return self.unzeroed(""),
            (Some(precision), _) => precision,
            (None, Some(width)) if self.zero && !self.minus => {
                width.saturating_sub(usize::from(negative || self.plus || self.space))
            }
            _ => 0,
        };
        digits = format!("{digits:0>least$}");
        let prefix = match verb {
            'O' => "0o",
            'b' if self.sharp => "0b",
            'o' if self.sharp && !digits.starts_with('0') => "0",
            'x' if self.sharp => "0x",
            'X' if self.sharp => "0X",
            _ => "",
        };
        let sign = match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        self.unzeroed(&format!("{sign}{prefix}{digits}"))
    }

    /// An address, or a number as source text has it.
    pub(super) fn hex(&self, number: u64, prefixed: bool) -> String {
        let flags = Flags {
            sharp: prefixed,
            ..*self
        };
        flags.integer(number, false, 'x')
    }

    pub(super) fn character(&self, code: u64) -> String {
        self.padded(&character_of(code).to_string())
    }

    pub(super) fn quoted_character(&self, code: u64) -> String {
        let quoted = match character_of(code) {
            '\'' => "'\\''".to_owned(),
            '"' => "'\"'".to_owned(),
            c => {
                let quoted = self.literal(&c.to_string());
                format!("'{}'", &quoted[1..quoted.len() - 1])
            }
        };
        self.padded(&quoted)
    }

    pub(super) fn point(&self, code: u64) -> String {
        let least = self.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{code:0least$X}");
        let shown = u32::try_from(code).ok().and_then(char::from_u32);
        if let (true, Some(c)) = (self.sharp, shown.filter(|c| !c.is_control())) {
            text.push_str(&format!(" '{c}'"));
        }
        self.unzeroed(&text)
    }

    fn cut<'a>(&self, text: &'a str) -> &'a str {
        match self.precision {
            Some(most) => {
                let end = text.char_indices().nth(most).map(|(at, _)| at);
                &text[..end.unwrap_or(text.len())]
            }
            None => text,
        }
    }

    pub(super) fn text(&self, text: &str) -> String {
        self.padded(self.cut(text))
    }

    pub(super) fn quoted(&self, text: &str) -> String {
        let text = self.cut(text);
        let bare = |c: char| c != '`' && c != '\u{feff}' && (c == '\t' || !c.is_control());
        match self.sharp && text.chars().all(bare) {
            true => self.padded(&format!("`{text}`")),
            false => self.padded(&self.literal(text)),
        }
    }

    /// In quotes, and in ASCII where a plus asks for it.
    fn literal(&self, text: &str) -> String {
        let quoted = quote(text);
        if !self.plus {
            return quoted;
        }
        let mut ascii = String::new();
        for c in quoted.chars() {
            match u32::from(c) {
                0..0x80 => ascii.push(c),
                code @ 0x80..0x1_0000 => ascii.push_str(&format!("\\u{code:04x}")),
                code => ascii.push_str(&format!("\\U{code:08x}")),
            }
        }
        ascii
    }

    /// The bytes of a string.
    pub(super) fn bytes(&self, bytes: &[u8], verb: char) -> String {
        let most = self.precision.unwrap_or(bytes.len()).min(bytes.len());
        let prefix = match (self.sharp, verb) {
            (true, 'x') => "0x",
            (true, _) => "0X",
            (false, _) => "",
        };
        let mut text = String::new();
        for (at, byte) in bytes[..most].iter().enumerate() {
            if self.space && at > 0 {
                text.push(' ');
            }
            if at == 0 || self.space {
                text.push_str(prefix);
            }
            text.push_str(&match verb {
                'x' => format!("{byte:02x}"),
                _ => format!("{byte:02X}"),
            });
        }
        self.padded(&text)
    }

    pub(super) fn float(&self, value: f64, verb: char, precision: Option<usize>) -> String {
        let precision = self.precision.or(precision);
        if !value.is_finite() {
            let text = match (value.is_nan(), value < 0.0) {
                (true, _) => "NaN",
                (false, true) => "-Inf",
                (false, false) => "+Inf",
            };
            let bare = text.trim_start_matches('+');
            return self.unzeroed(if self.plus { text } else { bare });
        }
        let mut digits = float(value.abs(), verb, precision);
        if self.sharp {
            digits = with_point(&digits, verb, precision);
        }
        let sign = match (value.is_sign_negative(), self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        match self.zero && !self.minus {
            true => {
                let least = self.width.unwrap_or(0).saturating_sub(sign.len());
                format!("{sign}{digits:0>least$}")
            }
            false => self.padded(&format!("{sign}{digits}")),
        }
    }
}

fn character_of(code: u64) -> char {
    let code = u32::try_from(code).ok();
    code.and_then(char::from_u32).unwrap_or('\u{fffd}')
}

/// A positive number by the verbs of Go; without a precision, as short as tells it apart.
pub(super) fn float(value: f64, verb: char, precision: Option<usize>) -> String {
    match verb {
        'f' | 'F' => match precision {
            Some(places) => format!("{value:.places$}"),
            None => format!("{value}"),
        },
        'e' | 'E' => exponent(value, precision, verb),
        _ => general(value, precision, if verb == 'G' { 'E' } else { 'e' }),
    }
}

/// `1.5e+06`
fn exponent(value: f64, precision: Option<usize>, e: char) -> String {
    let text = match precision {
        Some(places) => format!("{value:.places$e}"),
        None => format!("{value:e}"),
    };
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = match power.strip_prefix('-') {
        Some(power) => ('-', power),
        None => ('+', power),
    };
    format!("{mantissa}{e}{sign}{power:0>2}")
}

/// The shorter of the two forms.
fn general(value: f64, precision: Option<usize>, e: char) -> String {
    let digits = precision.map(|count| count.max(1));
    let text = exponent(value, digits.map(|count| count - 1), 'e');
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let mut kept = mantissa.replace('.', "");
    if digits.is_some() {
        kept = kept.trim_end_matches('0').to_owned();
    }
    let count = i32::try_from(kept.len().max(1)).unwrap_or(i32::MAX);
    let mut limit = digits.map_or(6, |count| i32::try_from(count).unwrap_or(i32::MAX));
    if digits.is_some() && limit > count && count > power {
        limit = count;
    }
    if power < -4 || power >= limit {
        let places = usize::try_from(count - 1).unwrap_or(0);
        return exponent(value, Some(places), e);
    }
    let places = usize::try_from((count - 1 - power).max(0)).unwrap_or(0);
    format!("{value:.places$}")
}

/// `%#g`: a point, always, and the zeroes after it.
fn with_point(digits: &str, verb: char, precision: Option<usize>) -> String {
    let (mantissa, tail) = match digits.find(['e', 'E']) {
        Some(at) => digits.split_at(at),
        None => (digits, ""),
    };
    let mut mantissa = mantissa.to_owned();
    if !mantissa.contains('.') {
        mantissa.push('.');
    }
    if matches!(verb, 'g' | 'G') {
        let wanted = precision.unwrap_or(6);
        let significant = mantissa.trim_start_matches(['0', '.']);
        let have = significant.chars().filter(char::is_ascii_digit).count();
        mantissa.push_str(&"0".repeat(wanted.saturating_sub(have.max(1))));
    }
    mantissa + tail
}
