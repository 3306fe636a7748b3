//! Which objects of the API are maps in Docker's own types, and what its nulls mean.
//!
//! Templates were written against Go types: `{{.Config.ExposedPorts}}` prints
//! `map[80/tcp:{}]` but `{{.HostConfig.RestartPolicy}}` prints `{always 0}`, and a null list
//! prints `[]` where a null number prints `<nil>`. The wire format has lost that, so the
//! names of the few fields that are maps or pointers are kept here.

use super::value::{Nil, Value};

/// Fields whose object is a map from free keys, at whatever depth they stand.
const MAPS: [&str; 21] = [
    "Annotations",
    "Containers",
    "Data",
    "Details",
    "DriverOpts",
    "Extensions",
    "ExposedPorts",
    "IndexConfigs",
    "Labels",
    "LogOpts",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Runtimes",
    "status",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
    "RuncOptions",
];

/// Fields whose null is an absent number, flag or struct rather than an empty list.
const POINTERS: [&str; 12] = [
    "ConfigFrom",
    "Health",
    "Healthcheck",
    "IPAMConfig",
    "ImageManifestDescriptor",
    "Init",
    "MemorySwappiness",
    "OomKillDisable",
    "PidsLimit",
    "StopTimeout",
    "SizeRw",
    "SizeRootFs",
];

/// Gives decoded JSON the kinds that Docker's types have.
pub(crate) fn typed(value: Value) -> Value {
    under("", value)
}

fn under(name: &str, value: Value) -> Value {
    match value {
        Value::Struct(entries) if is_map(name, &entries) => Value::Map(each(entries, "")),
        Value::Struct(entries) => {
            let fields = entries.into_iter().map(|(key, value)| {
                let typed = if name == "LogConfig" && key == "Config" {
                    under("Options", value)
                } else {
                    under(&key, value)
                };
                (key, typed)
            });
            Value::Struct(fields.collect())
        }
        Value::List(items) => Value::List(items.into_iter().map(|item| under("", item)).collect()),
        Value::Nil(_) if MAPS.contains(&name) => Value::Nil(Nil::Map),
        Value::Nil(_) if POINTERS.contains(&name) => Value::Nil(Nil::Pointer),
        Value::Nil(_) => Value::Nil(Nil::List),
        other => other,
    }
}

/// `Ports` of a container summary is a list of structs; only its map form has free keys.
fn is_map(name: &str, entries: &[(String, Value)]) -> bool {
    MAPS.contains(&name) && !entries.iter().any(|(key, _)| key == "PrivatePort")
}

fn each(entries: Vec<(String, Value)>, name: &str) -> Vec<(String, Value)> {
    entries
        .into_iter()
        .map(|(key, value)| (key, under(name, value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        typed(serde_json::from_str(json).expect("valid JSON")).to_string()
    }

    #[test]
    fn fields_print_as_dockers_types_do() {
        for (json, expected) in [
            (
                r#"{"RestartPolicy":{"Name":"always","MaximumRetryCount":0}}"#,
                "{{always 0}}",
            ),
            (r#"{"ExposedPorts":{"80/tcp":{}}}"#, "{map[80/tcp:{}]}"),
            (
                r#"{"Ports":{"5000/tcp":[{"HostIp":"0.0.0.0","HostPort":"5000"}]}}"#,
                "{map[5000/tcp:[{0.0.0.0 5000}]]}",
            ),
            (
                r#"{"Binds":null,"PidsLimit":null,"Volumes":null}"#,
                "{[] <nil> map[]}",
            ),
            (
                r#"{"LogConfig":{"Type":"json-file","Config":{}}}"#,
                "{{json-file map[]}}",
            ),
            (r#"{"Labels":{"b":"2","a":"1"}}"#, "{map[a:1 b:2]}"),
        ] {
            assert_eq!(shown(json), expected, "{json}");
        }
    }
}
