//! `len`, `index`, `slice` and `join`.

use crate::output::go::{Data, Kind, Ty, Value};

pub(super) fn length(value: Value) -> Result<Value, String> {
    if !value.is_valid() {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
    let (value, nil) = value.indirect();
    if nil {
        return Err("len of nil pointer".into());
    }
    match value.len() {
        Some(length) => Ok(Value::int(i64::try_from(length).unwrap_or(i64::MAX))),
        None => Err(format!("len of type {}", value.ty)),
    }
}

pub(super) fn index(arguments: Vec<Value>) -> Result<Value, String> {
    let mut arguments = arguments.into_iter().map(Value::out_of_interface);
    let mut value = arguments.next().unwrap_or_else(Value::invalid);
    if !value.is_valid() {
        return Err("index of untyped nil".into());
    }
    for key in arguments {
        let (item, nil) = value.indirect();
        if nil {
            return Err("index of nil pointer".into());
        }
        value = match (&item.ty.kind, &item.data) {
            (Kind::Slice(_) | Kind::Array(..) | Kind::Text, data) => {
                let at = place(&key, item.len().unwrap_or(0))?;
                let found = match data {
                    Data::Text(text) => text.as_bytes().get(at).map(|byte| Value::byte(*byte)),
                    Data::List(items) => items.get(at).cloned(),
                    _ => None,
                };
                let what = if matches!(item.ty.kind, Kind::Text) {
                    "string"
                } else {
                    "slice"
                };
                found.ok_or_else(|| format!("reflect: {what} index out of range"))?
            }
            (Kind::Map(key_type, of), _) => {
                let found = item.entry(&key_of(&key, key_type)?).cloned();
                found.unwrap_or_else(|| Value::zero(of))
            }
            _ => return Err(format!("can't index item of type {}", item.ty)),
        };
    }
    Ok(value)
}

/// A key that fits a map.
fn key_of(key: &Value, wanted: Ty) -> Result<String, String> {
    match &key.data {
        _ if !key.is_valid() => Err(format!("value is nil; should be of type {wanted}")),
        Data::Text(text) if key.ty.assignable_to(wanted) => Ok(text.clone()),
        _ => Err(format!("value has type {}; should be {wanted}", key.ty)),
    }
}

/// An index that is not beyond the end.
fn place(index: &Value, end: usize) -> Result<usize, String> {
    if !index.is_valid() {
        return Err("cannot index slice/array with nil".into());
    }
    let at = match index.data {
        Data::Int(at) => at,
        Data::Uint(at) => i64::try_from(at).unwrap_or(-1),
        _ => return Err(format!("cannot index slice/array with type {}", index.ty)),
    };
    match usize::try_from(at) {
        Ok(place) if place <= end => Ok(place),
        _ => Err(format!("index out of range: {at}")),
    }
}

pub(super) fn slice(arguments: Vec<Value>) -> Result<Value, String> {
    let mut arguments = arguments.into_iter().map(Value::out_of_interface);
    let value = arguments.next().unwrap_or_else(Value::invalid);
    let indexes: Vec<Value> = arguments.collect();
    if !value.is_valid() {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let end = match (&value.ty.kind, indexes.len()) {
        (Kind::Text, 3) => return Err("cannot 3-index slice a string".into()),
        (Kind::Text | Kind::Slice(_) | Kind::Array(..), _) => value.len().unwrap_or(0),
        _ => return Err(format!("can't slice item of type {}", value.ty)),
    };
    let mut bounds = [0, end, end];
    for (bound, index) in bounds.iter_mut().zip(&indexes) {
        *bound = place(index, end)?;
    }
    let [from, to, most] = bounds;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    if to > most {
        return Err(format!("invalid slice index: {to} > {most}"));
    }
    let data = match value.data {
        Data::Text(text) => {
            let part = text.as_bytes().get(from..to).unwrap_or_default();
            Data::Text(String::from_utf8_lossy(part).into_owned())
        }
        Data::List(items) => Data::List(items.get(from..to).unwrap_or_default().to_vec()),
        other => other,
    };
    Ok(Value { data, ..value })
}

pub(super) fn join(list: &Value, separator: &str) -> String {
    match &list.data {
        Data::List(items) => {
            let words: Vec<String> = items.iter().map(Value::to_string).collect();
            words.join(separator)
        }
        _ => String::new(),
    }
}
