//! A value and its type.

use super::types::{self, Kind, Ty};
use crate::output::value::{self as json, Value as Json};

#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) ty: Ty,
    pub(crate) data: Data,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// A pointer, list, map or interface that holds nothing, or nothing at all.
    Nil,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Complex(f64, f64),
    /// Of a moment, as JSON has it.
    Text(String),
    List(Vec<Value>),
    /// By key.
    Map(Vec<(String, Value)>),
    /// In the order of the type's fields.
    Struct(Vec<Value>),
    /// What a pointer points to, or an interface holds.
    Inner(Box<Value>),
    Row(Vec<(String, Method)>),
}

/// What a row of a list has by name.
#[derive(Debug, Clone)]
pub(crate) enum Method {
    Plain(Value),
    /// `[OK]` where it is true; JSON has the word for it.
    Mark(bool),
    /// Takes a key, such as `.Label "name"`.
    Lookup(Vec<(String, String)>),
}

impl Value {
    fn new(ty: &str, data: Data) -> Value {
        Value {
            ty: types::named(ty),
            data,
        }
    }

    /// No value: what a key that is not there gives.
    pub(crate) fn invalid() -> Value {
        Value::new("invalid", Data::Nil)
    }

    pub(crate) fn bool(value: bool) -> Value {
        Value::new("bool", Data::Bool(value))
    }

    pub(crate) fn int(value: i64) -> Value {
        Value::new("int", Data::Int(value))
    }

    pub(crate) fn int64(value: i64) -> Value {
        Value::new("int64", Data::Int(value))
    }

    pub(crate) fn float(value: f64) -> Value {
        Value::new("float64", Data::Float(value))
    }

    pub(crate) fn text(text: impl Into<String>) -> Value {
        Value::new("string", Data::Text(text.into()))
    }

    pub(crate) fn complex(real: f64, imaginary: f64) -> Value {
        Value::new("complex128", Data::Complex(real, imaginary))
    }

    pub(crate) fn byte(value: u8) -> Value {
        Value::new("uint8", Data::Uint(value.into()))
    }

    pub(crate) fn texts(items: Vec<String>) -> Value {
        let items = items.into_iter().map(Value::text).collect();
        Value::new("[]string", Data::List(items))
    }

    /// What is neither given nor nil where a value of this type has to be.
    pub(crate) fn zero(ty: Ty) -> Value {
        let data = match &ty.kind {
            Kind::Bool => Data::Bool(false),
            Kind::Int => Data::Int(0),
            Kind::Uint => Data::Uint(0),
            Kind::Float => Data::Float(0.0),
            Kind::Complex => Data::Complex(0.0, 0.0),
            Kind::Text => Data::Text(String::new()),
            Kind::Time => Data::Text("0001-01-01T00:00:00Z".into()),
            Kind::Array(count, of) => Data::List(vec![Value::zero(of); *count]),
            Kind::Struct(fields) => {
                Data::Struct(fields.iter().map(|field| Value::zero(field.ty)).collect())
            }
            Kind::Row => Data::Row(Vec::new()),
            _ => Data::Nil,
        };
        Value { ty, data }
    }

    /// A pointer to it.
    pub(crate) fn by_reference(self) -> Value {
        Value {
            ty: types::pointer_to(self.ty),
            data: Data::Inner(Box::new(self)),
        }
    }

    /// It, held by an interface.
    pub(crate) fn in_interface(self) -> Value {
        let data = match self.is_valid() {
            true => Data::Inner(Box::new(self)),
            false => Data::Nil,
        };
        Value::new("any", data)
    }

    /// What a format sees that no type fits: maps and lists, as Go decodes JSON by itself, with
    /// numbers as they are written.
    pub(crate) fn plain(json: &Json) -> Value {
        match json {
            Json::Null | Json::Lookup(_) => Value::invalid(),
            Json::Bool(value) | Json::Mark(value) => Value::bool(*value),
            Json::Int(value) => Value::new("json.Number", Data::Text(value.to_string())),
            Json::Float(value) => Value::new("json.Number", Data::Text(value.to_string())),
            Json::Text(text) => Value::text(text),
            Json::List(items) => {
                let items = items.iter().map(|item| Value::plain(item).in_interface());
                Value::new("[]any", Data::List(items.collect()))
            }
            Json::Struct(entries) => {
                let each = json::sorted(entries).into_iter();
                let each =
                    each.map(|(key, value)| (key.clone(), Value::plain(value).in_interface()));
                Value::new("map[string]any", Data::Map(each.collect()))
            }
        }
    }

    /// A row of a list, whose type has this name; it is handed over by reference.
    pub(crate) fn row(name: &str, fields: &[(String, Json)]) -> Value {
        let methods = fields.iter().map(|(name, value)| {
            let method = match value {
                Json::Lookup(entries) => Method::Lookup(entries.clone()),
                Json::Mark(is) => Method::Mark(*is),
                other => Method::Plain(Value::of_row(other)),
            };
            (name.clone(), method)
        });
        Value::new(name, Data::Row(methods.collect())).by_reference()
    }

    /// The names of a table's columns, by field.
    pub(crate) fn header(ty: &str, columns: &[(&str, &str)]) -> Value {
        let mut columns: Vec<(String, Value)> = columns
            .iter()
            .map(|(field, column)| ((*field).to_owned(), Value::text(*column)))
            .collect();
        columns.sort_by(|a, b| a.0.cmp(&b.0));
        Value::new(ty, Data::Map(columns))
    }

    /// What a method of a row gives.
    fn of_row(json: &Json) -> Value {
        match json {
            Json::Int(value) => Value::int(*value),
            // A list within a list has rows of its own.
            Json::Struct(entries) => Value::row("formatter.rowContext", entries),
            Json::List(items) => {
                let items: Vec<Value> = items.iter().map(Value::of_row).collect();
                let ty = match items.first() {
                    Some(first) => format!("[]{}", first.ty),
                    None => "[]string".into(),
                };
                Value::new(&ty, Data::List(items))
            }
            Json::Null => Value::zero(types::named("*formatter.Platform")),
            other => Value::plain(other),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        !matches!(self.ty.kind, Kind::Invalid)
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self.data, Data::Nil)
    }

    /// Go's truth: anything but false, zero, empty and nil.
    pub(crate) fn truth(&self) -> bool {
        match (&self.ty.kind, &self.data) {
            (Kind::Struct(_) | Kind::Time | Kind::Row | Kind::Pointer(_), data) => {
                !matches!(data, Data::Nil)
            }
            (_, Data::Nil) => false,
            (_, Data::Bool(value)) => *value,
            (_, Data::Int(value)) => *value != 0,
            (_, Data::Uint(value)) => *value != 0,
            (_, Data::Float(value)) => *value != 0.0,
            (_, Data::Complex(real, imaginary)) => *real != 0.0 || *imaginary != 0.0,
            (_, Data::Text(value)) => !value.is_empty(),
            (_, Data::List(items)) => !items.is_empty(),
            (_, Data::Map(entries)) => !entries.is_empty(),
            (_, Data::Struct(_) | Data::Inner(_) | Data::Row(_)) => true,
        }
    }

    /// How many there are in it, if it is something that holds others.
    pub(crate) fn len(&self) -> Option<usize> {
        match (&self.ty.kind, &self.data) {
            (Kind::Slice(_) | Kind::Map(..), Data::Nil) => Some(0),
            (Kind::Text, Data::Text(text)) => Some(text.len()),
            (_, Data::List(items)) => Some(items.len()),
            (_, Data::Map(entries)) => Some(entries.len()),
            _ => None,
        }
    }

    /// What an interface holds, and everything else as it is.
    pub(crate) fn out_of_interface(self) -> Value {
        match (self.ty.is_interface(), self.data) {
            (true, Data::Inner(inner)) => *inner,
            (true, _) => Value::invalid(),
            (false, data) => Value { data, ..self },
        }
    }

    /// Behind all pointers and interfaces, and whether one of them holds nothing.
    pub(crate) fn indirect(mut self) -> (Value, bool) {
        while matches!(self.ty.kind, Kind::Pointer(_) | Kind::Interface) {
            match self.data {
                Data::Inner(inner) => self = *inner,
                data => return (Value { data, ..self }, true),
            }
        }
        (self, false)
    }

    /// A field of a struct, or of one that is embedded in it.
    pub(crate) fn field(&self, name: &str) -> Option<Result<&Value, String>> {
        let (Kind::Struct(fields), Data::Struct(values)) = (&self.ty.kind, &self.data) else {
            return None;
        };
        let both = || fields.iter().zip(values);
        if let Some((_, value)) = both().find(|(field, _)| field.name == name) {
            return Some(Ok(value));
        }
        both()
            .filter(|(field, _)| field.embedded)
            .find_map(|(_, value)| match &value.data {
                Data::Inner(inner) => inner.field(name),
                Data::Nil => match &value.ty.kind {
                    Kind::Pointer(to) if Value::zero(to).field(name).is_some() => {
                        let of = to.name.rsplit('.').next().unwrap_or_default();
                        Some(Err(format!(
                            "reflect: indirection through nil pointer to embedded struct field {of}"
                        )))
                    }
                    _ => None,
                },
                _ => value.field(name),
            })
    }

    /// What a map has under a key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Value> {
        match &self.data {
            Data::Map(entries) => {
                let found = entries.iter().find(|(name, _)| name == key);
                found.map(|(_, value)| value)
            }
            _ => None,
        }
    }
}
