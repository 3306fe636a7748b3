//! Cutting, quoting and ordering words for a column.

use std::cmp::Ordering;

/// The first twelve digits of an id, without its algorithm.
pub(crate) fn short_id(id: &str) -> String {
    let digits = id.split_once(':').map_or(id, |(_, digits)| digits);
    digits.chars().take(12).collect()
}

/// `text`, cut to `width` characters with `…` as the last of them.
pub(crate) fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// `text` as a Go string literal.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                quoted.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Order in which `9` comes before `10`, wherever the digits stand.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (one, other) = match (a.chars().next(), b.chars().next()) {
            (Some(one), Some(other)) => (one, other),
            (one, other) => return one.is_some().cmp(&other.is_some()),
        };
        if one.is_ascii_digit() && other.is_ascii_digit() {
            let (first, rest) = digits(a);
            let (second, other_rest) = digits(b);
            let order = first.len().cmp(&second.len()).then(first.cmp(second));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (rest, other_rest);
            continue;
        }
        if one != other {
            return one.cmp(&other);
        }
        (a, b) = (&a[one.len_utf8()..], &b[other.len_utf8()..]);
    }
}

/// The number that `text` begins with, without leading zeroes, and what follows.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lose_their_algorithm_and_their_tail() {
        assert_eq!(short_id("sha256:65670c1edc0cf7188d5b8a97"), "65670c1edc0c");
        assert_eq!(short_id("859aa5c61b64f026"), "859aa5c61b64");
        assert_eq!(short_id("abc"), "abc");
    }

    #[test]
    fn a_command_is_cut_at_twenty_characters() {
        assert_eq!(
            ellipsis("/entrypoint.sh /etc/docker", 20),
            "/entrypoint.sh /etc…"
        );
        assert_eq!(ellipsis("sleep 100", 20), "sleep 100");
        assert_eq!(ellipsis("ééééé", 5), "ééééé");
    }

    #[test]
    fn numbers_are_ordered_as_people_count() {
        for (less, more) in [
            ("9/tcp", "10/tcp"),
            ("a2b9", "a2b10"),
            ("a", "ab"),
            ("080/x", "443/x"),
            ("80/sctp", "80/tcp"),
            ("", "0"),
        ] {
            assert_eq!(natural(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(natural(more, less), Ordering::Greater, "{less} {more}");
        }
        assert_eq!(natural("a1", "a01"), Ordering::Equal);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(quote("a\"b\\c\n\u{1}é"), "\"a\\\"b\\\\c\\n\\x01é\"");
    }
}
