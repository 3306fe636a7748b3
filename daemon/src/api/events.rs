//! `GET /events`: what happens, a line each, until the client leaves or `until` has come.

mod filter;

use std::time::Duration;

use bollard_stubs::models::{
    EventActor, EventMessage, EventMessageScopeEnum, EventMessageTypeEnum,
};
use futures_util::{Stream, StreamExt, stream};
use hull_engine::{Event, EventStream, Timestamp};
use hyper::Method;
use serde::Serialize;

use self::filter::Filter;
use super::{App, time};
use crate::http::route::Router;
use crate::http::{ApiError, Reply, Request};

pub(super) fn routes(router: &mut Router<App>) {
    router.add(Method::GET, "/events", events);
}

async fn events(app: App, request: Request) -> Result<Reply, ApiError> {
    let moment = |name| {
        request
            .query
            .text(name)
            .map(|text| time::parse(name, text))
            .transpose()
    };
    let (since, until) = (moment("since")?, moment("until")?);
    let filter = Filter::parse(request.filters()?)?;
    let events = app.engine.events();
    let lines = between(events, since, until)
        .filter(move |event| std::future::ready(filter.passes(event)))
        .map(Line::from);
    Ok(Reply::json_lines(lines, request.gone))
}

fn between(
    events: EventStream,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> impl Stream<Item = Event> + Send {
    let next = |mut events: EventStream| async { Some((events.next().await?, events)) };
    let end = async move {
        match until {
            Some(until) => tokio::time::sleep(from_now(until)).await,
            None => std::future::pending().await,
        }
    };
    stream::unfold(events, next)
        .take_until(end)
        .skip_while(move |e| std::future::ready(since.is_some_and(|since| e.time < since)))
}

fn from_now(moment: Timestamp) -> Duration {
    let nanos = moment.0.saturating_sub(Timestamp::now().0);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
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

    use serde_json::json;

    use super::*;

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
