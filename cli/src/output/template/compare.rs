//! `eq`, `lt` and their like: values of a kind compare, others are a mistake.

use std::cmp::Ordering;

use crate::output::go::{Data, Kind, Value};

const UNLIKE: &str = "incompatible types for comparison";
const NO_ORDER: &str = "invalid type for comparison";

/// Whether the first is equal to any of the others.
pub(super) fn equal_any(arguments: Vec<Value>) -> Result<bool, String> {
    let mut arguments = arguments.into_iter().map(Value::out_of_interface);
    let first = arguments.next().unwrap_or_else(Value::invalid);
    let mut others = arguments.peekable();
    if others.peek().is_none() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal(&first, &other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn equal(first: &Value, other: &Value) -> Result<bool, String> {
    if let Some(order) = integers(first, other) {
        return Ok(order.is_eq());
    }
    match (basic(first), basic(other)) {
        (Some(a), Some(b)) if a == b => Ok(match (&first.data, &other.data) {
            (Data::Bool(a), Data::Bool(b)) => a == b,
            (Data::Float(a), Data::Float(b)) => a == b,
            (Data::Complex(a, b), Data::Complex(c, d)) => a == c && b == d,
            (Data::Text(a), Data::Text(b)) => a == b,
            _ => false,
        }),
        (None, None) => composed(first, other),
        _ if first.is_valid() && other.is_valid() => Err(UNLIKE.into()),
        _ => Ok(false),
    }
}

fn composed(first: &Value, other: &Value) -> Result<bool, String> {
    let same_kind =
        std::mem::discriminant(&first.ty.kind) == std::mem::discriminant(&other.ty.kind);
    if !same_kind && first.is_valid() && other.is_valid() {
        return Err(format!(
            "non-comparable types {first}: {}, {}: {other}",
            first.ty, other.ty
        ));
    }
    if first.is_nil() || other.is_nil() {
        return Ok(first.is_nil() == other.is_nil());
    }
    if !other.ty.is_comparable() {
        return Err(format!("non-comparable type {other}: {}", other.ty));
    }
    // Pointers are equal to themselves only, and no format has one twice but as the same.
    Ok(first.ty == other.ty && first.to_string() == other.to_string())
}

/// `lt`: the order of two values that have one.
pub(super) fn order(arguments: Vec<Value>) -> Result<Ordering, String> {
    let mut arguments = arguments.into_iter().map(Value::out_of_interface);
    let (Some(first), Some(other)) = (arguments.next(), arguments.next()) else {
        return Err(NO_ORDER.into());
    };
    let (Some(a), Some(b)) = (basic(&first), basic(&other)) else {
        return Err(NO_ORDER.into());
    };
    if let Some(order) = integers(&first, &other) {
        return Ok(order);
    }
    if a != b {
        return Err(UNLIKE.into());
    }
    match (&first.data, &other.data) {
        (Data::Float(a), Data::Float(b)) => a.partial_cmp(b).ok_or_else(|| UNLIKE.into()),
        (Data::Text(a), Data::Text(b)) => Ok(a.cmp(b)),
        _ => Err(NO_ORDER.into()),
    }
}

/// Integers compare whatever their signs and sizes.
fn integers(first: &Value, other: &Value) -> Option<Ordering> {
    let number = |value: &Value| match value.data {
        Data::Int(number) => Some(i128::from(number)),
        Data::Uint(number) => Some(i128::from(number)),
        _ => None,
    };
    Some(number(first)?.cmp(&number(other)?))
}

fn basic(value: &Value) -> Option<u8> {
    match value.ty.kind {
        Kind::Bool => Some(0),
        Kind::Int => Some(1),
        Kind::Uint => Some(2),
        Kind::Float => Some(3),
        Kind::Complex => Some(4),
        Kind::Text => Some(5),
        _ => None,
    }
}
