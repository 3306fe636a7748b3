//! `hull inspect`: all that is known of containers and images.
//!
//! Without a format it is the daemon's own JSON, indented. With one, each object is decoded
//! and run through the template.

use std::io::Write;

use super::named;
use crate::api::{Client, Error};
use crate::failure::Failure;
use crate::output::indent::indent;
use crate::output::shape;
use crate::output::template::{Subject, Template};
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
    let mut complaints = Vec::new();
    for name in &args.names {
        match find(args, client, kind, wanted.as_deref(), name).await {
            Ok(object) => found.push(object),
            Err(error) if error.is_unreachable() => return Err(error.into()),
            Err(error) if error.is_not_found() && kind.is_none() => {
                complaints.push(format!("Error: No such object: {name}"));
            }
            Err(error) => complaints.push(error.to_string()),
        }
    }
    let (text, bad) = shown.render(&found);
    std::io::stdout().write_all(text.as_bytes())?;
    complaints.extend(bad);
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
) -> Result<String, Error> {
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
            outcome => return outcome,
        }
    }
    let query: Vec<_> = platform.iter().map(|json| ("platform", *json)).collect();
    client
        .get(&format!("/images/{}/json", named::image(name)?), &query)
        .await
}

enum Shown {
    Indented,
    /// One compact object a line.
    Lines,
    Template(Template),
}

impl Shown {
    fn new(format: Option<&str>) -> Result<Shown, Failure> {
        match format {
            None | Some("") => Ok(Shown::Indented),
            Some("json") => Ok(Shown::Lines),
            Some(format) => match Template::parse(format) {
                Ok(template) => Ok(Shown::Template(template)),
                Err(error) => Err(Failure::new(format!("template parsing error: {error}"))
                    .with_status(BAD_TEMPLATE)),
            },
        }
    }

    /// What goes to stdout, and the complaint about an object that the format does not fit.
    fn render(&self, objects: &[String]) -> (String, Option<String>) {
        match self {
            Shown::Indented if objects.is_empty() => ("[]\n".into(), None),
            Shown::Indented => (
                format!("{}\n", indent(&format!("[{}]", objects.join(",")))),
                None,
            ),
            Shown::Lines => {
                let compact: Vec<String> = objects
                    .iter()
                    .map(|json| decode(json).map_or_else(|| json.clone(), |value| value.to_json()))
                    .collect();
                (format!("{}\n", compact.join("\n")), None)
            }
            Shown::Template(template) => {
                let mut text = String::new();
                for json in objects {
                    let Some(value) = decode(json) else {
                        return (text, Some("unable to read inspect data".into()));
                    };
                    match template.run(Subject::Json, &value) {
                        Ok(line) => {
                            text.push_str(&line);
                            text.push('\n');
                        }
                        Err(error) => {
                            let text = if text.is_empty() { "\n".into() } else { text };
                            return (text, Some(format!("template parsing error: {error}")));
                        }
                    }
                }
                (if text.is_empty() { "\n".into() } else { text }, None)
            }
        }
    }
}

fn decode(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok().map(shape::typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(format: Option<&str>, objects: &[&str]) -> (String, Option<String>) {
        let objects: Vec<String> = objects.iter().map(|object| (*object).to_owned()).collect();
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
            "{\"Id\":\"a\"}\n"
        );
        let (text, complaint) = render(Some("{{.Nope}}"), &[r#"{"Id":"a"}"#]);
        assert_eq!(text, "\n");
        let expected = "template parsing error: template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\"";
        assert_eq!(complaint.as_deref(), Some(expected));
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
