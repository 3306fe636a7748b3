//! `hull port`: where a container's ports are published.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Write;
use std::num::IntErrorKind;

use serde::Deserialize;

use super::named;
use crate::api::Client;
use crate::failure::Failure;
use crate::output::text::natural;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "CONTAINER", required = true)]
    container: String,
    #[arg(value_name = "PRIVATE_PORT[/PROTO]")]
    port: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    network_settings: Option<Settings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    ports: Option<Ports>,
}

type Ports = BTreeMap<String, Option<Vec<Binding>>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Binding {
    host_ip: String,
    host_port: String,
}

impl Binding {
    /// `[::]:80`; brackets are for an address with colons.
    fn address(&self) -> String {
        match self.host_ip.contains(':') {
            true => format!("[{}]:{}", self.host_ip, self.host_port),
            false => format!("{}:{}", self.host_ip, self.host_port),
        }
    }
}

/// A port that is none, or that is not published.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum PortError {
    #[error("Error: No public port '{port}' published for {container}")]
    NotPublished { port: String, container: String },
    #[error("Error: invalid port ({port}): strconv.ParseUint: parsing \"{port}\": {reason}")]
    NoNumber { port: String, reason: &'static str },
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let path = format!("/containers/{}/json", named::container(&args.container)?);
    let found: Inspected = client.get_as(&path, &[]).await?;
    let ports = found.network_settings.unwrap_or_default().ports;
    let lines =
        lines(&ports.unwrap_or_default(), args).map_err(|error| Failure::new(error.to_string()))?;
    for line in lines {
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(0)
}

fn lines(ports: &Ports, args: &Args) -> Result<Vec<String>, PortError> {
    let mut lines: Vec<String> = match args.port.as_deref().filter(|port| !port.is_empty()) {
        None => ports
            .iter()
            .flat_map(|(from, to)| to.iter().flatten().map(move |to| (from, to)))
            .map(|(from, to)| format!("{from} -> {}", to.address()))
            .collect(),
        Some(wanted) => {
            let found = ports.get(&key(wanted)?).and_then(Option::as_ref);
            let found = found.filter(|bindings| !bindings.is_empty());
            let bindings = found.ok_or_else(|| PortError::NotPublished {
                port: wanted.to_owned(),
                container: args.container.clone(),
            })?;
            bindings.iter().map(Binding::address).collect()
        }
    };
    lines.sort_by(|a, b| match natural(a, b) {
        Ordering::Equal => a.cmp(b),
        order => order,
    });
    Ok(lines)
}

/// `80`, `80/udp`: the key under which the daemon has it.
fn key(wanted: &str) -> Result<String, PortError> {
    let (port, protocol) = match wanted.split_once('/') {
        Some((port, "")) => (port, "tcp"),
        Some((port, protocol)) => (port, protocol),
        None => (wanted, "tcp"),
    };
    // Go's parser knows no sign.
    let number = match port.starts_with('+') {
        true => Err(IntErrorKind::InvalidDigit),
        false => port.parse::<u16>().map_err(|error| *error.kind()),
    };
    match number {
        Ok(number) => Ok(format!("{number}/{protocol}")),
        Err(kind) => Err(PortError::NoNumber {
            port: port.to_owned(),
            reason: match kind {
                IntErrorKind::PosOverflow => "value out of range",
                _ => "invalid syntax",
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(port: Option<&str>) -> Result<Vec<String>, String> {
        let ports = serde_json::from_str(
            r#"{"443/tcp":[{"HostIp":"0.0.0.0","HostPort":"8443"}],"9/udp":null,
                "80/tcp":[{"HostIp":"::","HostPort":"8080"},{"HostIp":"0.0.0.0","HostPort":"8080"}]}"#,
        );
        let args = Args {
            container: "web".into(),
            port: port.map(str::to_owned),
        };
        lines(&ports.expect("ports"), &args).map_err(|error| error.to_string())
    }

    #[test]
    fn ports_are_told_in_the_order_of_their_numbers() {
        let all = [
            "80/tcp -> 0.0.0.0:8080",
            "80/tcp -> [::]:8080",
            "443/tcp -> 0.0.0.0:8443",
        ];
        assert_eq!(shown(None).unwrap(), all);
        assert_eq!(shown(Some("80")).unwrap(), ["0.0.0.0:8080", "[::]:8080"]);
        assert_eq!(shown(Some("443/tcp")).unwrap(), ["0.0.0.0:8443"]);
    }

    #[test]
    fn a_port_that_is_not_published_is_an_error() {
        for (port, expected) in [
            ("81", "Error: No public port '81' published for web"),
            ("80/udp", "Error: No public port '80/udp' published for web"),
            ("9/udp", "Error: No public port '9/udp' published for web"),
            (
                "x",
                "Error: invalid port (x): strconv.ParseUint: parsing \"x\": invalid syntax",
            ),
            (
                "70000",
                "Error: invalid port (70000): strconv.ParseUint: parsing \"70000\": value out of range",
            ),
        ] {
            assert_eq!(shown(Some(port)).unwrap_err(), expected);
        }
    }
}
