//! `hull version`: this program's and the daemon's.

use std::io::Write;

use crate::connect::Host;
use crate::failure::Failure;
use crate::output::shape;
use crate::output::template::{Subject, Template};
use crate::output::value::{Nil, Value};

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
 API version:       {{.ApiVersion}}
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
    let template = Template::parse(format).map_err(|error| {
        Failure::new(format!("template parsing error: {error}")).with_status(64)
    })?;
    let (server, api, complaint) = match ask(host).await {
        Ok((server, api)) => (server, api, None),
        Err(failure) => (Value::Nil(Nil::Pointer), "1.51".into(), Some(failure)),
    };
    let both = Value::Struct(vec![
        ("Client".into(), client(api)),
        ("Server".into(), server),
    ]);
    match template.run(Subject::Json, &both) {
        Ok(text) => writeln!(std::io::stdout(), "{text}")?,
        // Without a daemon there is nothing to take a field from; that is what to say.
        Err(error) => {
            let text = Failure::new(format!("template parsing error: {error}"));
            return Err(complaint.unwrap_or(text));
        }
    }
    complaint.map_or(Ok(0), Err)
}

async fn ask(host: Host) -> Result<(Value, String), Failure> {
    let client = host.connect().await?;
    let json = client.get("/version", &[]).await?;
    let server = serde_json::from_str(&json)
        .map_err(|error| Failure::new(format!("cannot read the daemon's answer: {error}")))?;
    Ok((shape::typed(server), client.api_version()))
}

fn client(api: String) -> Value {
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    Value::Struct(vec![
        text("Version", env!("CARGO_PKG_VERSION").into()),
        text("ApiVersion", api),
        text("DefaultAPIVersion", "1.51".into()),
        text("Os", std::env::consts::OS.into()),
        text("Arch", arch().into()),
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
