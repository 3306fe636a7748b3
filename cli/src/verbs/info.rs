//! `hull info`: what the daemon has and can do.

use std::io::Write;

use super::version;
use crate::api::Client;
use crate::failure::Failure;
use crate::output::template::Template;
use crate::output::value::Value;
use crate::output::{schema, size};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Format output: 'json' or a Go template
    #[arg(short = 'f', long, value_name = "string")]
    format: Option<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let template = match args.format.as_deref() {
        None | Some("") => None,
        Some(format) => {
            let format = if format == "json" {
                "{{json .}}"
            } else {
                format
            };
            Some(Template::parse(format).map_err(|error| {
                Failure::new(format!("template parsing error: {error}")).with_status(64)
            })?)
        }
    };
    let json = client.get("/info", &[]).await?;
    let info: Value = serde_json::from_str(&json)
        .map_err(|error| Failure::new(format!("cannot read the daemon's answer: {error}")))?;
    let text = match template {
        Some(template) => {
            let typed = schema::typed("system.dockerInfo", &with_client(info));
            match template.run(&typed) {
                Ok(text) => writeln!(std::io::stdout(), "{text}")?,
                Err(error) => {
                    writeln!(std::io::stdout(), "{}", error.written)?;
                    return Err(Failure::new(error.to_string()));
                }
            }
            return Ok(0);
        }
        None => describe(&info, &client.api_version()),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    // Who asked for one field does not want more.
    if args.format.is_none() {
        for warning in list(&info, "Warnings") {
            writeln!(std::io::stderr(), "{warning}")?;
        }
    }
    Ok(0)
}

/// With what is known of this program, which a format can ask for too.
fn with_client(info: Value) -> Value {
    let (Value::Struct(mut fields), Value::Struct(mut client)) = (info, version::client(None))
    else {
        return Value::Null;
    };
    client.push(("Debug".into(), Value::Bool(false)));
    client.push(("Plugins".into(), Value::List(Vec::new())));
    fields.push(("ClientInfo".into(), Value::Struct(client)));
    Value::Struct(fields)
}

fn describe(info: &Value, api: &str) -> String {
    let mut text = format!(
        "Client:\n Version:    {}\n API version: {api}\n\nServer:\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!(" {name}: {value}\n"));
        }
    };
    let plain = |name| {
        info.field(name)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    line("Containers", plain("Containers"));
    for (name, key) in [
        (" Running", "ContainersRunning"),
        (" Paused", "ContainersPaused"),
        (" Stopped", "ContainersStopped"),
    ] {
        line(name, plain(key));
    }
    for (name, key) in [
        ("Images", "Images"),
        ("Server Version", "ServerVersion"),
        ("Storage Driver", "Driver"),
    ] {
        line(name, plain(key));
    }
    for pair in list(info, "DriverStatus") {
        if let Value::List(pair) = pair {
            let words: Vec<String> = pair.iter().map(ToString::to_string).collect();
            line(
                &format!(" {}", words.first().map_or("", String::as_str)),
                words[1..].join(" "),
            );
        }
    }
    for (name, key) in [
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
        ("Default Runtime", "DefaultRuntime"),
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
    ] {
        line(name, plain(key));
    }
    if let Some(Value::Int(memory)) = info.field("MemTotal") {
        line("Total Memory", size::binary(*memory));
    }
    for (name, key) in [
        ("Name", "Name"),
        ("ID", "ID"),
        ("Docker Root Dir", "DockerRootDir"),
    ] {
        line(name, plain(key));
    }
    if let Some(Value::Bool(debug)) = info.field("Debug") {
        line("Debug Mode", debug.to_string());
    }
    text.push_str(&registries(info));
    text
}

/// Registries that are asked without TLS, and those that are asked before Docker Hub.
fn registries(info: &Value) -> String {
    let Some(config) = info.field("RegistryConfig") else {
        return String::new();
    };
    let mut insecure = Vec::new();
    if let Some(Value::Struct(indexes)) = config.field("IndexConfigs") {
        let lax = |index: &Value| matches!(index.field("Secure"), Some(Value::Bool(false)));
        let named = indexes.iter().filter(|(_, index)| lax(index));
        insecure.extend(named.map(|(name, _)| name.clone()));
    }
    let networks = list(config, "InsecureRegistryCIDRs");
    insecure.extend(networks.iter().map(ToString::to_string));
    let mirrors = list(config, "Mirrors").iter().map(ToString::to_string);
    let mut text = String::new();
    let mut titled = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            text.push_str(&format!(" {title}:\n"));
            text.extend(items.iter().map(|item| format!("  {item}\n")));
        }
    };
    titled("Insecure Registries", insecure);
    titled("Registry Mirrors", mirrors.collect());
    text
}

fn list<'a>(info: &'a Value, name: &str) -> &'a [Value] {
    match info.field(name) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}
