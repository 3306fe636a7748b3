//! Which containers a list is asked for.
//!
//! All names of filters must hold. Of several values of one name one must hold, except that of
//! labels all must; of `before` and `since` the last counts.

use std::collections::BTreeSet;
use std::path::PathBuf;

use regex::Regex;
use serde_json::{Map, Value};

use crate::api::{ContainerState, Filters, Status};
use crate::container::{Blueprint, Container};
use crate::context::Context;
use crate::error::EngineError;
use crate::time::Timestamp;

/// What lists are filtered by.
pub(super) const OF_LISTS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
/// What `status` can be, in the order in which Docker tells them.
const STATES: [&str; 7] = [
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
];
/// What `health` can be.
const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];
/// What is pruned is chosen by these.
pub(super) const OF_PRUNES: [&str; 3] = ["label", "label!", "until"];

/// Filters with their names checked and their references resolved.
pub(super) struct Filter<'a> {
    filters: &'a Filters,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    names: Vec<Regex>,
    ids: Vec<Regex>,
    published: BTreeSet<String>,
    exposed: BTreeSet<String>,
    ancestors: Option<Vec<Ancestor>>,
}

/// An image, and what it is made of.
struct Ancestor {
    id: String,
    layers: Vec<PathBuf>,
}

impl<'a> Filter<'a> {
    pub(super) async fn new(
        context: &Context,
        filters: &'a Filters,
        known: &[&str],
    ) -> Result<Self, EngineError> {
        let mut filter = Self::parse(filters, known)?;
        let created = |name: &str| -> Result<Option<Timestamp>, EngineError> {
            let containers = filter.values(name).map(|who| context.registry.find(who));
            let containers = containers.collect::<Result<Vec<_>, _>>()?;
            Ok(containers.last().map(|c| c.blueprint().created))
        };
        (filter.before, filter.since) = (created("before")?, created("since")?);
        if filters.0.contains_key("ancestor") {
            let mut ancestors = Vec::new();
            for wanted in filter.values("ancestor") {
                // An image that is not here has no descendants here.
                if let Ok(image) = context.images.find(wanted).await {
                    ancestors.push(Ancestor {
                        id: image.id,
                        layers: image.layers,
                    });
                }
            }
            filter.ancestors = Some(ancestors);
        }
        Ok(filter)
    }

    /// All that needs no look at what there is.
    fn parse(filters: &'a Filters, known: &[&str]) -> Result<Self, EngineError> {
        let invalid = EngineError::Invalid;
        if let Some(name) = filters
            .0
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            return Err(invalid(format!("invalid filter '{name}'")));
        }
        let values = |name: &str| filters.0.get(name).into_iter().flatten();
        let wrong = |name: &str, value: &str, why: &str| {
            invalid(format!("invalid filter '{name}={value}': {why}"))
        };
        let among = |name: &str, what: &str, words: &[&str]| {
            let other = values(name).find(|value| !words.contains(&value.as_str()));
            let why = |value| format!("invalid value for {what} ({value}): must be one of ");
            other.map_or(Ok(()), |value| {
                Err(wrong(name, value, &(why(value) + &words.join(", "))))
            })
        };
        among("status", "state", &STATES)?;
        among("health", "health", &HEALTH)?;
        if let Some(code) = values("exited").find(|code| code.parse::<i32>().is_err()) {
            let why = format!("strconv.Atoi: parsing {code:?}: invalid syntax");
            return Err(wrong("exited", code, &why));
        }
        if let Some(bad) = values("is-task").find(|v| truth(v).is_none()) {
            return Err(invalid(format!("invalid filter 'is-task=[{bad}]'")));
        }
        let until = values("until").next().map(|text| {
            let seconds = text
                .parse::<i64>()
                .ok()
                .map(|s| Timestamp(s.saturating_mul(1_000_000_000)));
            seconds
                .or_else(|| text.parse().ok())
                .ok_or_else(|| invalid(format!("invalid filter 'until={text}'")))
        });
        // As in Docker, a pattern that is none matches nothing.
        let patterns = |name: &str| values(name).filter_map(|v| Regex::new(v).ok()).collect();
        Ok(Self {
            filters,
            before: None,
            since: None,
            until: until.transpose()?,
            names: patterns("name"),
            ids: patterns("id"),
            published: ports("publish", values("publish"))?,
            exposed: ports("expose", values("expose"))?,
            ancestors: None,
        })
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a String> + use<'a> {
        self.filters.0.get(name).into_iter().flatten()
    }

    /// Whether it asks for containers that a plain list leaves out.
    pub(super) fn is_about_status(&self) -> bool {
        self.values("status").next().is_some()
    }

    fn any(&self, name: &str, matches: impl Fn(&str) -> bool) -> bool {
        let mut values = self.values(name).peekable();
        values.peek().is_none() || values.any(|v| matches(v))
    }

    /// Whether its image is one of those asked for, or stands on one.
    pub(super) async fn descends(&self, context: &Context, container: &Container) -> bool {
        let Some(ancestors) = &self.ancestors else {
            return true;
        };
        let own = &container.blueprint().image_id;
        if ancestors.iter().any(|ancestor| ancestor.id == *own) {
            return true;
        }
        let layers = context.images.find(own).await.map(|image| image.layers);
        layers.is_ok_and(|layers| {
            ancestors.iter().any(|ancestor| {
                let below = &ancestor.layers;
                !below.is_empty() && layers.len() > below.len() && layers.starts_with(below)
            })
        })
    }

    pub(super) fn passes(&self, container: &Container, state: &ContainerState) -> bool {
        let name = container.name();
        self.holds(&container.blueprint(), name.as_str(), state)
    }

    fn holds(&self, blueprint: &Blueprint, name: &str, state: &ContainerState) -> bool {
        let created = blueprint.created;
        let has_label = |wanted: &str| match wanted.split_once('=') {
            Some((k, v)) => blueprint.config.labels.get(k).is_some_and(|l| l == v),
            None => blueprint.config.labels.contains_key(wanted),
        };
        let full = format!("/{name}");
        let found = |name: &str, patterns: &[Regex], texts: &[&str]| {
            self.values(name).next().is_none()
                || patterns.iter().any(|p| texts.iter().any(|t| p.is_match(t)))
        };
        let mut unwanted = self.values("label!").peekable();
        let spared = unwanted.peek().is_some() && unwanted.all(|l| has_label(l));
        found("name", &self.names, &[&full, name])
            && found("id", &self.ids, &[blueprint.id.as_str()])
            && self.any("status", |s| s == state.status.as_str())
            && self.any("exited", |code| {
                state.status == Status::Exited && code.parse() == Ok(state.exit_code)
            })
            && self.any("health", |h| h == health_word(state))
            // There are no tasks of a swarm, and no volumes yet.
            && self.any("is-task", |v| truth(v) == Some(false))
            && self.values("volume").next().is_none()
            && self.any("network", |n| n == blueprint.host_config.network_mode)
            && has_one(&self.published, blueprint.host_config.other.get("PortBindings"))
            && has_one(&self.exposed, blueprint.config.other.get("ExposedPorts"))
            && self.values("label").all(|l| has_label(l))
            && !spared
            && self.before.is_none_or(|t| created < t)
            && self.since.is_none_or(|t| created > t)
            && self.until.is_none_or(|t| created < t)
    }
}

/// What the filter `health` asks for.
fn health_word(state: &ContainerState) -> &'static str {
    let health = state.health.as_ref();
    health.map_or("none", |health| health.status.as_str())
}

/// As Docker reads it.
fn truth(value: &str) -> Option<bool> {
    match value {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// Whether one of the ports is among the keys of a set; always, where none is asked for.
fn has_one(wanted: &BTreeSet<String>, set: Option<&Value>) -> bool {
    let keys = |set: &Map<String, Value>| set.keys().any(|port| wanted.contains(port));
    wanted.is_empty() || set.and_then(Value::as_object).is_some_and(keys)
}

/// `80`, `80/udp`, `80-90/tcp`.
fn ports<'v>(
    name: &str,
    values: impl Iterator<Item = &'v String>,
) -> Result<BTreeSet<String>, EngineError> {
    let mut ports = BTreeSet::new();
    for value in values {
        if value.contains(':') {
            let why = format!("filter for '{name}' should not contain ':': {value}");
            return Err(EngineError::Invalid(why));
        }
        let failed = |why: String| {
            EngineError::Invalid(format!("error while looking up for {name} {value}: {why}"))
        };
        let (range, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| {
            text.parse::<u16>().map_err(|_| {
                failed(format!(
                    "strconv.ParseUint: parsing {text:?}: invalid syntax"
                ))
            })
        };
        let (first, last) = (number(first)?, number(last)?);
        if last < first {
            return Err(failed(format!("invalid range specified for port: {range}")));
        }
        ports.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::images::RunImage;

    fn filters(json: Value) -> Filters {
        let names: std::collections::BTreeMap<String, BTreeSet<String>> =
            serde_json::from_value(json).unwrap();
        Filters(names)
    }

    fn web1() -> (Blueprint, ContainerState) {
        let spec = json!({
            "Image": "busybox", "Cmd": ["sh"], "Labels": { "app": "web", "tier": "front" },
            "ExposedPorts": { "80/tcp": {}, "53/udp": {} },
        });
        let id = "55afcfd24cbe727036744fabdb7e831c85fe2baff826279d5e941780dcd96dbf";
        let spec = serde_json::from_value(spec).unwrap();
        let blueprint = Blueprint::new(id.parse().unwrap(), spec, &RunImage::default()).unwrap();
        let state = ContainerState {
            status: Status::Exited,
            exit_code: 3,
            ..ContainerState::created()
        };
        (blueprint, state)
    }

    #[test]
    fn all_names_must_hold_by_one_value_each_and_labels_by_all() {
        let (blueprint, state) = web1();
        for (filter, holds) in [
            (json!({}), true),
            (json!({ "name": ["web"] }), true),
            (json!({ "name": ["^web$"] }), false),
            (json!({ "name": ["^/web1$"] }), true),
            (json!({ "name": ["^web[0-9]+$", "x"] }), true),
            (json!({ "name": ["w.*2"] }), false),
            (json!({ "name": ["("] }), false),
            (json!({ "id": ["55afcf"] }), true),
            (json!({ "id": ["^5afcf"] }), false),
            (json!({ "status": ["running", "exited"] }), true),
            (json!({ "status": ["running"] }), false),
            (json!({ "exited": ["0", "3"] }), true),
            (json!({ "exited": ["0"] }), false),
            (json!({ "exited": ["3"], "status": ["running"] }), false),
            (json!({ "health": ["none"] }), true),
            (json!({ "health": ["healthy"] }), false),
            (json!({ "is-task": ["false"] }), true),
            (json!({ "is-task": ["true"] }), false),
            (json!({ "isolation": ["default"] }), true),
            (json!({ "network": ["bridge"] }), true),
            (json!({ "network": ["none"] }), false),
            (json!({ "volume": ["data"] }), false),
            (json!({ "expose": ["80"] }), true),
            (json!({ "expose": ["53"] }), false),
            (json!({ "expose": ["50-60/udp"] }), true),
            (json!({ "publish": ["80"] }), false),
            (json!({ "label": ["app", "tier=front"] }), true),
            (json!({ "label": ["app", "tier=back"] }), false),
        ] {
            let filters = filters(filter);
            let filter = Filter::parse(&filters, &OF_LISTS).unwrap();
            assert_eq!(
                filter.holds(&blueprint, "web1", &state),
                holds,
                "{filters:?}"
            );
        }
        for (filter, holds) in [
            (json!({ "label!": ["app"] }), false),
            (json!({ "label!": ["app", "x"] }), true),
            (json!({ "label!": ["x"] }), true),
            (json!({ "until": ["1"] }), false),
            (json!({ "until": ["2100-01-01T00:00:00Z"] }), true),
            (json!({ "until": ["9999999999"] }), true),
        ] {
            let filters = filters(filter);
            let filter = Filter::parse(&filters, &OF_PRUNES).unwrap();
            assert_eq!(
                filter.holds(&blueprint, "web1", &state),
                holds,
                "{filters:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_filtered_by_is_refused_in_dockers_words() {
        for (filter, known, message) in [
            (
                json!({ "bogus": ["1"] }),
                &OF_LISTS[..],
                "invalid filter 'bogus'",
            ),
            (
                json!({ "name": ["1"] }),
                &OF_PRUNES,
                "invalid filter 'name'",
            ),
            (
                json!({ "status": ["x"] }),
                &OF_LISTS,
                "invalid filter 'status=x': invalid value for state (x): must be one of created, running, paused, restarting, removing, exited, dead",
            ),
            (
                json!({ "health": ["x"] }),
                &OF_LISTS,
                "invalid filter 'health=x': invalid value for health (x): must be one of none, starting, healthy, unhealthy",
            ),
            (
                json!({ "exited": ["x"] }),
                &OF_LISTS,
                "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            (
                json!({ "is-task": ["x"] }),
                &OF_LISTS,
                "invalid filter 'is-task=[x]'",
            ),
            (
                json!({ "publish": ["1:2"] }),
                &OF_LISTS,
                "filter for 'publish' should not contain ':': 1:2",
            ),
            (
                json!({ "expose": ["x"] }),
                &OF_LISTS,
                "error while looking up for expose x: strconv.ParseUint: parsing \"x\": invalid syntax",
            ),
            (
                json!({ "expose": ["9-8"] }),
                &OF_LISTS,
                "error while looking up for expose 9-8: invalid range specified for port: 9-8",
            ),
        ] {
            let filters = filters(filter);
            let error = Filter::parse(&filters, known).err().unwrap();
            assert_eq!(error.to_string(), message);
        }
    }
}
