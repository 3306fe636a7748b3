//! `hull events`: what happens, line by line, until the daemon or `--until` ends it.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::{Client, Error};
use crate::failure::Failure;
use crate::moment;
use crate::output::filter::{self, Filter};
use crate::output::schema;
use crate::output::template::Template;
use crate::output::value::{Value, sorted};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Filter output based on conditions provided
    #[arg(short = 'f', long, value_name = "filter")]
    filter: Vec<Filter>,
    /// Format output: 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Show all events created since timestamp
    #[arg(long, value_name = "string")]
    since: Option<String>,
    /// Stream events until this timestamp
    #[arg(long, value_name = "string")]
    until: Option<String>,
}

const TYPE: &str = "events.Message";
/// The status of a format that cannot be used.
const BAD_FORMAT: u8 = 64;

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let template = template(args.format.as_deref())?;
    let moment = |value: &Option<String>| {
        let given = value.as_deref().filter(|value| !value.is_empty());
        given.map(moment::unix_of).transpose().map_err(Failure::new)
    };
    let (since, until) = (moment(&args.since)?, moment(&args.until)?);
    let filters = match filter::by_key(&args.filter) {
        Some(filters) => {
            Some(serde_json::to_string(&filters).map_err(|source| Error::Decode { source })?)
        }
        None => None,
    };
    let mut query = Vec::new();
    query.extend(since.as_deref().map(|since| ("since", since)));
    query.extend(until.as_deref().map(|until| ("until", until)));
    query.extend(filters.as_deref().map(|filters| ("filters", filters)));
    let mut lines = client.get_lines("/events", &query).await?;
    while let Some(line) = lines.next_line().await? {
        let event: Value =
            serde_json::from_slice(&line).map_err(|source| Error::Decode { source })?;
        let text = match &template {
            Some(template) => template
                .run(&schema::typed(TYPE, &event).by_reference())
                .map_err(|error| Failure::new(error.to_string()))?,
            None => plain(&event, &TimeZone::system()),
        };
        writeln!(std::io::stdout(), "{text}")?;
    }
    Ok(0)
}

/// A format is tried on an event without anything, so that a bad one is told at once.
fn template(format: Option<&str>) -> Result<Option<Template>, Failure> {
    let format = match format {
        None | Some("") => return Ok(None),
        Some("json") => "{{json .}}",
        Some(format) => format,
    };
    let bad = |error: String| {
        Failure::new(format!("Error parsing format: {error}")).with_status(BAD_FORMAT)
    };
    let template = Template::parse(format).map_err(|error| bad(error.to_string()))?;
    let nothing = schema::typed(TYPE, &Value::Struct(Vec::new())).by_reference();
    match template.run(&nothing) {
        Ok(_) => Ok(Some(template)),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// `2026-11-21T02:50:35.167401605Z container prune ID (reclaimed=4)`
fn plain(event: &Value, zone: &TimeZone) -> String {
    let shown = |value: Option<&Value>| value.map(Value::to_string).unwrap_or_default();
    let field = |name| shown(event.field(name));
    let actor = event.field("Actor");
    let mut text = String::new();
    let nanoseconds = match (event.field("timeNano"), event.field("time")) {
        (None | Some(Value::Int(0)), Some(Value::Int(seconds))) => {
            i128::from(*seconds) * 1_000_000_000
        }
        (Some(Value::Int(nanoseconds)), _) => i128::from(*nanoseconds),
        _ => 0,
    };
    if let (true, Ok(at)) = (nanoseconds != 0, Timestamp::from_nanosecond(nanoseconds)) {
        let at = at.to_zoned(zone.clone());
        let offset = at.strftime("%:z").to_string();
        let offset = if offset == "+00:00" { "Z" } else { &offset };
        text = format!("{}{offset} ", at.strftime("%Y-%m-%dT%H:%M:%S%.9f"));
    }
    let id = shown(actor.and_then(|actor| actor.field("ID")));
    text.push_str(&format!("{} {} {id}", field("Type"), field("Action")));
    let attributes = match actor.and_then(|actor| actor.field("Attributes")) {
        Some(Value::Struct(entries)) if !entries.is_empty() => entries.as_slice(),
        _ => return text,
    };
    let words = sorted(attributes).into_iter();
    let words: Vec<String> = words.map(|(key, value)| format!("{key}={value}")).collect();
    format!("{text} ({})", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"status":"create","id":"ff","from":"x","Type":"container","Action":"create",
        "Actor":{"ID":"ff","Attributes":{"name":"c1","image":"x"}},"scope":"local","time":1795940197,
        "timeNano":1795940197378096035}"#;

    fn event(json: &str) -> Value {
        serde_json::from_str(json).expect("valid JSON")
    }

    #[test]
    fn a_line_has_the_moment_and_what_is_known_of_the_object() {
        assert_eq!(
            plain(&event(EVENT), &TimeZone::UTC),
            "2026-11-29T08:16:37.378096035Z container create ff (image=x, name=c1)"
        );
        let east = TimeZone::fixed(jiff::tz::offset(2));
        let bare = r#"{"Type":"network","Action":"prune","time":1795940197}"#;
        assert_eq!(
            plain(&event(bare), &east),
            "2026-11-29T10:16:37.000000000+02:00 network prune "
        );
    }

    #[test]
    fn a_format_is_tried_before_anything_happens() {
        for (format, expected) in [
            (
                "{{.Nope}}",
                "Error parsing format: template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type *events.Message",
            ),
            (
                "{{$n}}",
                "Error parsing format: template: :1: undefined variable \"$n\"",
            ),
        ] {
            let failure = template(Some(format)).expect_err("refused");
            assert_eq!((failure.text.as_str(), failure.status), (expected, 64));
        }
        let shown = |format| {
            let template = template(Some(format)).expect("a format");
            template
                .expect("one")
                .run(&schema::typed(TYPE, &event(EVENT)).by_reference())
                .expect("text")
        };
        assert_eq!(
            shown("{{.Status}} {{.ID}} {{.From}} {{.Actor.Attributes.name}} {{.Actor}} {{.Time}}"),
            "create ff x c1 {ff map[image:x name:c1]} 1795940197"
        );
        assert_eq!(
            shown("json"),
            r#"{"status":"create","id":"ff","from":"x","Type":"container","Action":"create","Actor":{"ID":"ff","Attributes":{"image":"x","name":"c1"}},"scope":"local","time":1795940197,"timeNano":1795940197378096035}"#
        );
    }
}
