//! What a template is run over: JSON with the order of its fields kept and the kinds that
//! Go tells apart (a struct prints `{a b}`, a map `map[k:v]`).
//!
//! JSON itself does not say which of the two an object is; [`super::schema`] does.

use std::fmt;

use jiff::Timestamp;

use super::schema::Struct;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What kind of Go value an absent one stands for; it decides how `null` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nil {
    List,
    Map,
    Pointer,
    /// Not there at all: a key that a map does not have.
    Missing,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Nil(Nil),
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    Struct(Vec<(String, Value)>),
    /// A struct of a type that is known, a value for each of its fields.
    Record(&'static Struct, Vec<Value>),
    /// As JSON has it.
    Time(String),
    /// Nanoseconds.
    Duration(i64),
    /// A method of one key, such as `.Label "name"`.
    Lookup(Vec<(String, String)>),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// Go's truth: anything but false, zero, empty and nil.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Value::Nil(_) => false,
            Value::Bool(value) => *value,
            Value::Int(value) | Value::Duration(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(value) => !value.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Map(entries) => !entries.is_empty(),
            Value::Struct(_) | Value::Record(..) | Value::Lookup(_) | Value::Time(_) => true,
        }
    }

    /// The JSON that Docker's `json` function makes of it. Maps are sorted, as Go's are.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Value::Nil(_) | Value::Lookup(_) => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) | Value::Duration(value) => out.push_str(&value.to_string()),
            Value::Float(value) => out.push_str(&value.to_string()),
            Value::Text(value) | Value::Time(value) => write_json_text(value, out),
            Value::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Value::Map(entries) => write_json_entries(&sorted(entries), out),
            Value::Struct(entries) => write_json_entries(&entries.iter().collect::<Vec<_>>(), out),
            Value::Record(of, values) => {
                out.push('{');
                let start = out.len();
                write_json_record(of, values, start, out);
                out.push('}');
            }
        }
    }

    /// What `omitempty` leaves out: structs never.
    fn is_empty(&self) -> bool {
        match self {
            Value::Struct(_) | Value::Record(..) | Value::Time(_) => false,
            other => !other.truth(),
        }
    }

    /// A field of a record, or of a record that is embedded in it.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(entries) => {
                let found = entries.iter().find(|(key, _)| key == name);
                found.map(|(_, value)| value)
            }
            Value::Record(of, values) => {
                let fields = || of.fields.iter().zip(values);
                let own = fields().find(|(field, _)| field.name == name);
                own.map(|(_, value)| value).or_else(|| {
                    let mut embedded = fields().filter(|(field, _)| field.embedded);
                    embedded.find_map(|(_, value)| value.field(name))
                })
            }
            _ => None,
        }
    }
}

fn write_json_entries(entries: &[&(String, Value)], out: &mut String) {
    out.push('{');
    let shown = entries
        .iter()
        .filter(|(_, value)| !matches!(value, Value::Lookup(_)));
    for (index, (key, value)) in shown.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_json_text(key, out);
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

/// The fields of a record; those of embedded ones are its own. The first is at `start`.
fn write_json_record(of: &Struct, values: &[Value], start: usize, out: &mut String) {
    for (field, value) in of.fields.iter().zip(values) {
        let Some(name) = &field.json else { continue };
        if let (true, Value::Record(inner, values)) = (field.embedded, value) {
            write_json_record(inner, values, start, out);
            continue;
        }
        if field.omitted && value.is_empty() {
            continue;
        }
        if out.len() > start {
            out.push(',');
        }
        write_json_text(name, out);
        out.push(':');
        value.write_json(out);
    }
}

fn write_json_text(text: &str, out: &mut String) {
    // A string always has a JSON form; the fallback keeps the output well formed.
    out.push_str(&serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into()));
}

/// Entries in the order in which Go prints a map.
pub(crate) fn sorted(entries: &[(String, Value)]) -> Vec<&(String, Value)> {
    let mut sorted: Vec<&(String, Value)> = entries.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    sorted
}

/// Go's `%v`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil(Nil::List) => f.write_str("[]"),
            Value::Nil(Nil::Map) => f.write_str("map[]"),
            Value::Nil(Nil::Pointer) => f.write_str("<nil>"),
            Value::Nil(Nil::Missing) | Value::Lookup(_) => f.write_str("<no value>"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Text(value) => f.write_str(value),
            Value::Time(value) => match value.parse::<Timestamp>() {
                Ok(at) => {
                    let at = at.to_zoned(jiff::tz::TimeZone::UTC);
                    write!(f, "{} +0000 UTC", at.strftime("%Y-%m-%d %H:%M:%S%.f"))
                }
                Err(_) => f.write_str(value),
            },
            Value::Duration(value) => f.write_str(&duration(*value)),
            Value::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let gap = if index > 0 { " " } else { "" };
                    write!(f, "{gap}{item}")?;
                }
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("map[")?;
                for (index, (key, value)) in sorted(entries).into_iter().enumerate() {
                    let gap = if index > 0 { " " } else { "" };
                    write!(f, "{gap}{key}:{value}")?;
                }
                f.write_str("]")
            }
            Value::Record(_, values) => {
                f.write_str("{")?;
                for (index, value) in values.iter().enumerate() {
                    let gap = if index > 0 { " " } else { "" };
                    write!(f, "{gap}{value}")?;
                }
                f.write_str("}")
            }
            Value::Struct(entries) => {
                f.write_str("{")?;
                for (index, (_, value)) in entries.iter().enumerate() {
                    let gap = if index > 0 { " " } else { "" };
                    write!(f, "{gap}{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A span of time as Go prints one: `1m30s`, `1.5s`, `20ms`.
fn duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let all = nanoseconds.unsigned_abs();
    let part = |unit: u64, name: &str| {
        let digits = unit.ilog10() as usize;
        let fraction = format!("{:0digits$}", all % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{}{point}{fraction}{name}", all / unit)
    };
    let text = match all {
        0 => "0s".into(),
        1..1_000 => part(1, "ns"),
        1_000..1_000_000 => part(1_000, "µs"),
        1_000_000..1_000_000_000 => part(1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (all / 60_000_000_000, all % 60_000_000_000);
            let fraction = format!("{:09}", rest % 1_000_000_000);
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            let seconds = format!("{}{point}{fraction}s", rest / 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil(Nil::Pointer))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::text(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            fields.push(entry);
        }
        Ok(Value::Struct(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_the_order_of_a_struct_and_sorts_a_map() {
        let json = r#"{"b":1,"a":[true,null,1.5,"x\ny"]}"#;
        let value: Value = serde_json::from_str(json).expect("valid JSON");
        assert_eq!(value.to_json(), json);
        let Value::Struct(entries) = value else {
            panic!("an object reads as a struct")
        };
        assert_eq!(
            Value::Map(entries).to_json(),
            r#"{"a":[true,null,1.5,"x\ny"],"b":1}"#
        );
    }

    #[test]
    fn spans_print_as_go_prints_them() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (5, "5ns"),
            (1_500, "1.5µs"),
            (20_000_000, "20ms"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_000_000_000, "-1s"),
        ] {
            assert_eq!(Value::Duration(nanoseconds).to_string(), expected);
        }
        let time = Value::Time("2026-11-29T08:16:37.28553Z".into());
        assert_eq!(time.to_string(), "2026-11-29 08:16:37.28553 +0000 UTC");
        assert_eq!(time.to_json(), "\"2026-11-29T08:16:37.28553Z\"");
    }

    #[test]
    fn values_print_as_go_prints_them() {
        let value: Value = serde_json::from_str(r#"{"p":[{"ip":"::","n":5}],"q":""}"#).unwrap();
        assert_eq!(value.to_string(), "{[{:: 5}] }");
        let empty = Value::Map(vec![("80/tcp".into(), Value::Struct(vec![]))]);
        assert_eq!(empty.to_string(), "map[80/tcp:{}]");
    }
}
