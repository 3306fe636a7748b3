//! What the types of Docker's and Go's that formats meet can do: the methods without parameters.

use super::moment;
use super::types::Kind;
use super::value::{Data, Value};
use crate::output::text::quote;

/// The result of a method, if the type has one of this name.
pub(crate) fn call(value: &Value, name: &str) -> Option<Result<Value, String>> {
    match (value.ty.name.as_str(), &value.data) {
        ("json.Number", Data::Text(text)) => number(text, name),
        _ => plain(value, name).map(Ok),
    }
}

fn plain(value: &Value, name: &str) -> Option<Value> {
    let package_type = value.ty.name.as_str();
    match (package_type, &value.data) {
        ("container.RestartPolicy", _) => {
            let policy = text_of(value, "Name");
            restart_policy(&policy, name)
        }
        ("time.Time", Data::Text(json)) => moment_method(json, name),
        ("time.Duration", Data::Int(nanoseconds)) => span_method(*nanoseconds, name),
        (_, Data::Text(text)) => mode(package_type, text, name),
        _ => None,
    }
}

/// What it says of itself, where its type has a `String` method.
pub(crate) fn string(value: &Value) -> Option<String> {
    let pointed = |inner: &Value| match inner.ty.name.as_str() {
        "blkiodev.WeightDevice" => Some(format!(
            "{}:{}",
            text_of(inner, "Path"),
            text_of(inner, "Weight")
        )),
        "blkiodev.ThrottleDevice" => Some(format!(
            "{}:{}",
            text_of(inner, "Path"),
            text_of(inner, "Rate")
        )),
        "units.Ulimit" => {
            let [name, soft, hard] = ["Name", "Soft", "Hard"].map(|field| text_of(inner, field));
            Some(format!("{name}={soft}:{hard}"))
        }
        _ => None,
    };
    match (&value.ty.kind, &value.data) {
        (Kind::Time, Data::Text(json)) => Some(moment::printed(json)),
        (Kind::Uint, Data::Uint(mode)) if value.ty.name == "os.FileMode" => Some(file_mode(*mode)),
        (Kind::Int, Data::Int(nanoseconds)) if value.ty.name == "time.Duration" => {
            Some(moment::span(*nanoseconds))
        }
        (Kind::Pointer(_), Data::Inner(inner)) => pointed(inner).or_else(|| match inner.ty.kind {
            Kind::Time => string(inner),
            _ => None,
        }),
        _ => None,
    }
}

/// A number as it is written.
fn number(text: &str, name: &str) -> Option<Result<Value, String>> {
    let failed = |function: &str| {
        let text = quote(text);
        format!("strconv.{function}: parsing {text}: invalid syntax")
    };
    Some(match name {
        "String" => Ok(Value::text(text)),
        "Int64" => text
            .parse()
            .map(Value::int64)
            .map_err(|_| failed("ParseInt")),
        "Float64" => text
            .parse()
            .map(Value::float)
            .map_err(|_| failed("ParseFloat")),
        _ => return None,
    })
}

fn text_of(value: &Value, field: &str) -> String {
    match value.field(field) {
        Some(Ok(value)) => value.to_string(),
        _ => String::new(),
    }
}

/// `drwxr-xr-x`
fn file_mode(mode: u64) -> String {
    const KINDS: &str = "dalTLDpSugct?";
    let set = |bit: usize| mode >> bit & 1 == 1;
    let kinds = KINDS.chars().enumerate().filter(|(at, _)| set(31 - at));
    let mut text: String = kinds.map(|(_, kind)| kind).collect();
    if text.is_empty() {
        text.push('-');
    }
    let rights = "rwxrwxrwx".chars().enumerate();
    text.extend(rights.map(|(at, right)| if set(8 - at) { right } else { '-' }));
    text
}

fn restart_policy(policy: &str, name: &str) -> Option<Value> {
    let is = match name {
        "IsNone" => policy.is_empty() || policy == "no",
        "IsAlways" => policy == "always",
        "IsOnFailure" => policy == "on-failure",
        "IsUnlessStopped" => policy == "unless-stopped",
        _ => return None,
    };
    Some(Value::bool(is))
}

/// Namespaces, networks and ports: strings that are asked what they mean.
fn mode(of: &str, text: &str, name: &str) -> Option<Value> {
    let truth = |is| Some(Value::bool(is));
    let joined = text.strip_prefix("container:");
    match (of, name) {
        ("container.NetworkMode", _) => network_mode(text, name),
        ("container.IpcMode", "IsNone") => truth(text == "none"),
        ("container.IpcMode", "IsShareable") => truth(text == "shareable"),
        ("container.IpcMode", "IsEmpty") | ("container.CgroupnsMode", "IsEmpty") => {
            truth(text.is_empty())
        }
        ("container.IpcMode" | "container.CgroupnsMode", "IsPrivate") => truth(text == "private"),
        ("container.PidMode", "IsPrivate") => truth(text != "host" && joined.is_none()),
        ("container.UTSMode" | "container.UsernsMode", "IsPrivate") => truth(text != "host"),
        (
            "container.IpcMode"
            | "container.PidMode"
            | "container.CgroupnsMode"
            | "container.UTSMode"
            | "container.UsernsMode",
            "IsHost",
        ) => truth(text == "host"),
        ("container.IpcMode" | "container.PidMode" | "container.CgroupSpec", "IsContainer") => {
            truth(joined.is_some())
        }
        ("container.IpcMode" | "container.PidMode" | "container.CgroupSpec", "Container") => {
            Some(Value::text(joined.unwrap_or_default()))
        }
        ("container.IpcMode", "Valid") => truth(
            matches!(text, "" | "none" | "private" | "shareable" | "host") || joined.is_some(),
        ),
        ("container.PidMode", "Valid") => {
            truth(matches!(text, "" | "host") || joined.is_some_and(|name| !name.is_empty()))
        }
        ("container.CgroupSpec", "Valid") => {
            truth(text.is_empty() || joined.is_some_and(|name| !name.is_empty()))
        }
        ("container.CgroupnsMode", "Valid") => truth(matches!(text, "" | "private" | "host")),
        ("container.UTSMode" | "container.UsernsMode", "Valid") => {
            truth(matches!(text, "" | "host"))
        }
        ("container.Isolation", "IsDefault") => {
            truth(text.is_empty() || text.eq_ignore_ascii_case("default"))
        }
        ("container.Isolation", "IsHyperV") => truth(text.eq_ignore_ascii_case("hyperv")),
        ("container.Isolation", "IsProcess") => truth(text.eq_ignore_ascii_case("process")),
        ("nat.Port", _) => port(text, name),
        ("digest.Digest", "Algorithm") => Some(Value::text(
            text.split_once(':').map_or("", |(algorithm, _)| algorithm),
        )),
        ("digest.Digest", "Encoded" | "Hex") => Some(Value::text(
            text.split_once(':').map_or("", |(_, encoded)| encoded),
        )),
        ("digest.Digest", "String") => Some(Value::text(text)),
        _ => None,
    }
}

fn network_mode(text: &str, name: &str) -> Option<Value> {
    let joined = text.strip_prefix("container:");
    let own = joined.is_none() && !matches!(text, "default" | "bridge" | "host" | "none");
    let truth = |is| Some(Value::bool(is));
    match name {
        "IsDefault" => truth(text == "default"),
        "IsBridge" => truth(text == "bridge"),
        "IsHost" => truth(text == "host"),
        "IsNone" => truth(text == "none"),
        "IsContainer" => truth(joined.is_some()),
        "IsPrivate" => truth(text != "host" && joined.is_none()),
        "IsUserDefined" => truth(own),
        "UserDefined" => Some(Value::text(if own { text } else { "" })),
        "ConnectedContainer" => Some(Value::text(joined.unwrap_or_default())),
        "NetworkName" => Some(Value::text(match joined {
            Some(_) => "container",
            None => text,
        })),
        _ => None,
    }
}

/// `80/tcp`
fn port(text: &str, name: &str) -> Option<Value> {
    let (port, protocol) = match text.split_once('/') {
        Some((port, "")) => (port, "tcp"),
        Some(parts) => parts,
        None if text.is_empty() => ("", ""),
        None => (text, "tcp"),
    };
    match name {
        "Port" => Some(Value::text(port)),
        "Proto" => Some(Value::text(if text.is_empty() { "tcp" } else { protocol })),
        "Int" => Some(Value::int(port.parse().unwrap_or(0))),
        _ => None,
    }
}

fn span_method(nanoseconds: i64, name: &str) -> Option<Value> {
    let parts = |unit: f64| Some(Value::float(nanoseconds as f64 / unit));
    match name {
        "String" => Some(Value::text(moment::span(nanoseconds))),
        "Hours" => parts(3.6e12),
        "Minutes" => parts(6e10),
        "Seconds" => parts(1e9),
        _ => None,
    }
}

fn moment_method(json: &str, name: &str) -> Option<Value> {
    match name {
        "String" => Some(Value::text(moment::printed(json))),
        "IsZero" => Some(Value::bool(json == "0001-01-01T00:00:00Z")),
        "Year" => Some(Value::int(json.get(..4)?.parse().ok()?)),
        _ => None,
    }
}
