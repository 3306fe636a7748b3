//! Which events a listener is told.

use std::collections::BTreeMap;

use hull_engine::Event;

use crate::api::label;
use crate::http::ApiError;
use crate::http::filters::Filters;

/// Filters that Docker knows for events. All names must hold, by one value each; all labels.
const KNOWN: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

#[derive(Debug, Default)]
pub(super) struct Filter(BTreeMap<String, Vec<String>>);

impl Filter {
    pub(super) fn parse(filters: Filters) -> Result<Self, ApiError> {
        let filters = filters.into_map();
        match filters.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            Some(key) => Err(ApiError::bad_request(format!("invalid filter '{key}'"))),
            None => Ok(Self(filters)),
        }
    }

    pub(super) fn passes(&self, event: &Event) -> bool {
        let attribute = |key: &str| event.attributes.get(key).map(String::as_str);
        self.0.iter().all(|(key, values)| {
            let any = |holds: &dyn Fn(&str) -> bool| values.iter().any(|v| holds(v));
            match key.as_str() {
                "type" => any(&|v| v == event.kind),
                // "exec_start: sh" is asked for as "exec_start".
                "event" => any(&|v| v == event.action || event.action.split(':').next() == Some(v)),
                "scope" => any(&|v| v == "local"),
                "label" => label::all(values, attribute),
                "image" => any(&|v| self.image(event, v)),
                kind => kind == event.kind && any(&|v| is(event, v)),
            }
        })
    }

    /// An image event is of its own image, a container's of what it was made from.
    fn image(&self, event: &Event, wanted: &str) -> bool {
        let from = event.attributes.get("image").map(String::as_str);
        let own = || event.kind == "image" && is(event, wanted);
        let repository = |name: &str| name.rsplit_once(':').map_or(name, |(r, _)| r) == wanted;
        from == Some(wanted) || from.is_some_and(repository) || own()
    }
}

fn is(event: &Event, wanted: &str) -> bool {
    let name = event.attributes.get("name").map(String::as_str);
    event.actor == wanted
        || name == Some(wanted.trim_start_matches('/'))
        || (!wanted.is_empty() && event.actor.starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use hull_engine::Timestamp;

    use super::*;

    fn check(filters: &str, expected: bool) {
        let attributes = [("image", "busybox:1"), ("name", "web"), ("tier", "front")];
        let event = Event {
            kind: "container",
            action: "exec_start: sh".into(),
            actor: "abcdef".into(),
            attributes: attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            time: Timestamp(0),
        };
        let filter = Filter::parse(Filters::parse(Some(filters)).unwrap()).unwrap();
        assert_eq!(filter.passes(&event), expected, "{filters}");
    }

    #[test]
    fn all_names_hold_by_one_value_each() {
        check("{}", true);
        check(r#"{"type":["image","container"]}"#, true);
        check(r#"{"type":["image"]}"#, false);
        check(r#"{"event":["exec_start"]}"#, true);
        check(r#"{"event":["exec_die"]}"#, false);
        check(r#"{"container":["web"]}"#, true);
        check(r#"{"container":["abc"],"label":["tier=front"]}"#, true);
        check(r#"{"container":["web"],"label":["tier=back"]}"#, false);
        check(r#"{"image":["busybox"]}"#, true);
        check(r#"{"image":["busybox:2"]}"#, false);
        check(r#"{"network":["web"]}"#, false);
    }

    #[test]
    fn unknown_filters_are_refused() {
        let filters = Filters::parse(Some(r#"{"bogus":["x"]}"#)).unwrap();
        assert_eq!(
            Filter::parse(filters).unwrap_err().message,
            "invalid filter 'bogus'"
        );
    }
}
