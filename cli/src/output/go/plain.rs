//! JSON as Go decodes it without a type: maps and lists, and numbers as they are written.

use super::types;
use super::value::{Data, Value};

/// Deeper than this is no answer of a daemon's.
const DEEPEST: usize = 128;

/// The value of a JSON text; nothing where it is none.
pub(crate) fn plain(json: &str) -> Option<Value> {
    let mut reader = Reader { rest: json };
    let value = reader.value(0)?;
    reader.rest.trim_start().is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            _ if depth > DEEPEST => None,
            '{' => {
                let mut entries: Vec<(String, Value)> = Vec::new();
                self.each('}', |reader| {
                    let key = reader.text()?;
                    reader.take(":")?;
                    let value = reader.value(depth + 1)?.in_interface();
                    // The last of a name counts.
                    entries.retain(|(name, _)| *name != key);
                    entries.push((key, value));
                    Some(())
                })?;
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Some(of("map[string]any", Data::Map(entries)))
            }
            '[' => {
                let mut items = Vec::new();
                self.each(']', |reader| {
                    items.push(reader.value(depth + 1)?.in_interface());
                    Some(())
                })?;
                Some(of("[]any", Data::List(items)))
            }
            '"' => self.text().map(Value::text),
            't' => self.take("true").map(|()| Value::bool(true)),
            'f' => self.take("false").map(|()| Value::bool(false)),
            'n' => self.take("null").map(|()| Value::invalid()),
            _ => {
                let part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
                let number = self.cut(self.rest.find(|c| !part(c)).unwrap_or(self.rest.len()));
                number.parse::<f64>().ok()?;
                Some(of("json.Number", Data::Text(number.to_owned())))
            }
        }
    }

    /// What stands between commas up to the closing bracket.
    fn each(&mut self, close: char, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.cut(1);
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.chars().next()? {
                c if c == close => {
                    self.cut(1);
                    return Some(());
                }
                ',' => {
                    self.cut(1);
                }
                _ => item(self)?,
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let mut escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        serde_json::from_str(self.cut(end + 2)).ok()
    }

    fn take(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(word)?;
        Some(())
    }

    fn cut(&mut self, length: usize) -> &'a str {
        let (cut, rest) = self.rest.split_at(length);
        self.rest = rest;
        cut
    }
}

fn of(ty: &str, data: Data) -> Value {
    Value {
        ty: types::named(ty),
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_they_are_written() {
        let json = r#" {"b": [1.50, -2e+3, 18446744073709551616, true, null, {}], "a": "x\"y\\", "a": "z"} "#;
        let value = plain(json).expect("a value");
        assert_eq!(
            value.to_json(),
            r#"{"a":"z","b":[1.50,-2e+3,18446744073709551616,true,null,{}]}"#
        );
    }

    #[test]
    fn what_is_no_json_is_nothing() {
        for text in [
            "", "{", "[1", "\"a", "{\"a\"1}", "{1:2}", "nul", "x", "1 2", "-",
        ] {
            assert!(plain(text).is_none(), "{text}");
        }
        assert!(plain(&"[".repeat(100_000)).is_none());
    }
}
