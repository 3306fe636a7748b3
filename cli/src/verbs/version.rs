//! `hull version`: this program's and the daemon's.

use std::io::Write;

use jiff::Timestamp;

use crate::connect::Host;
use crate::failure::Failure;
use crate::output::schema;
use crate::output::template::Template;
use crate::output::value::Value;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Format output: 'json' or a Go template
    #[arg(short = 'f', long, value_name = "string")]
    format: Option<String>,
}

/// As people read it, for any daemon that speaks the API: its parts are its own.
const TEXT: &str = "{{with .Client -}}
Client:
 Version:           {{.Version}}
 API version:       {{.APIVersion}}
 OS/Arch:           {{.Os}}/{{.Arch}}
{{- end}}
{{- if .Server}}{{with .Server}}

Server:
{{- range .Components}}
 {{.Name}}:
  {{if eq .Name \"Engine\"}}Version:          {{.Version}}
  API version:      {{index .Details \"ApiVersion\"}} (minimum version {{index .Details \"MinAPIVersion\"}})
  OS/Arch:          {{index .Details \"Os\"}}/{{index .Details \"Arch\"}}
{{- else}}Version:          {{.Version}}
{{- end}}
{{- end}}{{end}}{{end}}";

pub(crate) async fn run(args: &Args, host: Host) -> Result<u8, Failure> {
    let format = match args.format.as_deref() {
        None | Some("") => TEXT,
        Some("json") => "{{json .}}",
        Some(format) => format,
    };
    let template = Template::parse_named("version", format).map_err(|error| {
        Failure::new(format!("template parsing error: {error}")).with_status(64)
    })?;
    let (server, api, complaint) = match ask(host).await {
        Ok((server, api)) => (server, api, None),
        Err(failure) => (Value::Null, "1.51".into(), Some(failure)),
    };
    let both = Value::Struct(vec![
        ("Client".into(), client(Some(&api))),
        ("Server".into(), server),
    ]);
    let both = schema::typed("system.versionInfo", &both);
    match template.run(&both) {
        Ok(text) => writeln!(std::io::stdout(), "{text}")?,
        // Without a daemon there is nothing to take a field from; that is what to say.
        Err(error) => {
            if complaint.is_none() {
                writeln!(std::io::stdout(), "{}", error.written)?;
            }
            return Err(complaint.unwrap_or(Failure::new(error.to_string())));
        }
    }
    complaint.map_or(Ok(0), Err)
}

async fn ask(host: Host) -> Result<(Value, String), Failure> {
    let client = host.connect().await?;
    let json = client.get("/version", &[]).await?;
    let mut server = serde_json::from_str(&json)
        .map_err(|error| Failure::new(format!("cannot read the daemon's answer: {error}")))?;
    if let Value::Struct(fields) = &mut server {
        let components = fields.iter_mut().filter(|(name, _)| name == "Components");
        components.for_each(|(_, components)| readable_times(components));
    }
    Ok((server, client.api_version()))
}

/// The build times of a daemon's components, as people write them.
fn readable_times(server: &mut Value) {
    match server {
        Value::Struct(fields) => {
            for (name, value) in fields {
                let moment = match &*value {
                    Value::Text(text) if name == "BuildTime" => text.parse::<Timestamp>().ok(),
                    _ => None,
                };
                match moment {
                    Some(at) => {
                        *value = Value::text(at.strftime("%a %b %e %H:%M:%S %Y").to_string());
                    }
                    None => readable_times(value),
                }
            }
        }
        Value::List(items) => items.iter_mut().for_each(readable_times),
        _ => {}
    }
}

/// What this program is; without a daemon's version of the API where there is none yet.
pub(super) fn client(api: Option<&str>) -> Value {
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    Value::Struct(vec![
        text("Version", env!("CARGO_PKG_VERSION").into()),
        text("ApiVersion", api.unwrap_or_default().to_owned()),
        text("DefaultAPIVersion", "1.51".into()),
        text("Os", std::env::consts::OS.into()),
        text("Arch", arch().into()),
        text("Context", "default".into()),
    ])
}

/// The machine's name as Go and Docker spell it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
