//! What a template is run over: JSON with the order of its fields kept and the kinds that
//! Go tells apart (a struct prints `{a b}`, a map `map[k:v]`).
//!
//! JSON itself does not say which of the two an object is; [`super::shape`] does.

use std::fmt;

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
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(value) => !value.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Map(entries) => !entries.is_empty(),
            Value::Struct(_) | Value::Lookup(_) => true,
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
            Value::Int(value) => out.push_str(&value.to_string()),
            Value::Float(value) => out.push_str(&value.to_string()),
            Value::Text(value) => write_json_text(value, out),
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
    fn values_print_as_go_prints_them() {
        let value: Value = serde_json::from_str(r#"{"p":[{"ip":"::","n":5}],"q":""}"#).unwrap();
        assert_eq!(value.to_string(), "{[{:: 5}] }");
        let empty = Value::Map(vec![("80/tcp".into(), Value::Struct(vec![]))]);
        assert_eq!(empty.to_string(), "map[80/tcp:{}]");
    }
}
