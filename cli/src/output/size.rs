//! Sizes as Docker prints them: decimal units and few significant digits (`2.07MB`, `32B`).

const UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

/// A size with three significant digits, as lists show it.
pub(crate) fn short(bytes: i64) -> String {
    decimal(bytes, 3)
}

/// A size with four significant digits, as totals show it.
pub(crate) fn long(bytes: i64) -> String {
    decimal(bytes, 4)
}

/// A size in binary units (`23.54GiB`), as memory is shown.
pub(crate) fn binary(bytes: i64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (scaled, unit) = scale(bytes as f64, 1024.0, &UNITS);
    format!("{}{unit}", significant(scaled, 4))
}

fn decimal(bytes: i64, digits: usize) -> String {
    let (scaled, unit) = scale(bytes as f64, 1000.0, &UNITS);
    format!("{}{unit}", significant(scaled, digits))
}

fn scale<'a>(mut size: f64, base: f64, units: &[&'a str]) -> (f64, &'a str) {
    let mut unit = 0;
    while size >= base && unit < units.len() - 1 {
        size /= base;
        unit += 1;
    }
    (size, units[unit])
}

/// C's `%.{digits}g` for what a scaled size can be.
fn significant(number: f64, digits: usize) -> String {
    if number == 0.0 {
        return "0".into();
    }
    let scientific = format!("{:.*e}", digits - 1, number);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent >= digits as i32 || exponent < -4 {
        return format!("{}e{}{:02}", trim(mantissa), sign(exponent), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trim(&format!("{number:.decimals$}")).to_owned()
}

fn sign(exponent: i32) -> char {
    if exponent < 0 { '-' } else { '+' }
}

fn trim(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_show_three_significant_digits() {
        for (bytes, expected) in [
            (0, "0B"),
            (32, "32B"),
            (999, "999B"),
            (1000, "1kB"),
            (682_700, "683kB"),
            (2_066_795, "2.07MB"),
            (27_380_000, "27.4MB"),
            (174_500_000, "174MB"),
            // Go's %.3g rounds half to even on the exact binary value.
            (846_000_000, "846MB"),
            (999_600, "1e+03kB"),
            (-5, "-5B"),
        ] {
            assert_eq!(short(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn totals_show_four_and_memory_is_binary() {
        assert_eq!(long(300_300), "300.3kB");
        assert_eq!(long(174_512_345), "174.5MB");
        assert_eq!(binary(25_276_514_304), "23.54GiB");
        assert_eq!(binary(638_976), "624KiB");
    }
}
