//! `hull inspect`: all that is known of containers and images.
//!
//! Without a format it is the daemon's own JSON, indented. With one, each object is read as Docker's
//! type and run through the template; where that fails, as plain JSON, which also has what the
//! type has not.

use std::io::Write;

use super::named;
use crate::api::{Client, Error};
use crate::failure::Failure;
use crate::output::go::plain::plain;
use crate::output::indent::{compact, indent};
use crate::output::schema;
use crate::output::template::Template;
use crate::output::value::Value;
use crate::spec::platform;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Format output: 'json' or a Go template
    #[arg(short = 'f', long, value_name = "string")]
    format: Option<String>,
    /// Display total file sizes if the type is container
    #[arg(short = 's', long)]
    size: bool,
    /// Only inspect objects of the given type
    #[arg(long = "type", value_name = "string")]
    kind: Option<String>,
    /// Of an image: none but the one of this platform.
    #[arg(skip)]
    platform: Option<String>,
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,
}

/// `container inspect`
#[derive(Debug, clap::Args)]
pub(crate) struct OfContainer {
    /// Format output: 'json' or a Go template
    #[arg(short = 'f', long, value_name = "string")]
    format: Option<String>,
    /// Display total file sizes
    #[arg(short = 's', long)]
    size: bool,
    #[arg(value_name = "CONTAINER", required = true)]
    names: Vec<String>,
}

/// `image inspect`
#[derive(Debug, clap::Args)]
pub(crate) struct OfImage {
    /// Format output: 'json' or a Go template
    #[arg(short = 'f', long, value_name = "string")]
    format: Option<String>,
    /// Inspect a specific platform of the multi-platform image
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    #[arg(value_name = "IMAGE", required = true)]
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Container,
    Image,
}

/// The status of a template that cannot be read, which is `inspect`'s alone.
const BAD_TEMPLATE: u8 = 64;

impl From<OfContainer> for Args {
    fn from(args: OfContainer) -> Args {
        Args {
            format: args.format,
            size: args.size,
            kind: Some("container".into()),
            platform: None,
            names: args.names,
        }
    }
}

impl From<OfImage> for Args {
    fn from(args: OfImage) -> Args {
        Args {
            format: args.format,
            size: false,
            kind: Some("image".into()),
            platform: args.platform,
            names: args.names,
        }
    }
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let kind = match args.kind.as_deref() {
        None | Some("") => None,
        Some("container") => Some(Kind::Container),
        Some("image") => Some(Kind::Image),
        Some(other) => {
            let text =
                format!("unknown type: \"{other}\": must be one of \"container\", \"image\"");
            return Err(Failure::new(text));
        }
    };
    let shown = Shown::new(args.format.as_deref())?;
    let wanted = args.platform.as_deref().filter(|text| !text.is_empty());
    let wanted = wanted.map(platform::json).transpose()?;
    let mut found = Vec::new();
    for name in &args.names {
        match find(args, client, kind, wanted.as_deref(), name).await {
            Ok(object) => found.push(Ok(object)),
            Err(error) if error.is_unreachable() => return Err(error.into()),
            Err(error) if error.is_not_found() && kind.is_none() => {
                found.push(Err(format!("Error: No such object: {name}")));
            }
            Err(error) => found.push(Err(error.to_string())),
        }
    }
    let (text, complaints) = shown.render(&found);
    std::io::stdout().write_all(text.as_bytes())?;
    if complaints.is_empty() {
        Ok(0)
    } else {
        Err(Failure::new(complaints.join("\n")))
    }
}

/// A container of that name, or else an image.
async fn find(
    args: &Args,
    client: &Client,
    kind: Option<Kind>,
    platform: Option<&str>,
    name: &str,
) -> Result<Found, Error> {
    let sizes: &[(&str, &str)] = if args.size { &[("size", "1")] } else { &[] };
    if kind != Some(Kind::Image) {
        let container = async {
            client
                .get(
                    &format!("/containers/{}/json", named::container(name)?),
                    sizes,
                )
                .await
        };
        match container.await {
            Err(error) if error.is_not_found() && kind.is_none() => {}
            outcome => {
                return outcome.map(|json| Found {
                    json,
                    of: CONTAINER,
                });
            }
        }
    }
    let query: Vec<_> = platform.iter().map(|json| ("platform", *json)).collect();
    let path = format!("/images/{}/json", named::image(name)?);
    let json = client.get(&path, &query).await?;
    Ok(Found { json, of: IMAGE })
}

const CONTAINER: &str = "container.InspectResponse";
const IMAGE: &str = "image.InspectResponse";

/// What the daemon says of an object, and Docker's type for it.
#[derive(Debug, Clone)]
struct Found {
    json: String,
    of: &'static str,
}

enum Shown {
    Indented,
    /// All in one compact list.
    Compact,
    Template(Template),
}

impl Shown {
    fn new(format: Option<&str>) -> Result<Shown, Failure> {
        match format {
            None | Some("") => Ok(Shown::Indented),
            Some("json") => Ok(Shown::Compact),
            Some(format) => match Template::parse(format) {
                Ok(template) => Ok(Shown::Template(template)),
                Err(error) => Err(Failure::new(format!("template parsing error: {error}"))
                    .with_status(BAD_TEMPLATE)),
            },
        }
    }

    /// What goes to stdout, and the complaints, in the order in which the objects were named: one
    /// about each that was not found or that the format does not fit.
    fn render(&self, objects: &[Result<Found, String>]) -> (String, Vec<String>) {
        let found = || objects.iter().flatten().map(|found| found.json.as_str());
        let missing = || objects.iter().filter_map(|object| object.clone().err());
        match self {
            Shown::Indented => {
                let text = indent(&format!("[{}]", found().collect::<Vec<_>>().join(",")));
                (format!("{text}\n"), missing().collect())
            }
            Shown::Compact => {
                let all: Vec<String> = found().map(compact).collect();
                (format!("[{}]\n", all.join(",")), missing().collect())
            }
            Shown::Template(template) => {
                let mut text = String::new();
                let mut complaints = Vec::new();
                let mut keys = Keys::Optional;
                for object in objects {
                    let line = match object {
                        Ok(found) => run_over(template, found, &mut keys),
                        Err(complaint) => Err(complaint.clone()),
                    };
                    match line {
                        Ok(line) => {
                            text.push_str(&line);
                            text.push('\n');
                        }
                        Err(complaint) => complaints.push(complaint),
                    }
                }
                if text.is_empty() {
                    text.push('\n');
                }
                (text, complaints)
            }
        }
    }
}

/// What becomes of a key that a map does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Optional,
    /// For good, once plain JSON was looked into: Docker has it so.
    Required,
}

/// A format was written for Docker's type; what that has not may be in the plain JSON, whose
/// complaint is the one to tell.
fn run_over(template: &Template, found: &Found, keys: &mut Keys) -> Result<String, String> {
    let json: Value =
        serde_json::from_str(&found.json).map_err(|_| "unable to read inspect data".to_owned())?;
    let typed = schema::typed(found.of, &json);
    let text = match keys {
        Keys::Optional => template.run(&typed),
        Keys::Required => template.run_strictly(&typed),
    };
    if let Ok(text) = text {
        return Ok(text);
    }
    *keys = Keys::Required;
    let plain = plain(&found.json).ok_or("unable to read inspect data")?;
    template
        .run_strictly(&plain)
        .map_err(|error| format!("template parsing error: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(format: Option<&str>, objects: &[&str]) -> (String, Vec<String>) {
        let found = |json: &&str| {
            Ok(Found {
                json: (*json).to_owned(),
                of: CONTAINER,
            })
        };
        let objects: Vec<_> = objects.iter().map(found).collect();
        Shown::new(format).expect("a format").render(&objects)
    }

    #[test]
    fn without_a_format_it_is_the_daemons_text_indented() {
        let two = render(None, &[r#"{"Id":"a","N":null}"#, r#"{"Id":"b"}"#]).0;
        let expected = "[\n    {\n        \"Id\": \"a\",\n        \"N\": null\n    },\n    {\n        \"Id\": \"b\"\n    }\n]\n";
        assert_eq!(two, expected);
        assert_eq!(render(None, &[]).0, "[]\n");
    }

    #[test]
    fn a_format_has_a_line_for_each_object_and_one_for_none() {
        assert_eq!(
            render(Some("{{.Id}}"), &[r#"{"Id":"a"}"#, r#"{"Id":"b"}"#]).0,
            "a\nb\n"
        );
        assert_eq!(render(Some("{{.Id}}"), &[]).0, "\n");
        assert_eq!(
            render(Some("json"), &[r#"{ "Id": "a" }"#]).0,
            "[{\"Id\":\"a\"}]\n"
        );
        assert_eq!(render(Some("json"), &[]).0, "[]\n");
        let (text, complaint) = render(Some("{{.Nope}}"), &[r#"{"Id":"a"}"#]);
        assert_eq!(text, "\n");
        let expected = "template parsing error: template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\"";
        assert_eq!(complaint, [expected]);
    }

    /// A format, and what the real `docker` of version 28.2 made of it: stdout, stderr and status,
    /// with addresses masked. A row that Hull does not follow has the reason at its end.
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Row {
        Same(String, String, String, u8),
        Other(String, String, String, u8, String),
    }

    /// Where a pointer points to is never the same twice.
    fn masked(text: &str) -> String {
        let mut parts = text.split("0xc00");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.chars().take_while(char::is_ascii_hexdigit).count();
            out.push_str("0xADDRESS");
            out.push_str(&part[digits..]);
        }
        out
    }

    fn answer(format: &str, json: &str, of: &'static str) -> (String, String, u8) {
        let shown = match Shown::new(Some(format)) {
            Ok(shown) => shown,
            Err(failure) => return (String::new(), failure.text + "\n", failure.status),
        };
        let json = json.to_owned();
        let (text, complaints) = shown.render(&[Ok(Found { json, of })]);
        let status = u8::from(!complaints.is_empty());
        let told: String = complaints.iter().map(|line| format!("{line}\n")).collect();
        (masked(&text), masked(&told), status)
    }

    fn check(json: &str, of: &'static str, rows: &str) {
        let rows: Vec<Row> = serde_json::from_str(rows).expect("a table");
        assert!(rows.len() > 50, "{}", rows.len());
        let mut wrong = Vec::new();
        for row in rows {
            let (format, expected, other) = match row {
                Row::Same(format, out, err, status) => (format, (out, err, status), None),
                Row::Other(format, out, err, status, why) => {
                    (format, (out, err, status), Some(why))
                }
            };
            let got = answer(&format, json, of);
            match other {
                None if got != expected => {
                    wrong.push(format!("{format:?}\n   got {got:?}\n  want {expected:?}"));
                }
                Some(why) if got == expected => {
                    wrong.push(format!("{format:?} is as docker's now, in spite of: {why}"));
                }
                _ => {}
            }
        }
        assert!(
            wrong.is_empty(),
            "{} differ:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }

    #[test]
    fn formats_print_what_docker_prints() {
        let created = include_str!("../../testdata/formats/container.json");
        check(
            created,
            CONTAINER,
            include_str!("../../testdata/formats/container.rows"),
        );
        let running = include_str!("../../testdata/formats/web.json");
        check(
            running,
            CONTAINER,
            include_str!("../../testdata/formats/web.rows"),
        );
        let image = include_str!("../../testdata/formats/image.json");
        check(
            image,
            IMAGE,
            include_str!("../../testdata/formats/image.rows"),
        );
    }

    #[test]
    fn a_format_that_cannot_be_read_has_a_status_of_its_own() {
        let failure = Shown::new(Some("{{$n}}")).err().expect("refused");
        assert_eq!(failure.status, 64);
        assert_eq!(
            failure.text,
            "template parsing error: template: :1: undefined variable \"$n\""
        );
    }
}
