//! `GET /containers/{id}/json`

use std::collections::HashMap;
use std::path::PathBuf;

use bollard_stubs::models::{
    ContainerInspectResponse, ContainerState as StateModel, ContainerStateStatusEnum, DriverData,
    Health as HealthModel, HealthStatusEnum, HealthcheckResult, MountPoint, MountPointTypeEnum,
};
use hull_engine::Timestamp;
use hull_engine::api::{
    Checked, Config, ContainerInspect, ContainerSizes, ContainerState, Health, HealthStatus,
    HostConfig, Mount, Status,
};
use hyper::StatusCode;
use serde::Serialize;

use super::network::{self, Network};
use super::shape::Json;
use crate::api::App;
use crate::http::{ApiError, Reply, Request};

/// Go's zero time, which stands for never.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) async fn inspect(app: App, request: Request) -> Result<Reply, ApiError> {
    let container = app.engine.inspect(request.id()).await?;
    let sizes = match request.query.flag("size") {
        true => Some(app.engine.sizes(request.id()).await?),
        false => None,
    };
    let shaped = Json::of_container(&View::new(&container, sizes))
        .map_err(|e| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    Reply::json(&shaped)
}

/// Configurations are shown as the engine keeps them, which is by Docker's names already: what
/// a client sent comes back, also what the models do not know.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct View<'a> {
    #[serde(flatten)]
    fields: ContainerInspectResponse,
    #[serde(rename = "ExecIDs")]
    exec_ids: Option<Vec<String>>,
    config: &'a Config,
    host_config: &'a HostConfig,
}

impl<'a> View<'a> {
    fn new(c: &'a ContainerInspect, sizes: Option<ContainerSizes>) -> Self {
        let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let empty = || Some(String::new());
        let execs: Vec<_> = c.exec_ids.iter().map(ToString::to_string).collect();
        let log_path = c.log_path.as_ref();
        let network = Network {
            mode: network::mode(&c.host_config.network_mode),
            state: &c.state,
            exposed: c.config.exposed_ports().collect(),
        };
        let fields = ContainerInspectResponse {
            id: Some(c.id.to_string()),
            created: Some(c.created.to_string()),
            path: Some(c.path.clone()),
            args: Some(c.args.clone()),
            state: Some(state(&c.state)),
            image: Some(c.image.clone()),
            resolv_conf_path: empty(),
            hostname_path: empty(),
            hosts_path: empty(),
            log_path: Some(log_path.map_or(String::new(), |path| path.display().to_string())),
            name: Some(format!("/{}", c.name)),
            restart_count: Some(i64::from(c.restart_count)),
            driver: Some("hull".to_owned()),
            platform: Some(c.platform.to_owned()),
            mount_label: empty(),
            process_label: empty(),
            app_armor_profile: empty(),
            graph_driver: Some(DriverData {
                name: "hull".to_owned(),
                data: files(c),
            }),
            size_rw: sizes.map(|s| bytes(s.written)),
            size_root_fs: sizes.map(|s| bytes(s.root)),
            mounts: Some(mounts(&c.host_config)),
            network_settings: Some(network::settings(&network)),
            ..ContainerInspectResponse::default()
        };
        let exec_ids = (!execs.is_empty()).then_some(execs);
        Self {
            fields,
            exec_ids,
            config: &c.config,
            host_config: &c.host_config,
        }
    }
}

/// What is mounted by `Mounts`; what is by `Tmpfs` is not listed by Docker either.
fn mounts(host: &HostConfig) -> Vec<MountPoint> {
    let empty = || Some(String::new());
    let point = |mount: &Mount| MountPoint {
        typ: Some(MountPointTypeEnum::TMPFS),
        source: empty(),
        destination: Some(mount.target.clone()),
        mode: empty(),
        rw: Some(!mount.read_only),
        propagation: empty(),
        ..MountPoint::default()
    };
    host.mounts.iter().map(point).collect()
}

/// The image's layers and the container's disk, under the names that Docker has for an overlay's
/// folders. There is no merged one: only the guest mounts them.
fn files(c: &ContainerInspect) -> HashMap<String, String> {
    let path = |path: &PathBuf| path.display().to_string();
    let lower: Vec<String> = c.layers.iter().rev().map(path).collect();
    [
        ("ID", c.id.to_string()),
        ("LowerDir", lower.join(":")),
        ("MergedDir", String::new()),
        ("UpperDir", path(&c.disk)),
        ("WorkDir", String::new()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn state(state: &ContainerState) -> StateModel {
    let moment = |t: Option<Timestamp>| Some(t.map_or(NEVER.to_owned(), |t| t.to_string()));
    StateModel {
        status: Some(match state.status {
            Status::Created => ContainerStateStatusEnum::CREATED,
            Status::Running => ContainerStateStatusEnum::RUNNING,
            Status::Paused => ContainerStateStatusEnum::PAUSED,
            Status::Restarting => ContainerStateStatusEnum::RESTARTING,
            Status::Removing => ContainerStateStatusEnum::REMOVING,
            Status::Exited => ContainerStateStatusEnum::EXITED,
            Status::Dead => ContainerStateStatusEnum::DEAD,
        }),
        running: Some(state.is_running()),
        paused: Some(state.status == Status::Paused),
        restarting: Some(state.status == Status::Restarting),
        oom_killed: Some(state.oom_killed),
        dead: Some(state.status == Status::Dead),
        pid: Some(i64::from(state.pid)),
        exit_code: Some(i64::from(state.exit_code)),
        error: Some(state.error.clone()),
        started_at: moment(state.started_at),
        finished_at: moment(state.finished_at),
        health: state.health.as_deref().map(health),
    }
}

fn health(health: &Health) -> HealthModel {
    HealthModel {
        status: Some(match health.status {
            HealthStatus::Starting => HealthStatusEnum::STARTING,
            HealthStatus::Healthy => HealthStatusEnum::HEALTHY,
            HealthStatus::Unhealthy => HealthStatusEnum::UNHEALTHY,
        }),
        failing_streak: Some(i64::from(health.failing_streak)),
        log: Some(health.log.iter().map(checked).collect()),
    }
}

fn checked(checked: &Checked) -> HealthcheckResult {
    HealthcheckResult {
        start: Some(checked.start.to_string()),
        end: Some(checked.end.to_string()),
        exit_code: Some(i64::from(checked.exit_code)),
        output: Some(checked.output.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::golden;

    #[test]
    fn a_container_is_shown_as_docker_shows_it() {
        let id = "55afcfd24cbe727036744fabdb7e831c85fe2baff826279d5e941780dcd96dbf";
        let container = ContainerInspect {
            id: id.parse().unwrap(),
            name: "web".parse().unwrap(),
            created: Timestamp(1_795_231_737_378_677_919),
            path: "sh".into(),
            args: vec!["-c".into(), "exit 3".into()],
            state: ContainerState {
                status: Status::Exited,
                pid: 0,
                exit_code: 3,
                error: String::new(),
                oom_killed: false,
                started_at: Some(Timestamp(1_795_231_738_000_000_000)),
                finished_at: None,
                health: None,
            },
            image: format!("sha256:{id}"),
            config: serde_json::from_value(json!({
                "Image": "busybox", "Cmd": ["sh", "-c", "exit 3"], "Env": null,
                "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}},
            }))
            .unwrap(),
            host_config: serde_json::from_value(json!({"NetworkMode": "default"})).unwrap(),
            restart_count: 0,
            log_path: Some("/var/lib/hull/containers/x/json.log".into()),
            layers: vec!["/l/1".into(), "/l/2".into()],
            disk: "/c/scratch.img".into(),
            exec_ids: Vec::new(),
            platform: "linux",
        };
        let sizes = ContainerSizes {
            written: 4096,
            root: 8192,
        };
        golden::check(
            "container-inspect.json",
            &Json::of_container(&View::new(&container, Some(sizes))).unwrap(),
        );
    }
}
