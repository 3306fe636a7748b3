//! How `fmt` shows a value: `%v` and the verbs that go through lists, maps and structs.

use std::fmt;

use super::methods;
use super::scalar::Flags;
use super::types::Kind;
use super::value::{Data, Value};

/// Stands for the address of what a pointer within something points to.
const ADDRESS: u64 = 0xc0_0001_2000;

/// Go's `%v`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::default().argument(self, 'v'))
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Printer {
    pub(super) flags: Flags,
    /// Within a complaint about a verb, where methods are not called.
    pub(super) complaining: bool,
}

impl Printer {
    /// What a function was given, which an interface holds.
    pub(super) fn argument(&self, value: &Value, verb: char) -> String {
        if let (true, Data::Inner(inner)) = (value.ty.is_interface(), &value.data) {
            return self.argument(inner, verb);
        }
        if !value.is_valid() || value.ty.is_interface() {
            return match verb {
                'v' | 'T' => self.flags.padded("<nil>"),
                _ => format!("%!{verb}(<nil>)"),
            };
        }
        if verb == 'T' {
            return self.flags.text(&value.ty.name);
        }
        if verb == 'p'
            && !matches!(
                value.ty.kind,
                Kind::Pointer(_) | Kind::Map(..) | Kind::Slice(_)
            )
        {
            return self.complaint(value, verb);
        }
        if verb == 'p' {
            return self.pointer(value, verb);
        }
        match self.method(value, verb) {
            Some(text) => text,
            None => self.value(value, verb, 0),
        }
    }

    /// What the value itself says that it is, for the verbs of strings.
    fn method(&self, value: &Value, verb: char) -> Option<String> {
        let asks = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q');
        if self.complaining || self.flags.source || !asks {
            return None;
        }
        methods::string(value).map(|text| self.text(&text, value, verb))
    }

    fn value(&self, value: &Value, verb: char, depth: usize) -> String {
        if depth > 0
            && let Some(text) = self.method(value, verb)
        {
            return text;
        }
        match (&value.ty.kind, &value.data) {
            (Kind::Invalid, _) if verb == 'v' => "<nil>".into(),
            (_, Data::Bool(truth)) => match verb {
                't' | 'v' => self.flags.padded(if *truth { "true" } else { "false" }),
                _ => self.complaint(value, verb),
            },
            (_, Data::Int(number)) => self.integer(number.unsigned_abs(), *number < 0, value, verb),
            (_, Data::Uint(number)) => self.integer(*number, false, value, verb),
            (_, Data::Float(number)) => self.float(*number, value, verb),
            (_, Data::Complex(real, imaginary)) => {
                let part = |number, plus| {
                    let flags = Flags { plus, ..self.flags };
                    Printer { flags, ..*self }.float(number, value, verb)
                };
                format!(
                    "({}{}i)",
                    part(*real, self.flags.plus),
                    part(*imaginary, true)
                )
            }
            (_, Data::Text(text)) => self.text(text, value, verb),
            (Kind::Map(..), data) => self.map(value, data, verb, depth),
            (Kind::Slice(_), Data::Nil) if self.flags.source => format!("{}(nil)", value.ty),
            (Kind::Slice(_), Data::Nil) => "[]".into(),
            (_, Data::List(items)) => {
                let items = items.iter().map(|item| self.value(item, verb, depth + 1));
                self.between("[", &items.collect::<Vec<_>>(), "]", value)
            }
            (Kind::Struct(fields), Data::Struct(values)) => {
                let named = self.flags.names || self.flags.source;
                let each = fields.iter().zip(values).map(|(field, value)| {
                    // An interface is looked through here, without a step down.
                    let shown = match &value.data {
                        Data::Inner(inner) if value.ty.is_interface() => inner,
                        _ => value,
                    };
                    let text = self.value(shown, verb, depth + 1);
                    match named {
                        true => format!("{}:{text}", field.name),
                        false => text,
                    }
                });
                self.between("{", &each.collect::<Vec<_>>(), "}", value)
            }
            (Kind::Row, Data::Row(methods)) => {
                let plain = methods.iter().filter_map(|(_, method)| match method {
                    super::value::Method::Plain(value) => Some(self.value(value, verb, depth + 1)),
                    super::value::Method::Lookup(_) | super::value::Method::Mark(_) => None,
                });
                self.between("{", &plain.collect::<Vec<_>>(), "}", value)
            }
            (Kind::Interface, Data::Inner(inner)) => self.value(inner, verb, depth + 1),
            (Kind::Interface, _) if self.flags.source => format!("{}(nil)", value.ty),
            (Kind::Interface, _) => "<nil>".into(),
            (Kind::Pointer(_), Data::Inner(inner)) if depth == 0 && is_composed(inner) => {
                format!("&{}", self.value(inner, verb, depth + 1))
            }
            (Kind::Pointer(_), _) => self.pointer(value, verb),
            _ => "<nil>".into(),
        }
    }

    fn between(&self, open: &str, items: &[String], close: &str, value: &Value) -> String {
        match self.flags.source {
            true => format!("{}{{{}}}", value.ty, items.join(", ")),
            false => format!("{open}{}{close}", items.join(" ")),
        }
    }

    fn map(&self, value: &Value, data: &Data, verb: char, depth: usize) -> String {
        let Kind::Map(key_type, _) = &value.ty.kind else {
            return String::new();
        };
        let entries: &[(String, Value)] = match data {
            Data::Map(entries) => entries,
            _ if self.flags.source => return format!("{}(nil)", value.ty),
            _ => &[],
        };
        let each = entries.iter().map(|(key, value)| {
            let key = Value {
                ty: key_type,
                data: Data::Text(key.clone()),
            };
            let key = self.value(&key, verb, depth + 1);
            format!("{key}:{}", self.value(value, verb, depth + 1))
        });
        self.between("map[", &each.collect::<Vec<_>>(), "]", value)
    }

    fn pointer(&self, value: &Value, verb: char) -> String {
        let address = if value.is_nil() { 0 } else { ADDRESS };
        match verb {
            'v' if self.flags.source && address == 0 => format!("({})(nil)", value.ty),
            'v' if self.flags.source => {
                format!("({})({})", value.ty, self.flags.hex(address, true))
            }
            'v' if address == 0 => self.flags.padded("<nil>"),
            'v' | 'p' => self.flags.hex(address, !self.flags.sharp),
            'b' | 'o' | 'd' | 'x' | 'X' => self.flags.integer(address, false, verb),
            _ => self.complaint(value, verb),
        }
    }

    fn integer(&self, magnitude: u64, negative: bool, value: &Value, verb: char) -> String {
        // A negative number is no character.
        let code = if negative { u64::MAX } else { magnitude };
        match verb {
            'v' if self.flags.source && matches!(value.ty.kind, Kind::Uint) => {
                self.flags.hex(magnitude, true)
            }
            'v' => self.flags.integer(magnitude, negative, 'd'),
            'd' | 'b' | 'o' | 'O' | 'x' | 'X' => self.flags.integer(magnitude, negative, verb),
            'c' => self.flags.character(code),
            'q' => self.flags.quoted_character(code),
            'U' => self.flags.point(code),
            _ => self.complaint(value, verb),
        }
    }

    fn float(&self, number: f64, value: &Value, verb: char) -> String {
        match verb {
            'v' => self.flags.float(number, 'g', None),
            'g' | 'G' => self.flags.float(number, verb, None),
            'e' | 'E' | 'f' | 'F' => self.flags.float(number, verb, Some(6)),
            _ => self.complaint(value, verb),
        }
    }

    fn text(&self, text: &str, value: &Value, verb: char) -> String {
        match verb {
            'v' if self.flags.source => self.flags.quoted(text),
            'v' | 's' => self.flags.text(text),
            'x' | 'X' => self.flags.bytes(text.as_bytes(), verb),
            'q' => self.flags.quoted(text),
            _ => self.complaint(value, verb),
        }
    }

    /// `%!d(string=hi)`: a verb that the value has no form for.
    pub(super) fn complaint(&self, value: &Value, verb: char) -> String {
        let printer = Printer {
            complaining: true,
            ..*self
        };
        format!("%!{verb}({}={})", value.ty, printer.value(value, 'v', 0))
    }
}

fn is_composed(value: &Value) -> bool {
    matches!(
        value.ty.kind,
        Kind::Array(..) | Kind::Slice(_) | Kind::Struct(_) | Kind::Map(..) | Kind::Row
    )
}

/// Go's `Sprint`: a space between two where neither is a string.
pub(crate) fn joined(values: &[Value]) -> String {
    let mut out = String::new();
    let mut after_text = true;
    for (at, value) in values.iter().enumerate() {
        let is_text = matches!(value.ty.kind, Kind::Text);
        if at > 0 && !is_text && !after_text {
            out.push(' ');
        }
        out.push_str(&value.to_string());
        after_text = is_text;
    }
    out
}

/// Go's `Sprintln`.
pub(crate) fn line(values: &[Value]) -> String {
    let words: Vec<String> = values.iter().map(Value::to_string).collect();
    words.join(" ") + "\n"
}
