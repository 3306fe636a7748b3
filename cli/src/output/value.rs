//! JSON with the order of its fields kept, and the rows of a list, which are made of the same.
//!
//! What a format sees of them has types: [`super::go`].

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Struct(Vec<(String, Value)>),
    /// Of a row: `[OK]` in a table, a word in JSON.
    Mark(bool),
    /// Of a row: a method of one key, such as `.Label "name"`.
    Lookup(Vec<(String, String)>),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// What a field holds, unless that is null.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        let Value::Struct(entries) = self else {
            return None;
        };
        let found = entries.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value)
            .filter(|value| **value != Value::Null)
    }

    /// As it came, without white space between its parts.
    pub(crate) fn compact(&self) -> String {
        match self {
            Value::Null | Value::Lookup(_) => "null".into(),
            Value::Bool(value) | Value::Mark(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            // A string always has a JSON form; the fallback keeps the output well formed.
            Value::Text(text) => serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into()),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Value::compact).collect();
                format!("[{}]", items.join(","))
            }
            Value::Struct(entries) => {
                let each = entries.iter().map(|(key, value)| {
                    format!("{}:{}", Value::text(key).compact(), value.compact())
                });
                format!("{{{}}}", each.collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Entries in the order in which Go keeps a map.
pub(crate) fn sorted(entries: &[(String, Value)]) -> Vec<&(String, Value)> {
    let mut sorted: Vec<&(String, Value)> = entries.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    sorted
}

/// A word of a table's cell: nothing of what is made of others.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Null | Value::Lookup(_) => Ok(()),
            other => f.write_str(&other.compact()),
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
        Ok(Value::Null)
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
    fn json_keeps_the_order_of_its_fields() {
        let json = r#"{"b":1,"a":[true,null,1.5,"x\ny"]}"#;
        let value: Value = serde_json::from_str(json).expect("valid JSON");
        assert_eq!(value.compact(), json);
        assert_eq!(value.field("b"), Some(&Value::Int(1)));
        assert_eq!(value.field("c"), None);
    }
}
