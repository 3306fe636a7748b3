//! Patterns of names, as Go's `path.Match` understands them: `*` and `?` stand for anything but a
//! slash, `[a-z]` and `[^a-z]` for one character, a backslash for what follows it.

/// What one place of a pattern stands for.
enum Piece {
    Literal(char),
    AnyOne,
    AnyRun,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

pub(super) fn is_valid(pattern: &str) -> bool {
    parse(pattern).is_some()
}

/// Whether a whole text fits.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some(pieces) = parse(pattern) else {
        return false;
    };
    let text: Vec<char> = text.chars().collect();
    // Which starts of the text fit the pieces so far: no pattern can make this take long.
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for piece in &pieces {
        let mut next = vec![false; text.len() + 1];
        if let Piece::AnyRun = piece {
            let mut reached = false;
            for at in 0..=text.len() {
                reached = fits[at] || (reached && at > 0 && text[at - 1] != '/');
                next[at] = reached;
            }
        } else {
            for (at, c) in text.iter().enumerate() {
                next[at + 1] = fits[at] && one(piece, *c);
            }
        }
        fits = next;
    }
    fits[text.len()]
}

fn one(piece: &Piece, c: char) -> bool {
    match piece {
        Piece::Literal(literal) => *literal == c,
        Piece::AnyOne => c != '/',
        Piece::Class { negated, ranges } => {
            c != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
        }
        Piece::AnyRun => false,
    }
}

fn parse(pattern: &str) -> Option<Vec<Piece>> {
    let mut chars = pattern.chars().peekable();
    let mut pieces = Vec::new();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::AnyRun,
            '?' => Piece::AnyOne,
            '\\' => Piece::Literal(chars.next()?),
            '[' => class(&mut chars)?,
            c => Piece::Literal(c),
        });
    }
    Some(pieces)
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Piece> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || chars.peek() != Some(&']') {
        let low = member(chars)?;
        let high = match chars.next_if_eq(&'-') {
            Some(_) => member(chars)?,
            None => low,
        };
        ranges.push((low, high));
    }
    chars.next();
    Some(Piece::Class { negated, ranges })
}

fn member(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_go_s_do() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("ab", "abc", false),
            ("a*c", "abbbc", true),
            ("a*c", "a/c", false),
            ("*/*:1", "a/b:1", true),
            ("*", "", true),
            ("?", "", false),
            ("a?c", "aéc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        for pattern in ["[", "[]", "[a", "[a-]", "[-a]", "\\", "[]a]"] {
            assert!(!is_valid(pattern), "{pattern}");
        }
    }
}
