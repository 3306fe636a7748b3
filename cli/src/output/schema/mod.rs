//! The types of Docker's own command line, which formats were written against.
//!
//! JSON has lost what a Go type says: `{{.Config.ExposedPorts}}` prints `map[80/tcp:{}]` where
//! `{{.HostConfig.RestartPolicy}}` prints `{always 0}`, a field that the daemon left out prints
//! `<nil>` or nothing by its type, `.HostConfig.NanoCPUs` is `NanoCpus` on the wire. So the types
//! are written down in `docker.types`, and an answer is read as one of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::value::{Nil, Value};

/// A struct of Go's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// As a format names it.
    pub(crate) name: String,
    /// As JSON names it; none where it never gets there.
    pub(crate) json: Option<String>,
    /// Left out of JSON where it is empty.
    pub(crate) omitted: bool,
    /// Its own fields count as the outer struct's.
    pub(crate) embedded: bool,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Time,
    Duration,
    /// Decoded as it comes.
    Any,
    List(Box<Kind>),
    /// From strings.
    Map(Box<Kind>),
    Pointer(Box<Kind>),
    /// By its name in the table.
    Struct(String),
}

static TYPES: LazyLock<HashMap<String, Struct>> =
    LazyLock::new(|| parse(include_str!("docker.types")));

/// `json` read as the type of this name, which the table has.
pub(crate) fn typed(name: &str, json: &Value) -> Value {
    read(&Kind::Struct(name.to_owned()), Some(json))
}

/// What a format sees that no type fits: maps and lists, as Go decodes JSON by itself.
pub(crate) fn untyped(json: &Value) -> Value {
    let each = |entries: &[(String, Value)]| {
        let entries = entries
            .iter()
            .map(|(key, value)| (key.clone(), untyped(value)));
        Value::Map(entries.collect())
    };
    match json {
        Value::Struct(entries) | Value::Map(entries) => each(entries),
        Value::List(items) => Value::List(items.iter().map(untyped).collect()),
        Value::Nil(_) => Value::Nil(Nil::Missing),
        other => other.clone(),
    }
}

fn read(kind: &Kind, json: Option<&Value>) -> Value {
    let json = json.filter(|json| !matches!(json, Value::Nil(_)));
    match (kind, json) {
        (Kind::Pointer(_), None) => Value::Nil(Nil::Pointer),
        (Kind::Pointer(inner), json) => read(inner, json),
        (Kind::List(_), None) => Value::Nil(Nil::List),
        (Kind::List(inner), Some(Value::List(items))) => {
            Value::List(items.iter().map(|item| read(inner, Some(item))).collect())
        }
        (Kind::Map(_), None) => Value::Nil(Nil::Map),
        (Kind::Map(inner), Some(Value::Struct(entries) | Value::Map(entries))) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| (key.clone(), read(inner, Some(value))));
            Value::Map(entries.collect())
        }
        (Kind::Struct(name), json) => record(name, json),
        (Kind::Any, None) => Value::Nil(Nil::Missing),
        (Kind::Any, Some(json)) => untyped(json),
        (Kind::Bool, None) => Value::Bool(false),
        (Kind::Int | Kind::Duration, None) => Value::Int(0),
        (Kind::Float, None) => Value::Float(0.0),
        (Kind::Text, None) => Value::text(""),
        (Kind::Time, None) => Value::Time("0001-01-01T00:00:00Z".into()),
        (Kind::Time, Some(Value::Text(text))) => Value::Time(text.clone()),
        (Kind::Duration, Some(Value::Int(nanoseconds))) => Value::Duration(*nanoseconds),
        // A daemon that sends another type than Docker's: shown as it came.
        (_, Some(json)) => untyped(json),
    }
}

fn record(name: &str, json: Option<&Value>) -> Value {
    let Some(of) = TYPES.get(name) else {
        // The only one that is not in the table: Go's value of a set.
        return Value::Struct(Vec::new());
    };
    let entries: &[(String, Value)] = match json {
        Some(Value::Struct(entries) | Value::Map(entries)) => entries,
        _ => &[],
    };
    let values = of.fields.iter().map(|field| {
        if field.embedded {
            return read(&field.kind, json.or(Some(&Value::Struct(Vec::new()))));
        }
        let wire = field.json.as_deref();
        let found = entries.iter().find(|(key, _)| Some(key.as_str()) == wire);
        read(&field.kind, found.map(|(_, value)| value))
    });
    Value::Record(of, values.collect())
}

fn parse(text: &str) -> HashMap<String, Struct> {
    let mut types: HashMap<String, Struct> = HashMap::new();
    let mut current: Option<Struct> = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(line) => {
                if let (Some(current), Some(field)) = (&mut current, field(line)) {
                    current.fields.push(field);
                }
            }
            None if line.is_empty() => {}
            None => {
                let new = Struct {
                    name: line.to_owned(),
                    fields: Vec::new(),
                };
                types.extend(current.replace(new).map(|done| (done.name.clone(), done)));
            }
        }
    }
    types.extend(current.map(|done| (done.name.clone(), done)));
    types
}

/// `NAME TYPE [JSON-NAME] [omit]`
fn field(line: &str) -> Option<Field> {
    let mut words = line.split_whitespace();
    let (name, kind) = (words.next()?, kind(words.next()?));
    let mut rest: Vec<&str> = words.collect();
    let omitted = rest.last() == Some(&"omit");
    if omitted {
        rest.pop();
    }
    let embedded = name.starts_with('+');
    let name = name.trim_start_matches('+');
    Some(Field {
        name: name.to_owned(),
        json: match rest.first() {
            Some(&"-") => None,
            Some(json) => Some((*json).to_owned()),
            None => Some(name.to_owned()),
        },
        omitted,
        embedded,
        kind,
    })
}

fn kind(word: &str) -> Kind {
    let boxed = |word: &str| Box::new(kind(word));
    if let Some(rest) = word.strip_prefix('*') {
        return Kind::Pointer(boxed(rest));
    }
    if let Some(rest) = word.strip_prefix("[]") {
        return Kind::List(boxed(rest));
    }
    if let Some(rest) = word.strip_prefix("map[").and_then(|w| w.strip_suffix(']')) {
        return Kind::Map(boxed(rest));
    }
    match word {
        "bool" => Kind::Bool,
        "float64" => Kind::Float,
        "string" => Kind::Text,
        "time" => Kind::Time,
        "duration" => Kind::Duration,
        "any" => Kind::Any,
        "int" | "int64" | "uint" | "uint16" | "uint64" => Kind::Int,
        name => Kind::Struct(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, json: &str) -> String {
        typed(name, &serde_json::from_str(json).expect("valid JSON")).to_string()
    }

    fn named(kind: &Kind) -> Option<&str> {
        match kind {
            Kind::List(inner) | Kind::Map(inner) | Kind::Pointer(inner) => named(inner),
            Kind::Struct(name) => Some(name),
            _ => None,
        }
    }

    #[test]
    fn every_type_that_is_named_is_in_the_table() {
        assert!(TYPES.len() > 40, "{}", TYPES.len());
        for of in TYPES.values() {
            for field in &of.fields {
                let known = named(&field.kind)
                    .is_none_or(|name| name == "struct{}" || TYPES.contains_key(name));
                assert!(known, "{} of {} is of no known type", field.name, of.name);
            }
        }
    }

    #[test]
    fn fields_print_as_dockers_types_do() {
        for (name, json, expected) in [
            (
                "container.RestartPolicy",
                r#"{"MaximumRetryCount":0,"Name":"always"}"#,
                "{always 0}",
            ),
            (
                "v1.ImageConfig",
                r#"{"ExposedPorts":{"80/tcp":{}},"Labels":{"b":"2","a":"1"}}"#,
                "{ map[80/tcp:{}] [] [] [] map[]  map[a:1 b:2]  false}",
            ),
            (
                "container.LogConfig",
                r#"{"Type":"json-file","Config":{}}"#,
                "{json-file map[]}",
            ),
            ("container.RestartPolicy", "{}", "{ 0}"),
            (
                "container.NetworkSettingsBase",
                r#"{"Ports":{"5000/tcp":[{"HostIp":"0.0.0.0","HostPort":"5000"}],"1/udp":null}}"#,
                "{   map[1/udp:[] 5000/tcp:[{0.0.0.0 5000}]] false  0 [] []}",
            ),
        ] {
            assert_eq!(shown(name, json), expected, "{json}");
        }
    }

    #[test]
    fn json_is_in_gos_order_and_leaves_out_what_is_empty() {
        let json = r#"{"timeNano":5,"Action":"die","Type":"container","Actor":{"Attributes":{"b":"<","a":"1"},"ID":"x"}}"#;
        let event = typed("events.Message", &serde_json::from_str(json).unwrap());
        assert_eq!(
            event.to_json(),
            r#"{"Type":"container","Action":"die","Actor":{"ID":"x","Attributes":{"a":"1","b":"<"}},"timeNano":5}"#
        );
    }
}
