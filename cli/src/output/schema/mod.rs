//! The types of Docker's own command line, which formats were written against.
//!
//! JSON has lost what a Go type says: `{{.Config.ExposedPorts}}` prints `map[80/tcp:{}]` where
//! `{{.HostConfig.RestartPolicy}}` prints `{always 0}`, a field that the daemon left out prints
//! `<nil>` or nothing by its type, `.HostConfig.NanoCPUs` is `NanoCpus` on the wire. So the types
//! are written down in `docker.types`, and an answer is read as one of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::go::types::{self, Field, Kind, Ty};
use super::go::{Data, Value};
use super::value::{self as json, Value as Json};

/// What the table says of a name.
pub(crate) enum Definition {
    /// The name of another type that it is made of.
    Of(String),
    Struct(Vec<Field>),
}

/// Names to the lines below them.
static TABLE: LazyLock<HashMap<&str, Vec<&str>>> =
    LazyLock::new(|| table(include_str!("docker.types")));

pub(crate) fn definition(name: &str) -> Option<Definition> {
    let lines = TABLE.get(name)?;
    if let [line] = lines.as_slice()
        && let Some(of) = line.strip_prefix("= ")
    {
        return Some(Definition::Of(of.to_owned()));
    }
    let fields = lines.iter().filter_map(|line| field(line));
    Some(Definition::Struct(fields.collect()))
}

/// `json` read as the type of this name.
pub(crate) fn typed(name: &str, json: &Json) -> Value {
    read(types::named(name), Some(json))
}

fn read(ty: Ty, json: Option<&Json>) -> Value {
    let Some(json) = json.filter(|json| !matches!(json, Json::Null)) else {
        return Value::zero(ty);
    };
    let data = match (&ty.kind, json) {
        (Kind::Pointer(to), json) => Some(Data::Inner(Box::new(read(to, Some(json))))),
        (Kind::Interface, json) => return decoded(json).in_interface(),
        (Kind::Slice(of), Json::List(items)) => Some(Data::List(
            items.iter().map(|item| read(of, Some(item))).collect(),
        )),
        (Kind::Array(count, of), Json::List(items)) => {
            let items = (0..*count).map(|at| read(of, items.get(at)));
            Some(Data::List(items.collect()))
        }
        (Kind::Map(_, of), Json::Struct(entries)) => {
            let entries = json::sorted(entries).into_iter();
            let entries = entries.map(|(key, value)| (key.clone(), read(of, Some(value))));
            Some(Data::Map(entries.collect()))
        }
        (Kind::Struct(fields), Json::Struct(entries)) => Some(record(fields, json, entries)),
        (Kind::Bool, Json::Bool(value)) => Some(Data::Bool(*value)),
        (Kind::Int, Json::Int(value)) => Some(Data::Int(*value)),
        (Kind::Uint, Json::Int(value)) => u64::try_from(*value).ok().map(Data::Uint),
        (Kind::Float, Json::Int(value)) => Some(Data::Float(*value as f64)),
        (Kind::Float, Json::Float(value)) => Some(Data::Float(*value)),
        (Kind::Text | Kind::Time, Json::Text(text)) => Some(Data::Text(text.clone())),
        // A daemon that sends another type than Docker's: as if it had not.
        _ => None,
    };
    match data {
        Some(data) => Value { ty, data },
        None => Value::zero(ty),
    }
}

fn record(fields: &[Field], json: &Json, entries: &[(String, Json)]) -> Data {
    let values = fields.iter().map(|field| {
        if field.embedded {
            return read(field.ty, Some(json));
        }
        let found = field.json.as_deref().and_then(|wire| {
            let exact = entries.iter().find(|(key, _)| key == wire);
            // Go takes any case for it.
            exact.or_else(|| {
                entries
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(wire))
            })
        });
        read(field.ty, found.map(|(_, value)| value))
    });
    Data::Struct(values.collect())
}

/// JSON of no particular type.
fn decoded(json: &Json) -> Value {
    let ty = types::named;
    match json {
        Json::Int(value) => Value::float(*value as f64),
        Json::Float(value) => Value::float(*value),
        Json::List(items) => {
            let items = items.iter().map(|item| decoded(item).in_interface());
            Value {
                ty: ty("[]any"),
                data: Data::List(items.collect()),
            }
        }
        Json::Struct(entries) => {
            let entries = json::sorted(entries).into_iter();
            let entries = entries.map(|(key, value)| (key.clone(), decoded(value).in_interface()));
            Value {
                ty: ty("map[string]any"),
                data: Data::Map(entries.collect()),
            }
        }
        other => Value::plain(other),
    }
}

fn table(text: &'static str) -> HashMap<&'static str, Vec<&'static str>> {
    let mut all: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut current = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(line) => all.entry(current).or_default().push(line),
            None => match line.split_once(" = ") {
                Some((name, _)) => {
                    all.insert(name, vec![&line[name.len() + 1..]]);
                }
                None if line.is_empty() => {}
                None => {
                    current = line;
                    all.entry(line).or_default();
                }
            },
        }
    }
    all
}

/// `NAME TYPE [JSON-NAME] [omit]`
fn field(line: &str) -> Option<Field> {
    let mut words = line.split_whitespace();
    let (name, ty) = (words.next()?, types::named(words.next()?));
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
        ty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, json: &str) -> String {
        typed(name, &serde_json::from_str(json).expect("valid JSON")).to_string()
    }

    fn unknown(ty: Ty) -> Option<&'static str> {
        match &ty.kind {
            Kind::Slice(of) | Kind::Array(_, of) | Kind::Map(_, of) | Kind::Pointer(of) => {
                unknown(of)
            }
            Kind::Struct(fields)
                if fields.is_empty()
                    && !matches!(ty.name.as_str(), "struct {}" | "mount.ClusterOptions") =>
            {
                Some(&ty.name)
            }
            _ => None,
        }
    }

    #[test]
    fn every_type_that_is_named_is_in_the_table() {
        assert!(TABLE.len() > 60, "{}", TABLE.len());
        for name in TABLE.keys() {
            if let Kind::Struct(fields) = &types::named(name).kind {
                for field in fields {
                    let unknown = unknown(field.ty);
                    assert_eq!(unknown, None, "{} of {name}", field.name);
                }
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
