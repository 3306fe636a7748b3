//! Progress as text, beside its numbers: what clients show that do not count themselves.

const WIDTH: usize = 50;
const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];

/// `[=====>      ]  1.5MB/3MB`, or just the count where the total is not known.
pub(super) fn bar(current: u64, total: u64) -> String {
    if total == 0 {
        return match current {
            0 => String::new(),
            current => format!("{:>8}", size(current)),
        };
    }
    let current = current.min(total);
    // In percent first, as Docker does it.
    let percent = u128::from(current) * 100 / u128::from(total);
    let filled = (percent / 2) as usize;
    format!(
        "[{}>{}] {:>8}/{}",
        "=".repeat(filled),
        " ".repeat(WIDTH - filled),
        size(current),
        size(total)
    )
}

/// Four significant digits, decimal units.
fn size(bytes: u64) -> String {
    let mut scaled = bytes as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"B");
    while scaled >= 1000.0 {
        let Some(next) = units.next() else { break };
        scaled /= 1000.0;
        unit = next;
    }
    let decimals = match scaled {
        s if s >= 1000.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 10.0 => 2,
        _ => 3,
    };
    let text = format!("{scaled:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_docker_s() {
        let full = format!("[{}>]  128.9MB/128.9MB", "=".repeat(50));
        assert_eq!(bar(128_900_000, 128_900_000), full);
        let none = format!("[>{}]       0B/10B", " ".repeat(50));
        assert_eq!(bar(0, 10), none);
        assert_eq!(bar(1_500, 0), "   1.5kB");
        assert_eq!(bar(0, 0), "");
    }

    #[test]
    fn sizes_have_four_digits() {
        for (bytes, expected) in [
            (0, "0B"),
            (999, "999B"),
            (1_234_567, "1.235MB"),
            (12_345, "12.35kB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
