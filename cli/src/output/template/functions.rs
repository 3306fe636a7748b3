//! The functions a format can call: Go's own and Docker's.

use std::cmp::Ordering;

use super::Mode;
use crate::output::text::quote;
use crate::output::value::{Nil, Value};

const KNOWN: [&str; 24] = [
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not",
    "or", "pad", "print", "printf", "println", "slice", "split", "title", "truncate", "upper",
    "urlquery",
];

/// Docker's functions that leave a header's name as it is.
const HEADER_PLAIN: [&str; 7] = [
    "json", "split", "join", "title", "lower", "upper", "truncate",
];

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

pub(super) fn call(name: &str, mode: Mode, arguments: &[Value]) -> Result<Value, String> {
    if mode == Mode::Header && HEADER_PLAIN.contains(&name) {
        return arguments
            .iter()
            .rev()
            .find(|argument| matches!(argument, Value::Text(_)))
            .or(arguments.first())
            .cloned()
            .ok_or_else(|| wrong_count(name, 1, arguments));
    }
    match name {
        "and" => logic(name, arguments, |value| !value.truth()),
        "or" => logic(name, arguments, Value::truth),
        "not" => one(name, arguments).map(|value| Value::Bool(!value.truth())),
        "eq" => equal_any(arguments),
        "ne" => Ok(Value::Bool(compare(name, arguments)? != Ordering::Equal)),
        "lt" => Ok(Value::Bool(compare(name, arguments)?.is_lt())),
        "le" => Ok(Value::Bool(compare(name, arguments)?.is_le())),
        "gt" => Ok(Value::Bool(compare(name, arguments)?.is_gt())),
        "ge" => Ok(Value::Bool(compare(name, arguments)?.is_ge())),
        "len" => one(name, arguments).and_then(length),
        "index" => index(arguments),
        "slice" => slice(arguments),
        "json" => one(name, arguments).map(|value| match mode {
            Mode::Rows => Value::Text(escape_html(&value.to_json())),
            Mode::Data | Mode::Header => Value::Text(value.to_json()),
        }),
        "print" => Ok(Value::Text(print(arguments))),
        "println" => Ok(Value::Text(println(arguments))),
        "printf" => printf(arguments),
        "lower" => one(name, arguments).map(|value| Value::Text(value.to_string().to_lowercase())),
        "upper" => one(name, arguments).map(|value| Value::Text(value.to_string().to_uppercase())),
        "title" => one(name, arguments).map(|value| Value::Text(title(&value.to_string()))),
        "split" => split(arguments),
        "join" => join(arguments),
        "pad" => pad(arguments),
        "truncate" => truncate(arguments),
        "urlquery" => Ok(Value::Text(crate::api::query_escape(&print(arguments)))),
        other => Err(format!("\"{other}\" is not a defined function")),
    }
}

fn escape_html(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

fn one<'a>(name: &str, arguments: &'a [Value]) -> Result<&'a Value, String> {
    match arguments {
        [value] => Ok(value),
        _ => Err(wrong_count(name, 1, arguments)),
    }
}

fn wrong_count(name: &str, want: usize, got: &[Value]) -> String {
    format!(
        "wrong number of args for {name}: want {want} got {}",
        got.len()
    )
}

/// The first argument that decides, or the last.
fn logic(
    name: &str,
    arguments: &[Value],
    decides: impl Fn(&Value) -> bool,
) -> Result<Value, String> {
    let found = arguments
        .iter()
        .find(|value| decides(value))
        .or(arguments.last());
    found
        .cloned()
        .ok_or_else(|| format!("wrong number of args for {name}: want at least 1 got 0"))
}

fn equal_any(arguments: &[Value]) -> Result<Value, String> {
    let [first, others @ ..] = arguments else {
        return Err("wrong number of args for eq: want at least 1 got 0".into());
    };
    if others.is_empty() {
        return Err("error calling eq: missing argument for comparison".into());
    }
    for other in others {
        if order("eq", first, other)? == Ordering::Equal {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn compare(name: &str, arguments: &[Value]) -> Result<Ordering, String> {
    match arguments {
        [first, second] => order(name, first, second),
        _ => Err(wrong_count(name, 2, arguments)),
    }
}

fn order(name: &str, first: &Value, second: &Value) -> Result<Ordering, String> {
    match (first, second) {
        (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => Ok(a.total_cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Ok(a.cmp(b)),
        (Value::Nil(_), Value::Nil(_)) => Ok(Ordering::Equal),
        // A value compared with nil is only ever unequal.
        (Value::Nil(_), _) => Ok(Ordering::Less),
        (_, Value::Nil(_)) => Ok(Ordering::Greater),
        _ => Err(format!(
            "error calling {name}: incompatible types for comparison"
        )),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        Value::Nil(Nil::List | Nil::Map) => 0,
        _ => return Err("error calling len: len of type without a length".into()),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let [first, keys @ ..] = arguments else {
        return Err("wrong number of args for index: want at least 1 got 0".into());
    };
    let mut value = first.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::List(items), Value::Int(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| items.get(at).cloned())
                .ok_or_else(|| format!("error calling index: index out of range: {at}"))?,
            (Value::Map(entries) | Value::Struct(entries), Value::Text(name)) => entries
                .iter()
                .find(|(entry, _)| entry == name)
                .map_or(Value::Nil(Nil::Missing), |(_, value)| value.clone()),
            (Value::Nil(Nil::Map), Value::Text(_)) => Value::Nil(Nil::Missing),
            (Value::Nil(_), _) => return Err("error calling index: index of untyped nil".into()),
            _ => return Err("error calling index: cannot index this value with that key".into()),
        };
    }
    Ok(value)
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let Some((value, bounds)) = arguments.split_first() else {
        return Err("wrong number of args for slice: want at least 1 got 0".into());
    };
    let length = match length(value)? {
        Value::Int(length) => length,
        _ => 0,
    };
    let bound = |at: usize, default| match bounds.get(at) {
        None => Ok(default),
        Some(Value::Int(bound)) if (0..=length).contains(bound) => Ok(*bound),
        Some(other) => Err(format!("error calling slice: index out of range: {other}")),
    };
    let (from, to) = (bound(0, 0)? as usize, bound(1, length)? as usize);
    if from > to {
        return Err(format!(
            "error calling slice: invalid slice index: {from} > {to}"
        ));
    }
    match value {
        Value::Text(text) => match text.get(from..to) {
            Some(part) => Ok(Value::text(part)),
            None => Err("error calling slice: index inside a character".into()),
        },
        Value::List(items) => Ok(Value::List(items[from..to].to_vec())),
        _ => Err("error calling slice: can't slice this value".into()),
    }
}

/// Go's `Sprint`: a space between operands when neither is a string.
fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut previous_text = true;
    for (index, argument) in arguments.iter().enumerate() {
        let text = matches!(argument, Value::Text(_));
        if index > 0 && !text && !previous_text {
            out.push(' ');
        }
        out.push_str(&argument.to_string());
        previous_text = text;
    }
    out
}

fn println(arguments: &[Value]) -> String {
    let words: Vec<String> = arguments.iter().map(Value::to_string).collect();
    words.join(" ") + "\n"
}

/// The verbs that formats use: `%s %v %d %q %t %x %%`, with `-`, `0` and a width.
fn printf(arguments: &[Value]) -> Result<Value, String> {
    let Some((Value::Text(format), mut rest)) = arguments.split_first() else {
        return Err("wrong type for printf: the format is not a string".into());
    };
    let mut out = String::new();
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = characters.next_if(|c| matches!(c, '-' | '+' | '0' | '#' | ' ')) {
            flags.push(flag);
        }
        let mut width = 0_usize;
        while let Some(digit) = characters.next_if(char::is_ascii_digit) {
            let digit = digit.to_digit(10).unwrap_or(0) as usize;
            width = (width * 10 + digit).min(1000);
        }
        let Some(verb) = characters.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some((argument, others)) = rest.split_first() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        rest = others;
        let word = match (verb, argument) {
            ('q', value) => quote(&value.to_string()),
            ('x', Value::Int(value)) => format!("{value:x}"),
            ('s' | 'v' | 'd' | 't', value) => value.to_string(),
            (verb, value) => format!("%!{verb}({value})"),
        };
        out.push_str(&match (flags.contains('-'), flags.contains('0')) {
            (true, _) => format!("{word:<width$}"),
            (false, true) => format!("{word:0>width$}"),
            (false, false) => format!("{word:>width$}"),
        });
    }
    Ok(Value::Text(out))
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at_start = true;
    for character in text.chars() {
        if at_start {
            out.extend(character.to_uppercase());
        } else {
            out.push(character);
        }
        at_start = !(character.is_alphanumeric() || character == '_' || character == '\'');
    }
    out
}

fn split(arguments: &[Value]) -> Result<Value, String> {
    match arguments {
        [Value::Text(text), Value::Text(separator)] if separator.is_empty() => Ok(Value::List(
            text.chars().map(|c| Value::text(c.to_string())).collect(),
        )),
        [Value::Text(text), Value::Text(separator)] => Ok(Value::List(
            text.split(separator.as_str()).map(Value::text).collect(),
        )),
        [_, _] => Err("wrong type for value; expected string".into()),
        _ => Err(wrong_count("split", 2, arguments)),
    }
}

fn join(arguments: &[Value]) -> Result<Value, String> {
    match arguments {
        [Value::List(items), Value::Text(separator)] => {
            let words: Vec<String> = items.iter().map(Value::to_string).collect();
            Ok(Value::Text(words.join(separator)))
        }
        [Value::Nil(_), Value::Text(_)] => Ok(Value::text("")),
        [_, _] => Err("wrong type for value; expected []string".into()),
        _ => Err(wrong_count("join", 2, arguments)),
    }
}

fn pad(arguments: &[Value]) -> Result<Value, String> {
    match arguments {
        [Value::Text(text), ..] if text.is_empty() => Ok(Value::text("")),
        [Value::Text(text), Value::Int(before), Value::Int(after)] => {
            let spaces = |count: i64| " ".repeat(count.clamp(0, 4096) as usize);
            Ok(Value::Text(format!(
                "{}{text}{}",
                spaces(*before),
                spaces(*after)
            )))
        }
        _ => Err(wrong_count("pad", 3, arguments)),
    }
}

fn truncate(arguments: &[Value]) -> Result<Value, String> {
    match arguments {
        [Value::Text(text), Value::Int(length)] => {
            let length = usize::try_from(*length).unwrap_or(0);
            Ok(Value::Text(text.chars().take(length).collect()))
        }
        _ => Err(wrong_count("truncate", 2, arguments)),
    }
}
