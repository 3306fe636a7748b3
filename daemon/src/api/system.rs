//! The daemon itself: `_ping`, `version`, `info`, `system/df`, and the plugins that do not exist.

mod host;

use std::collections::HashMap;

use bollard_stubs::models::{
    BuildPruneResponse, IndexInfo, LocalNodeState, PluginsInfo, RegistryServiceConfig, Runtime,
    SwarmInfo, SystemDataUsageResponse, SystemInfo, SystemInfoCgroupDriverEnum,
    SystemInfoCgroupVersionEnum, SystemVersion, SystemVersionComponents, SystemVersionPlatform,
};
use hull_engine::api::{InsecureRegistry, ListOptions, Mirror, RegistryOptions};
use hull_engine::{Info, Timestamp};
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA};
use hyper::{Method, Response};

use super::App;
use crate::VERSION;
use crate::http::route::Router;
use crate::http::version::ApiVersion;
use crate::http::{ApiError, Reply, Request, body};

pub(super) fn routes(router: &mut Router<App>) {
    router.add(Method::HEAD, "/_ping", async |_, _| Ok(pong("")));
    router.add(Method::GET, "/_ping", async |_, _| Ok(pong("OK")));
    router.add(
        Method::GET,
        "/version",
        async |_, _| Reply::json(&version()),
    );
    router.add(Method::GET, "/info", info);
    router.add(Method::GET, "/system/df", disk_usage);
    router.add(Method::POST, "/build/prune", async |_, _| {
        Reply::json(&no_build_cache())
    });
    router.add(Method::GET, "/plugins", async |_, _| {
        Reply::json::<[(); 0]>(&[])
    });
    router.add(Method::GET, "/plugins/{name..}/json", async |_, request| {
        no_plugin(&request)
    });
}

/// What takes space on disk.
const DISK_USERS: [&str; 4] = ["image", "container", "volume", "build-cache"];

fn pong(text: &'static str) -> Reply {
    let mut response = Response::new(body::whole(text));
    // Said of the answer to HEAD too, where hyper leaves it out.
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    for (name, value) in [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (PRAGMA, "no-cache"),
        (HeaderName::from_static("builder-version"), "2"),
        (HeaderName::from_static("swarm"), "inactive"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Reply::Http(response)
}

/// Nothing is built yet, so nothing is kept.
fn no_build_cache() -> BuildPruneResponse {
    BuildPruneResponse {
        caches_deleted: Some(Vec::new()),
        space_reclaimed: Some(0),
    }
}

fn no_plugin(request: &Request) -> Result<Reply, ApiError> {
    Err(ApiError::not_found(format!(
        "plugin {:?} not found",
        request.name()
    )))
}

fn version() -> SystemVersion {
    let kernel = host::kernel();
    let text = |s: &str| Some(s.to_owned());
    let details = [
        ("ApiVersion", ApiVersion::MAX.to_string()),
        ("Arch", host::ARCH.to_owned()),
        ("Experimental", "false".to_owned()),
        ("KernelVersion", kernel.clone()),
        ("MinAPIVersion", ApiVersion::MIN.to_string()),
        ("Os", "linux".to_owned()),
    ];
    SystemVersion {
        platform: Some(SystemVersionPlatform {
            name: "Hull".to_owned(),
        }),
        components: Some(vec![SystemVersionComponents {
            name: "Engine".to_owned(),
            version: VERSION.to_owned(),
            details: Some(
                details
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect(),
            ),
        }]),
        version: text(VERSION),
        api_version: Some(ApiVersion::MAX.to_string()),
        min_api_version: Some(ApiVersion::MIN.to_string()),
        git_commit: text(""),
        go_version: text(""),
        os: text("linux"),
        arch: text(host::ARCH),
        kernel_version: Some(kernel),
        experimental: None,
        build_time: text(""),
    }
}

async fn info(app: App, _: Request) -> Result<Reply, ApiError> {
    Reply::json(&describe(&app.engine.info().await?))
}

fn describe(info: &Info) -> SystemInfo {
    let count = |n: usize| i64::try_from(n).ok();
    let text = |s: &str| Some(s.to_owned());
    let list = |items: &[&str]| Some(items.iter().map(|s| (*s).to_owned()).collect());
    SystemInfo {
        id: Some(info.id.clone()),
        containers: count(info.containers),
        containers_running: count(info.running),
        containers_paused: count(info.paused),
        containers_stopped: count(info.stopped),
        images: count(info.images),
        driver: text("hull"),
        driver_status: Some(vec![
            ["Isolation", "one microVM a container"]
                .map(str::to_owned)
                .into(),
        ]),
        docker_root_dir: Some(info.options.data_root.display().to_string()),
        plugins: Some(PluginsInfo {
            volume: list(&[]),
            network: list(&["bridge", "null"]),
            authorization: None,
            log: list(&["json-file", "local"]),
        }),
        memory_limit: Some(true),
        swap_limit: Some(false),
        cpu_cfs_period: Some(false),
        cpu_cfs_quota: Some(false),
        cpu_shares: Some(false),
        cpu_set: Some(false),
        pids_limit: Some(true),
        oom_kill_disable: Some(false),
        ipv4_forwarding: Some(true),
        debug: Some(false),
        system_time: Some(Timestamp::now().to_string()),
        logging_driver: text(&info.options.defaults.log.r#type),
        cgroup_driver: Some(SystemInfoCgroupDriverEnum::CGROUPFS),
        cgroup_version: Some(SystemInfoCgroupVersionEnum::_2),
        kernel_version: Some(host::kernel()),
        operating_system: Some(host::operating_system()),
        os_version: text(""),
        os_type: text("linux"),
        architecture: Some(host::machine()),
        ncpu: Some(host::cpus()),
        mem_total: Some(host::memory()),
        index_server_address: text("https://index.docker.io/v1/"),
        registry_config: Some(registries(&info.options.registries)),
        http_proxy: text(""),
        https_proxy: text(""),
        no_proxy: text(""),
        name: Some(host::name()),
        labels: list(&[]),
        experimental_build: Some(false),
        server_version: text(info.version),
        runtimes: Some(HashMap::from([(
            "hull".to_owned(),
            Runtime {
                path: Some(info.options.vmm.display().to_string()),
                ..Runtime::default()
            },
        )])),
        default_runtime: text("hull"),
        swarm: Some(SwarmInfo {
            local_node_state: Some(LocalNodeState::INACTIVE),
            ..SwarmInfo::default()
        }),
        live_restore_enabled: Some(true),
        init_binary: text("hull-init"),
        security_options: list(&["name=seccomp,profile=builtin", "name=microvm"]),
        ..SystemInfo::default()
    }
}

/// How registries are reached, in dockerd's form.
fn registries(options: &RegistryOptions) -> RegistryServiceConfig {
    let mirrors: Vec<String> = options.mirrors.iter().map(Mirror::to_string).collect();
    let hub = IndexInfo {
        name: Some("docker.io".to_owned()),
        mirrors: Some(mirrors.clone()),
        secure: Some(true),
        official: Some(true),
    };
    let mut indexes = HashMap::from([("docker.io".to_owned(), hub)]);
    let mut networks: Vec<String> = Vec::new();
    for registry in &options.insecure {
        match registry {
            InsecureRegistry::Network { .. } => networks.push(registry.to_string()),
            InsecureRegistry::Host(host) => {
                let index = IndexInfo {
                    name: Some(host.clone()),
                    mirrors: Some(Vec::new()),
                    secure: Some(false),
                    official: Some(false),
                };
                indexes.insert(host.clone(), index);
            }
        }
    }
    networks.extend(["::1/128", "127.0.0.0/8"].map(str::to_owned));
    RegistryServiceConfig {
        insecure_registry_cidrs: Some(networks),
        index_configs: Some(indexes),
        mirrors: Some(mirrors).filter(|mirrors| !mirrors.is_empty()),
    }
}

/// `GET /system/df?type=`
async fn disk_usage(app: App, request: Request) -> Result<Reply, ApiError> {
    let types: Vec<&str> = request.query.all("type").collect();
    if let Some(unknown) = types.iter().find(|kind| !DISK_USERS.contains(kind)) {
        return Err(ApiError::bad_request(format!(
            "unknown object type: {unknown}"
        )));
    }
    let asked = |kind| types.is_empty() || types.contains(&kind);
    let mut usage = SystemDataUsageResponse::default();
    if asked("image") {
        let found = app.engine.images().disk_usage().await?;
        let images = found.images.into_iter().filter(|i| !i.intermediate);
        usage.images = Some(images.map(super::images::summary).collect());
        usage.layers_size = i64::try_from(found.layers).ok();
    }
    if asked("container") {
        let everything = ListOptions {
            all: true,
            size: true,
            ..ListOptions::default()
        };
        let containers = app.engine.list(everything).await?.into_iter();
        usage.containers = Some(containers.map(super::containers::summary).collect());
    }
    if asked("volume") {
        usage.volumes = Some(Vec::new());
    }
    if asked("build-cache") {
        usage.build_cache = Some(Vec::new());
    }
    Reply::json(&usage)
}
