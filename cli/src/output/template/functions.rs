//! The functions a format can call, Go's own and Docker's, and what each of them takes.

use std::fmt;

use super::compare;
use super::escape;
use super::eval::shown;
use super::letters;
use super::{Mode, sequence};
use crate::output::go::print::{joined, line};
use crate::output::go::types::{self, Ty};
use crate::output::go::verbs::printf;
use crate::output::go::{Data, Value};
use crate::output::text::quote;

/// The type of what a table's header is run over: names of columns.
pub(super) const HEADER_TYPE: &str = "formatter.SubHeaderContext";

/// A type that a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    /// `any`
    Any,
    /// Any value, and it is told from nil whether there is one.
    Reflect,
    Text,
    Int,
    Texts,
}

impl Parameter {
    pub(super) fn ty(self) -> Ty {
        types::named(match self {
            Parameter::Any => "any",
            Parameter::Reflect => "reflect.Value",
            Parameter::Text => "string",
            Parameter::Int => "int",
            Parameter::Texts => "[]string",
        })
    }

    pub(super) fn takes_nil(self) -> bool {
        !matches!(self, Parameter::Text | Parameter::Int)
    }

    pub(super) fn nil(self) -> Value {
        match self {
            Parameter::Texts => Value::zero(self.ty()),
            _ => Value::invalid(),
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ty())
    }
}

pub(super) struct Signature {
    pub(super) fixed: &'static [Parameter],
    /// What it takes any number of after that.
    pub(super) rest: Option<Parameter>,
}

impl Signature {
    pub(super) fn at(&self, index: usize) -> Parameter {
        let fixed = self.fixed.get(index).copied();
        fixed.or(self.rest).unwrap_or(Parameter::Any)
    }
}

pub(super) fn is_known(name: &str) -> bool {
    signature(name, Mode::Plain).is_some()
}

pub(super) fn signature(name: &str, mode: Mode) -> Option<Signature> {
    use Parameter::{Any, Int, Reflect, Text, Texts};
    let (fixed, rest): (&[Parameter], _) = match name {
        "and" | "or" | "call" | "eq" | "index" | "slice" => (&[Reflect], Some(Reflect)),
        "not" | "len" => (&[Reflect], None),
        "ne" | "lt" | "le" | "gt" | "ge" => (&[Reflect, Reflect], None),
        "print" | "println" | "html" | "js" | "urlquery" => (&[], Some(Any)),
        "printf" => (&[Text], Some(Any)),
        "json" if mode == Mode::Header => (&[Text], None),
        "json" => (&[Any], None),
        "lower" | "upper" | "title" => (&[Text], None),
        "split" => (&[Text, Text], None),
        "join" if mode == Mode::Header => (&[Text, Text], None),
        "join" => (&[Texts, Text], None),
        "truncate" => (&[Text, Int], None),
        "pad" => (&[Text, Int, Int], None),
        _ => return None,
    };
    Some(Signature { fixed, rest })
}

/// Docker's functions that leave the name of a column as it is.
const HEADER_PLAIN: [&str; 7] = [
    "json", "split", "join", "title", "lower", "upper", "truncate",
];

/// Calls a function with what its signature takes. `callee` is the first argument as written.
pub(super) fn call(
    name: &str,
    mode: Mode,
    callee: Option<String>,
    arguments: Vec<Value>,
) -> Result<Value, String> {
    let first = || arguments.first().cloned().unwrap_or_else(Value::invalid);
    if mode == Mode::Header && HEADER_PLAIN.contains(&name) {
        return Ok(first());
    }
    let text = |at: usize| match arguments.get(at).map(|value| &value.data) {
        Some(Data::Text(text)) => text.as_str(),
        _ => "",
    };
    let int = |at: usize| match arguments.get(at).map(|value| &value.data) {
        Some(Data::Int(int)) => *int,
        _ => 0,
    };
    let value = match name {
        "not" => Value::bool(!first().out_of_interface().truth()),
        "eq" => Value::bool(compare::equal_any(arguments)?),
        "ne" => Value::bool(!compare::equal_any(arguments)?),
        "lt" => Value::bool(compare::order(arguments)?.is_lt()),
        "le" => Value::bool(compare::order(arguments)?.is_le()),
        "gt" => Value::bool(compare::order(arguments)?.is_gt()),
        "ge" => Value::bool(compare::order(arguments)?.is_ge()),
        "len" => sequence::length(first())?,
        "index" => sequence::index(arguments)?,
        "slice" => sequence::slice(arguments)?,
        "call" => return Err(not_callable(first(), callee)),
        "print" => Value::text(joined(&arguments)),
        "println" => Value::text(line(&arguments)),
        "printf" => Value::text(printf(text(0), arguments.get(1..).unwrap_or_default())),
        "html" => Value::text(escape::html(&plain(arguments))),
        "js" => Value::text(escape::js(&plain(arguments))),
        "urlquery" => Value::text(escape::query(&plain(arguments))),
        "json" => match first() {
            value if matches!(value.data, Data::Complex(..)) => {
                return Err(format!("json: unsupported type: {}", value.ty));
            }
            value => Value::text(value.to_json()),
        },
        "lower" => Value::text(letters::lower(text(0))),
        "upper" => Value::text(letters::upper(text(0))),
        "title" => Value::text(letters::title(text(0))),
        "split" => Value::texts(split(text(0), text(1))),
        "join" => Value::text(sequence::join(&first(), text(1))),
        "pad" => Value::text(pad(text(0), int(1), int(2))?),
        "truncate" => Value::text(truncate(text(0), int(1))?),
        other => return Err(format!("{} is not a defined function", quote(other))),
    };
    Ok(value)
}

/// What the escaping functions see of their arguments.
fn plain(arguments: Vec<Value>) -> String {
    let each = arguments
        .into_iter()
        .map(|value| shown(value).unwrap_or_else(|| Value::text("<no value>")));
    joined(&each.collect::<Vec<_>>())
}

/// No value that a format has is a function.
fn not_callable(value: Value, callee: Option<String>) -> String {
    let value = value.out_of_interface();
    match value.is_valid() {
        true => {
            let named = callee.unwrap_or_else(|| value.to_string());
            format!("non-function {named} of type {}", value.ty)
        }
        false => "call of nil".into(),
    }
}

fn split(text: &str, separator: &str) -> Vec<String> {
    match separator {
        "" => text.chars().map(String::from).collect(),
        separator => text.split(separator).map(str::to_owned).collect(),
    }
}

/// More than this is no padding.
const WIDEST: i64 = 1 << 20;

fn pad(text: &str, before: i64, after: i64) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let spaces = |count: i64| match usize::try_from(count.min(WIDEST)) {
        Ok(count) => Ok(" ".repeat(count)),
        Err(_) => Err("strings: negative Repeat count".to_owned()),
    };
    Ok(format!("{}{text}{}", spaces(before)?, spaces(after)?))
}

/// The first bytes of a text.
fn truncate(text: &str, length: i64) -> Result<String, String> {
    let length = usize::try_from(length)
        .map_err(|_| format!("runtime error: slice bounds out of range [:{length}]"))?;
    let bytes = text.as_bytes();
    let kept = &bytes[..length.min(bytes.len())];
    Ok(String::from_utf8_lossy(kept).into_owned())
}
