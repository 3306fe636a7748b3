//! JSON laid out with four spaces, byte for byte what the daemon sent otherwise.
//!
//! `inspect` shows the daemon's own text: decoding and encoding it again would lose fields
//! that this client does not know, their order, and the exact form of numbers.

/// Indents compact JSON; text inside strings is left alone, `{}` and `[]` stay closed.
pub(crate) fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut characters = json.chars().filter_outside_strings().peekable();
    while let Some((character, quoted)) = characters.next() {
        if quoted {
            out.push(character);
            continue;
        }
        match character {
            '{' | '[' => {
                out.push(character);
                let closes = matches!(characters.peek(), Some(('}' | ']', false)));
                if closes {
                    out.extend(characters.next().map(|(closing, _)| closing));
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    out
}

/// Without white space between its parts.
pub(crate) fn compact(json: &str) -> String {
    let parts = json.chars().filter_outside_strings();
    parts.map(|(character, _)| character).collect()
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("    ", depth));
}

/// Drops white space between tokens and marks the characters that belong to a string.
trait OutsideStrings: Iterator<Item = char> + Sized {
    fn filter_outside_strings(self) -> impl Iterator<Item = (char, bool)> {
        let mut inside = false;
        let mut escaped = false;
        self.filter_map(move |character| {
            if !inside {
                inside = character == '"';
                return (!character.is_ascii_whitespace()).then_some((character, inside));
            }
            if escaped {
                escaped = false;
            } else if character == '\\' {
                escaped = true;
            } else if character == '"' {
                inside = false;
            }
            Some((character, true))
        })
    }
}

impl<I: Iterator<Item = char>> OutsideStrings for I {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_four_spaces_and_empty_ones_stay_closed() {
        let json = r#"[{"a":[1,2],"b":{},"c":[ ],"d":{"e":"x"}}]"#;
        let expected = "[\n    {\n        \"a\": [\n            1,\n            2\n        ],\n        \
             \"b\": {},\n        \"c\": [],\n        \"d\": {\n            \"e\": \"x\"\n        }\n    }\n]";
        assert_eq!(indent(json), expected);
    }

    #[test]
    fn strings_are_left_alone() {
        let json = r#"{"a":"{,: }\"\\","b":1e3}"#;
        assert_eq!(
            indent(json),
            "{\n    \"a\": \"{,: }\\\"\\\\\",\n    \"b\": 1e3\n}"
        );
    }
}
