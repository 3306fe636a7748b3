//! JSON as Go's decoder reads it, with Go's words for what is wrong.
//!
//! Scripts and people know those words: `invalid character 'b' looking for beginning of object key
//! string` comes from Docker, and so from us. As in Go, a value may be followed by more (the caller
//! decides), a field may come twice, and a string may hold anything: what is not UTF-8, or half a
//! surrogate pair, becomes U+FFFD.

use std::fmt;

/// How deep lists and objects may lie in each other. Go takes 10,000; no request needs ten.
const MAX_DEPTH: usize = 100;

/// A value. Numbers are kept as they are written: what they are is for whoever wants one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(String),
    List(Vec<Tree<'a>>),
    Object(Vec<(String, Tree<'a>)>),
}

/// What is no JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("unexpected EOF")]
    End,
    #[error("invalid character {0} {1}")]
    Character(Quoted, Place),
    #[error("invalid escape sequence {0} in string")]
    Escape(String),
    #[error("exceeded max depth")]
    Depth,
}

/// Where a character was met that cannot be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Place {
    #[error("looking for beginning of value")]
    Value,
    #[error("looking for beginning of object key string")]
    Key,
    #[error("after object key")]
    AfterKey,
    #[error("after object key:value pair")]
    AfterPair,
    #[error("after array element")]
    AfterElement,
    #[error("in numeric literal")]
    Number,
    #[error("in string")]
    String,
    #[error("in literal {word} (expecting '{expected}')")]
    Literal { word: &'static str, expected: char },
}

/// A character, shown as Go shows one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoted {
    Char(char),
    /// Not UTF-8.
    Byte(u8),
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Byte(byte) => write!(f, "'\\x{byte:02x}'"),
            Self::Char('\'') => f.write_str(r"'\''"),
            Self::Char('"') => f.write_str("'\"'"),
            Self::Char('\\') => f.write_str(r"'\\'"),
            Self::Char('\x07') => f.write_str(r"'\a'"),
            Self::Char('\x08') => f.write_str(r"'\b'"),
            Self::Char('\x0b') => f.write_str(r"'\v'"),
            Self::Char('\x0c') => f.write_str(r"'\f'"),
            Self::Char('\n') => f.write_str(r"'\n'"),
            Self::Char('\r') => f.write_str(r"'\r'"),
            Self::Char('\t') => f.write_str(r"'\t'"),
            Self::Char(c) if is_printed(c) => write!(f, "'{c}'"),
            Self::Char(c) => match u32::from(c) {
                code @ 0..0x80 => write!(f, "'\\x{code:02x}'"),
                code @ 0x80..0x1_0000 => write!(f, "'\\u{code:04x}'"),
                code => write!(f, "'\\U{code:08x}'"),
            },
        }
    }
}

fn is_printed(c: char) -> bool {
    // What the standard library would not show either begins with `\u`.
    !c.is_control() && !c.escape_debug().to_string().starts_with("\\u")
}

/// The first value in a text and what follows it, or nothing where there is only blank space.
pub(super) fn first(text: &[u8]) -> Result<Option<(Tree<'_>, &[u8])>, Wrong> {
    let mut scanner = Scanner { rest: text };
    if scanner.peek().is_none() {
        return Ok(None);
    }
    let value = scanner.value(0)?;
    scanner.peek();
    Ok(Some((value, scanner.rest)))
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// The next byte that is no blank space; it stays.
    fn peek(&mut self) -> Option<u8> {
        let blanks = |b: &&u8| b" \t\r\n".contains(b);
        self.skip(self.rest.iter().take_while(blanks).count());
        self.rest.first().copied()
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// What is wrong with the byte that comes next.
    fn wrong(&self, place: Place) -> Wrong {
        let found = self.rest.utf8_chunks().next().and_then(|chunk| {
            let byte = chunk.invalid().first().copied().map(Quoted::Byte);
            chunk.valid().chars().next().map(Quoted::Char).or(byte)
        });
        found.map_or(Wrong::End, |found| Wrong::Character(found, place))
    }

    fn value(&mut self, depth: usize) -> Result<Tree<'a>, Wrong> {
        if depth > MAX_DEPTH {
            return Err(Wrong::Depth);
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Tree::Text(self.string()?)),
            Some(b't') => self.literal("true", Tree::Bool(true)),
            Some(b'f') => self.literal("false", Tree::Bool(false)),
            Some(b'n') => self.literal("null", Tree::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.wrong(Place::Value)),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Tree<'a>, Wrong> {
        self.skip(1);
        let mut fields = Vec::new();
        if self.peek() == Some(b'}') {
            self.skip(1);
            return Ok(Tree::Object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.wrong(Place::Key));
            }
            let name = self.string()?;
            if self.peek() != Some(b':') {
                return Err(self.wrong(Place::AfterKey));
            }
            self.skip(1);
            fields.push((name, self.value(depth + 1)?));
            match self.peek() {
                Some(b',') => self.skip(1),
                Some(b'}') => {
                    self.skip(1);
                    return Ok(Tree::Object(fields));
                }
                _ => return Err(self.wrong(Place::AfterPair)),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree<'a>, Wrong> {
        self.skip(1);
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.skip(1);
            return Ok(Tree::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match self.peek() {
                Some(b',') => self.skip(1),
                Some(b']') => {
                    self.skip(1);
                    return Ok(Tree::List(items));
                }
                _ => return Err(self.wrong(Place::AfterElement)),
            }
        }
    }

    fn literal(&mut self, word: &'static str, value: Tree<'a>) -> Result<Tree<'a>, Wrong> {
        for expected in word.chars() {
            if self.rest.first().copied().map(char::from) != Some(expected) {
                return Err(self.wrong(Place::Literal { word, expected }));
            }
            self.skip(1);
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Tree<'a>, Wrong> {
        let whole = self.rest;
        if self.rest.first() == Some(&b'-') {
            self.skip(1);
        }
        // Nothing but a point or an exponent follows a zero.
        match self.rest.first() {
            Some(b'0') => self.skip(1),
            _ => self.digits()?,
        }
        if self.rest.first() == Some(&b'.') {
            self.skip(1);
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.skip(1);
            if let Some(b'+' | b'-') = self.rest.first() {
                self.skip(1);
            }
            self.digits()?;
        }
        let read = whole.len() - self.rest.len();
        let text = whole.get(..read).unwrap_or_default();
        Ok(Tree::Number(std::str::from_utf8(text).unwrap_or_default()))
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Wrong> {
        match self.rest.iter().take_while(|b| b.is_ascii_digit()).count() {
            0 => Err(self.wrong(Place::Number)),
            count => {
                self.skip(count);
                Ok(())
            }
        }
    }

    fn string(&mut self) -> Result<String, Wrong> {
        self.skip(1);
        let mut bytes = Vec::new();
        loop {
            match self.rest.first().copied() {
                None => return Err(Wrong::End),
                Some(b'"') => {
                    self.skip(1);
                    return Ok(String::from_utf8_lossy(&bytes).into_owned());
                }
                Some(b'\\') => {
                    let mut buffer = [0; 4];
                    bytes.extend_from_slice(self.escape()?.encode_utf8(&mut buffer).as_bytes());
                }
                Some(0..0x20) => return Err(self.wrong(Place::String)),
                Some(byte) => {
                    bytes.push(byte);
                    self.skip(1);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Wrong> {
        let simple = match self.rest.get(1) {
            None => return Err(Wrong::End),
            Some(b'u') => None,
            Some(b'b') => Some('\x08'),
            Some(b'f') => Some('\x0c'),
            Some(b'n') => Some('\n'),
            Some(b'r') => Some('\r'),
            Some(b't') => Some('\t'),
            Some(same @ (b'"' | b'\\' | b'/')) => Some(char::from(*same)),
            Some(_) => return Err(self.bad_escape(2)),
        };
        if let Some(c) = simple {
            self.skip(2);
            return Ok(c);
        }
        let first = self.unit()?;
        self.skip(6);
        if let 0xd800..0xdc00 = first
            && self.rest.starts_with(b"\\u")
            && let Ok(second) = self.unit()
            && let Some(Ok(c)) = char::decode_utf16([first, second]).next()
        {
            self.skip(6);
            return Ok(c);
        }
        Ok(char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The four digits of a `\u`, which stays.
    fn unit(&self) -> Result<u16, Wrong> {
        let digits = self.rest.get(2..).unwrap_or_default();
        let digits = digits.get(..4).unwrap_or(digits);
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.bad_escape(6));
        }
        let text = std::str::from_utf8(digits).unwrap_or_default();
        match digits.len() {
            4 => u16::from_str_radix(text, 16).map_err(|_| self.bad_escape(6)),
            _ => Err(Wrong::End),
        }
    }

    fn bad_escape(&self, length: usize) -> Wrong {
        let shown = self.rest.get(..length).unwrap_or(self.rest);
        let shown = String::from_utf8_lossy(shown);
        Wrong::Escape(match shown.contains(|c: char| c == '`' || c.is_control()) {
            true => format!("{shown:?}"),
            false => format!("`{shown}`"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match first(text.as_bytes()) {
            Ok(found) => format!("{:?}", found.map(|(tree, rest)| (tree, rest.len()))),
            Err(wrong) => wrong.to_string(),
        }
    }

    /// What Docker 28.5.2 said to each of these.
    #[test]
    fn what_is_no_json_is_told_in_gos_words() {
        for (text, expected) in [
            (
                "{bad",
                "invalid character 'b' looking for beginning of object key string",
            ),
            (
                "{'a':1}",
                r"invalid character '\'' looking for beginning of object key string",
            ),
            (
                "{1:2}",
                "invalid character '1' looking for beginning of object key string",
            ),
            (
                r#"{"a":1,}"#,
                "invalid character '}' looking for beginning of object key string",
            ),
            (
                "{\"a\":1,\0}",
                r"invalid character '\x00' looking for beginning of object key string",
            ),
            (r#"{"a" "x"}"#, "invalid character '\"' after object key"),
            (
                r#"{"a":"x" "y"}"#,
                "invalid character '\"' after object key:value pair",
            ),
            (
                r#"{"a":1]"#,
                "invalid character ']' after object key:value pair",
            ),
            (
                r#"{"a":01}"#,
                "invalid character '1' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1}", "invalid character '}' after array element"),
            (
                "[1,]",
                "invalid character ']' looking for beginning of value",
            ),
            (
                r#"{"a":'x'}"#,
                r"invalid character '\'' looking for beginning of value",
            ),
            ("é", "invalid character 'é' looking for beginning of value"),
            (
                "\u{feff}{}",
                r"invalid character '\ufeff' looking for beginning of value",
            ),
            ("{\"a\":1.}", "invalid character '}' in numeric literal"),
            ("{\"a\":1e}", "invalid character '}' in numeric literal"),
            ("-a", "invalid character 'a' in numeric literal"),
            (
                "{\"a\":tru}",
                "invalid character '}' in literal true (expecting 'e')",
            ),
            (
                "{\"a\":falsy}",
                "invalid character 'y' in literal false (expecting 'e')",
            ),
            (
                "nux",
                "invalid character 'x' in literal null (expecting 'l')",
            ),
            ("{\"a\":\"b\nc\"}", r"invalid character '\n' in string"),
            ("{\"a\":\"\x01\"}", r"invalid character '\x01' in string"),
            (
                r#"{"a":"busy\xbox"}"#,
                r"invalid escape sequence `\x` in string",
            ),
            (r#"{"a\q":1}"#, r"invalid escape sequence `\q` in string"),
            ("\"\\`\"", "invalid escape sequence \"\\\\`\" in string"),
            (
                r#"{"a":"\u12"}"#,
                r#"invalid escape sequence `\u12"}` in string"#,
            ),
            (
                r#"{"a":"\u12x4"}"#,
                r"invalid escape sequence `\u12x4` in string",
            ),
        ] {
            assert_eq!(said(text), expected, "{text:?}");
        }
        for text in [
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "[",
            "[1",
            "nul",
            "t",
            "-",
            "1.",
            "1e+",
            "\"abc",
            "\"\\",
            "\"\\u12",
        ] {
            assert_eq!(said(text), "unexpected EOF", "{text:?}");
        }
        let deep = "[".repeat(10_001);
        assert_eq!(said(&deep), "exceeded max depth");
    }

    #[test]
    fn a_value_is_read_and_what_follows_is_left() {
        assert_eq!(said(" \n"), "None");
        assert_eq!(said("{} \n"), "Some((Object([]), 0))");
        assert_eq!(said("[] x"), "Some((List([]), 1))");
        assert_eq!(
            said(r#"{"a":[null,true,-1.5e3,0],"a":{"b":"c"}}"#),
            r#"Some((Object([("a", List([Null, Bool(true), Number("-1.5e3"), Number("0")])), ("a", Object([("b", Text("c"))]))]), 0))"#
        );
    }

    #[test]
    fn strings_hold_anything() {
        let text = |bytes: &[u8]| match first(bytes) {
            Ok(Some((Tree::Text(text), _))) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(br#""\"\\\/\b\f\n\r\t\u00e9""#), "\"\\/\x08\x0c\n\r\té");
        assert_eq!(text(br#""\ud83d\ude00""#), "😀");
        assert_eq!(
            text(br#""\ud800x\udc00\ud800\u0041""#),
            "\u{fffd}x\u{fffd}\u{fffd}A"
        );
        assert_eq!(text(b"\"a\xffb\x7f\""), "a\u{fffd}b\x7f");
        assert_eq!(
            first(b"\xff").unwrap_err().to_string(),
            r"invalid character '\xff' looking for beginning of value"
        );
    }
}
