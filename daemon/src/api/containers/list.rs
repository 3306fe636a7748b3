//! `GET /containers/json`

use bollard_stubs::models::{
    ContainerSummary as Row, ContainerSummaryHostConfig, ContainerSummaryNetworkSettings,
    ContainerSummaryStateEnum as State,
};
use hull_engine::api::{ContainerSummary, ListOptions, Status};
use hyper::StatusCode;

use super::network::{self, Network};
use super::shape::Json;
use crate::api::{App, engine_filters, networks};
use crate::http::{ApiError, Reply, Request};

pub(super) async fn list(app: App, request: Request) -> Result<Reply, ApiError> {
    let mut filters = engine_filters(&request)?;
    if let Some(wanted) = filters.0.get_mut("network") {
        // Docker takes the beginning of an id as well.
        let named = std::mem::take(wanted).into_iter();
        *wanted = named
            .map(|value| networks::name(&value).map_or(value, str::to_owned))
            .collect();
    }
    let limit = request.query.integer("limit")?;
    let options = ListOptions {
        all: request.query.flag("all"),
        // Zero and below mean no limit.
        limit: limit
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > 0),
        size: request.query.flag("size"),
        filters,
    };
    let containers = app.engine.list(options).await?;
    let rows = containers
        .into_iter()
        .map(|container| Json::of_row(&summary(container)));
    let rows = rows
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    Reply::json(&rows)
}

pub(in crate::api) fn summary(container: ContainerSummary) -> Row {
    let mode = network::mode(&container.network_mode).to_owned();
    let network = Network {
        mode: &mode,
        state: &container.state,
        exposed: container.exposed.iter().map(String::as_str).collect(),
    };
    let (ports, networks) = (network.summary(), network::endpoints(&network));
    let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Row {
        id: Some(container.id.to_string()),
        names: Some(vec![format!("/{}", container.name)]),
        image: Some(container.image),
        image_id: Some(container.image_id),
        command: Some(container.command),
        created: Some(container.created.seconds()),
        ports: Some(ports),
        // As in Docker, there is none where there is nothing.
        size_rw: container.sizes.map(|s| bytes(s.written)).filter(|n| *n > 0),
        size_root_fs: container.sizes.map(|s| bytes(s.root)),
        labels: Some(container.labels.into_iter().collect()),
        state: Some(state(container.state.status)),
        status: Some(container.status),
        network_settings: Some(ContainerSummaryNetworkSettings {
            networks: Some(networks),
        }),
        host_config: Some(ContainerSummaryHostConfig {
            network_mode: Some(mode),
            ..ContainerSummaryHostConfig::default()
        }),
        mounts: Some(Vec::new()),
        ..Row::default()
    }
}

fn state(status: Status) -> State {
    match status {
        Status::Created => State::CREATED,
        Status::Running => State::RUNNING,
        Status::Paused => State::PAUSED,
        Status::Restarting => State::RESTARTING,
        Status::Removing => State::REMOVING,
        Status::Exited => State::EXITED,
        Status::Dead => State::DEAD,
    }
}

#[cfg(test)]
mod tests {
    use hull_engine::Timestamp;
    use hull_engine::api::ContainerState;

    use super::*;
    use crate::golden;

    #[test]
    fn a_row_is_dockers() {
        let id = "859aa5c61b64f0263f417aa0f3a98f7ca254d30ccb93b887c2546d469f6aaae2";
        let container = ContainerSummary {
            id: id.parse().unwrap(),
            name: "hardcore_feynman".parse().unwrap(),
            image: "busybox".into(),
            image_id: format!("sha256:{id}"),
            command: "echo 'hello world'".into(),
            created: Timestamp(1_795_231_730_000_000_000),
            state: ContainerState {
                status: Status::Exited,
                pid: 0,
                exit_code: 0,
                error: String::new(),
                oom_killed: false,
                started_at: None,
                finished_at: None,
                health: None,
            },
            status: "Exited (0) 1 second ago".into(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            network_mode: String::new(),
            exposed: Vec::new(),
            sizes: None,
        };
        golden::check(
            "container-list.json",
            &Json::of_row(&summary(container)).unwrap(),
        );
    }
}
