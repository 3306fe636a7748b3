//! The JSON of a value, as Docker's `json` function writes it.

use super::plain::plain;
use super::scalar;
use super::types::{Field, Kind};
use super::value::{Data, Method, Value};

impl Value {
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        write(self, &mut out);
        out
    }
}

fn write(value: &Value, out: &mut String) {
    match (&value.ty.kind, &value.data) {
        (_, Data::Inner(inner)) => write(inner, out),
        (_, Data::Nil) => out.push_str("null"),
        (_, Data::Bool(truth)) => out.push_str(if *truth { "true" } else { "false" }),
        (_, Data::Int(number)) => out.push_str(&number.to_string()),
        (_, Data::Uint(number)) => out.push_str(&number.to_string()),
        (_, Data::Float(number)) => out.push_str(&float(*number)),
        (_, Data::Complex(..)) => out.push_str("null"),
        (_, Data::Text(text)) if value.ty.name == "json.Number" => out.push_str(text),
        (_, Data::Text(text)) => write_text(text, out),
        (_, Data::List(items)) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        (_, Data::Map(entries)) => {
            let entries = entries.iter().map(|(key, value)| (key.as_str(), value));
            write_entries(entries, out);
        }
        (Kind::Struct(fields), Data::Struct(values)) => {
            let mut json = "{".to_owned();
            write_fields(fields, values, json.len(), &mut json);
            json.push('}');
            // Docker makes a map of this one first, all the way down.
            let sorted = match value.ty.name.as_str() {
                "registry.ServiceConfig" => plain(&json).map(|map| map.to_json()),
                _ => None,
            };
            out.push_str(&sorted.unwrap_or(json));
        }
        (_, Data::Struct(_)) => out.push_str("{}"),
        (_, Data::Row(methods)) => {
            let plain: Vec<(&str, Value)> = methods
                .iter()
                .filter_map(|(name, method)| match method {
                    Method::Plain(value) => Some((name.as_str(), value.clone())),
                    Method::Mark(is) => Some((name.as_str(), Value::text(is.to_string()))),
                    Method::Lookup(_) => None,
                })
                .collect();
            let mut row = String::new();
            write_entries(plain.iter().map(|(name, value)| (*name, value)), &mut row);
            out.push_str(&escape_html(&row));
        }
    }
}

fn write_entries<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>, out: &mut String) {
    out.push('{');
    for (at, (key, value)) in entries.enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

/// The fields of a struct; those of embedded ones are its own. The first is at `start`.
fn write_fields(fields: &[Field], values: &[Value], start: usize, out: &mut String) {
    for (field, value) in fields.iter().zip(values) {
        if field.embedded {
            let (inner, _) = value.clone().indirect();
            if let (Kind::Struct(fields), Data::Struct(values)) = (&inner.ty.kind, &inner.data) {
                write_fields(fields, values, start, out);
            }
            continue;
        }
        let Some(name) = &field.json else { continue };
        let composed = matches!(value.ty.kind, Kind::Struct(_) | Kind::Time);
        if field.omitted && !composed && !value.truth() {
            continue;
        }
        if out.len() > start {
            out.push(',');
        }
        write_text(name, out);
        out.push(':');
        write(value, out);
    }
}

fn write_text(text: &str, out: &mut String) {
    // A string always has a JSON form; the fallback keeps the output well formed.
    let json = serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into());
    // Two line ends of Unicode's that JavaScript does not take.
    out.push_str(
        &json
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029"),
    );
}

fn float(number: f64) -> String {
    let size = number.abs();
    let plain = size == 0.0 || (1e-6..1e21).contains(&size);
    let digits = match plain {
        true => scalar::float(size, 'f', None),
        // An exponent of one digit has no zero before it.
        false => scalar::float(size, 'e', None).replace("e-0", "e-"),
    };
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{digits}")
}

/// A row writes itself, by the encoder that minds what HTML would take it for.
fn escape_html(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}
