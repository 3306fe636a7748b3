//! `GET /events`: what happens, a line each, until the client leaves or `until` has come.

mod filter;

use bollard_stubs::models::{
    EventActor, EventMessage, EventMessageScopeEnum, EventMessageTypeEnum,
};
use futures_util::{StreamExt, stream};
use hull_engine::{Event, EventStream, Window};
use hyper::Method;
use serde::Serialize;

use self::filter::Filter;
use super::{App, time};
use crate::http::query::Query;
use crate::http::route::Router;
use crate::http::{ApiError, Reply, Request};

pub(super) fn routes(router: &mut Router<App>) {
    router.add(Method::GET, "/events", events);
}

async fn events(app: App, request: Request) -> Result<Reply, ApiError> {
    let window = window(&request.query)?;
    let filter = Filter::parse(request.filters()?)?;
    let next = |mut events: EventStream| async { Some((events.next().await?, events)) };
    let lines = stream::unfold(app.engine.events(window), next)
        .filter(move |event| std::future::ready(filter.passes(event)))
        .map(Line::from);
    Ok(Reply::json_lines(lines, request.gone))
}

fn window(query: &Query) -> Result<Window, ApiError> {
    let moment = |name| {
        let text = query.text(name);
        text.map(time::parse).transpose()
    };
    let (since, until) = (moment("since")?, moment("until")?);
    if let (Some(from), Some(to)) = (since, until)
        && to < from
    {
        let text = |name| query.text(name).unwrap_or_default();
        return Err(ApiError::bad_request(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            text("since"),
            text("until")
        )));
    }
    Ok(Window { since, until })
}

/// The first three fields are for clients from before there were others than containers.
#[derive(Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(flatten)]
    message: EventMessage,
}

impl From<Event> for Line {
    fn from(event: Event) -> Self {
        let legacy = matches!(event.kind, "container" | "image");
        let status = legacy.then(|| event.action.clone());
        let id = legacy.then(|| event.actor.clone());
        let from = match event.kind {
            "container" => event.attributes.get("image").cloned(),
            _ => None,
        };
        let message = EventMessage {
            typ: Some(kind(event.kind)),
            action: Some(event.action),
            actor: Some(EventActor {
                id: Some(event.actor),
                attributes: Some(event.attributes.into_iter().collect()),
            }),
            scope: Some(EventMessageScopeEnum::LOCAL),
            time: Some(event.time.seconds()),
            time_nano: Some(event.time.0),
        };
        Self {
            status,
            id,
            from,
            message,
        }
    }
}

fn kind(kind: &str) -> EventMessageTypeEnum {
    match kind {
        "container" => EventMessageTypeEnum::CONTAINER,
        "image" => EventMessageTypeEnum::IMAGE,
        "network" => EventMessageTypeEnum::NETWORK,
        "volume" => EventMessageTypeEnum::VOLUME,
        "builder" => EventMessageTypeEnum::BUILDER,
        _ => EventMessageTypeEnum::DAEMON,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hull_engine::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_window_that_ends_before_it_begins_is_refused() {
        let parse = |text| window(&Query::parse(Some(text)));
        let good = parse("since=5.000000001&until=1970-01-01T00:00:06Z").unwrap();
        assert_eq!(good.since, Some(Timestamp(5_000_000_001)));
        assert_eq!(good.until, Some(Timestamp(6_000_000_000)));
        let none = parse("since=&filters=").unwrap();
        assert!(none.since.is_none() && none.until.is_none());
        let error = parse("since=7.5&until=7").unwrap_err();
        let said = "`since` time (7.5) cannot be after `until` time (7)";
        assert_eq!(error.message, said);
    }

    #[test]
    fn a_line_is_dockers() {
        let attributes = [("image", "busybox"), ("name", "web")];
        let event = Event {
            kind: "container",
            action: "start".into(),
            actor: "aa".into(),
            attributes: BTreeMap::from(attributes.map(|(k, v)| (k.to_owned(), v.to_owned()))),
            time: Timestamp(1_500_000_000),
        };
        assert_eq!(
            serde_json::to_value(Line::from(event)).unwrap(),
            json!({
                "status": "start", "id": "aa", "from": "busybox",
                "Type": "container", "Action": "start",
                "Actor": {"ID": "aa", "Attributes": {"image": "busybox", "name": "web"}},
                "scope": "local", "time": 1, "timeNano": 1_500_000_000,
            })
        );
    }
}
