//! Judges a create request: what Hull cannot do yet is refused by name, what cannot be is refused
//! in Docker's words, and nothing that was asked for is dropped in silence.

#[cfg(test)]
mod every_field;
mod mounts;
mod resources;

use std::path::Path;

use serde_json::Value;

use crate::api::{CreateSpec, HostConfig};
use crate::container::seccomp;
use crate::error::EngineError;
use crate::health;
use crate::images::RunImage;
use crate::restart::Policy;
use crate::vm::HostFacts;

/// Fields besides the typed ones that may hold something, and what they may hold.
const ALLOWED: &[(&str, Allowed)] = &[
    // Facts about the client, or for its own use.
    ("ContainerIDFile", Allowed::Anything),
    ("Annotations", Allowed::Anything),
    ("ExposedPorts", Allowed::Anything),
    ("OnBuild", Allowed::Anything),
    ("Shell", Allowed::Anything),
    ("ArgsEscaped", Allowed::Anything),
    // Every container has namespaces, and a machine, of its own.
    ("IpcMode", Allowed::Words(&["private", "shareable"])),
    ("CgroupnsMode", Allowed::Words(&["private"])),
    ("UsernsMode", Allowed::Words(&["private"])),
    ("Isolation", Allowed::Words(&["default"])),
    (
        "Runtime",
        Allowed::Words(&["hull", "runc", "io.containerd.runc.v2"]),
    ),
];

enum Allowed {
    Anything,
    Words(&'static [&'static str]),
}

/// Refuses what cannot be done on this host.
pub(crate) fn judge(spec: &CreateSpec, facts: &HostFacts) -> Result<(), EngineError> {
    if spec.config.image.is_empty() {
        return Err(EngineError::Invalid(
            "config cannot be empty in order to create a container".into(),
        ));
    }
    for (field, value) in &spec.config.other {
        judge_other("", field, value)?;
    }
    for (field, value) in &spec.host_config.other {
        judge_other("HostConfig.", field, value)?;
    }
    if let Some(check) = &spec.config.healthcheck {
        health::judge(check)?;
    }
    judge_networks(&spec.networking_config)?;
    judge_host(&spec.host_config)?;
    mounts::judge(&spec.host_config)?;
    resources::judge(&spec.host_config, facts)?;
    let dir = &spec.config.working_dir;
    if !dir.is_empty() && !dir.starts_with('/') {
        return Err(EngineError::Invalid(format!(
            "the working directory '{dir}' is invalid, it needs to be an absolute path"
        )));
    }
    let hostname = &spec.config.hostname;
    let fits = hostname.len() <= 64
        && hostname
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if !fits {
        return Err(EngineError::Invalid(format!(
            "invalid hostname format: {hostname}"
        )));
    }
    for entry in spec.config.env.iter().flatten() {
        if entry.is_empty() || entry.starts_with('=') || entry.contains('\0') {
            return Err(EngineError::Invalid(format!(
                "invalid environment variable: {entry}"
            )));
        }
    }
    Ok(())
}

/// Refuses an update that asks for more than limits and a restart policy.
pub(crate) fn judge_update(changes: &HostConfig) -> Result<(), EngineError> {
    let known = HostConfig {
        memory: changes.memory,
        memory_reservation: changes.memory_reservation,
        memory_swap: changes.memory_swap,
        memory_swappiness: changes.memory_swappiness,
        oom_kill_disable: changes.oom_kill_disable,
        nano_cpus: changes.nano_cpus,
        cpu_shares: changes.cpu_shares,
        cpu_period: changes.cpu_period,
        cpu_quota: changes.cpu_quota,
        cpuset_cpus: changes.cpuset_cpus.clone(),
        cpuset_mems: changes.cpuset_mems.clone(),
        blkio_weight: changes.blkio_weight,
        pids_limit: changes.pids_limit,
        restart_policy: changes.restart_policy.clone(),
        ulimits: Vec::new(),
        other: changes.other.clone(),
        ..HostConfig::default()
    };
    if let Some(ulimit) = changes.ulimits.first() {
        return Err(EngineError::NotSupported(format!(
            "updating ulimit {}",
            ulimit.name
        )));
    }
    if *changes != known {
        return Err(EngineError::Invalid(
            "an update changes limits and the restart policy only".into(),
        ));
    }
    for (field, value) in &changes.other {
        judge_other("", field, value)?;
    }
    Ok(())
}

/// Refuses an image for another machine.
pub(crate) fn judge_platform(reference: &str, image: &RunImage) -> Result<(), EngineError> {
    let ours = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    if image.os == "linux" && image.architecture == ours {
        return Ok(());
    }
    Err(EngineError::WrongPlatform {
        reference: reference.to_owned(),
        wanted: format!("linux/{ours}"),
        found: format!("{}/{}", image.os, image.architecture),
    })
}

/// Refuses what a container cannot be limited to from now on.
pub(crate) fn judge_limits(host: &HostConfig, groups: Option<&Path>) -> Result<(), EngineError> {
    judge_host(host)?;
    resources::judge(host, &HostFacts::read(groups))
}

/// Forgets what cannot be had and is no reason to refuse; what the user should know of that.
pub(crate) fn discard(host: &mut HostConfig, facts: &HostFacts) -> Vec<String> {
    resources::discard(host, facts)
}

fn judge_host(host: &HostConfig) -> Result<(), EngineError> {
    let unsupported = |what: String| Err(EngineError::NotSupported(what));
    if !matches!(
        host.network_mode.as_str(),
        "" | "default" | "bridge" | "none"
    ) {
        return unsupported(format!("network mode {}", host.network_mode));
    }
    if Policy::parse(&host.restart_policy)? != Policy::No && host.auto_remove {
        return Err(EngineError::Invalid(
            "can't create 'AutoRemove' container with restart policy".into(),
        ));
    }
    host.log_config.check()?;
    for option in host.security_opt.iter().flatten() {
        security(option)?;
    }
    // Also for what is wrong with a profile.
    seccomp::filter(host)?;
    for host in host.extra_hosts.iter().flatten() {
        let well_formed = host.split_once(':').is_some_and(|(n, a)| {
            !n.is_empty()
                && a.trim_matches(['[', ']'])
                    .parse::<std::net::IpAddr>()
                    .is_ok()
        });
        if !well_formed {
            return Err(EngineError::Invalid(format!(
                "bad format for add-host: \"{host}\""
            )));
        }
    }
    Ok(())
}

/// The guest runs without AppArmor and SELinux, and without a seccomp filter unless there is a
/// profile: asking for none is fine.
fn security(option: &str) -> Result<(), EngineError> {
    let known = [
        "no-new-privileges",
        "no-new-privileges:true",
        "no-new-privileges=true",
        "no-new-privileges:false",
        "no-new-privileges=false",
        "seccomp=unconfined",
        "seccomp:unconfined",
        "apparmor=unconfined",
        "apparmor:unconfined",
        "label=disable",
        "label:disable",
    ];
    match known.contains(&option) || seccomp::profile(option).is_some() {
        true => Ok(()),
        false => Err(EngineError::NotSupported(format!(
            "security option {option}"
        ))),
    }
}

fn judge_other(parent: &str, field: &str, value: &Value) -> Result<(), EngineError> {
    // The keys of a set are what it says.
    let is_set = matches!(field, "Volumes" | "PortBindings")
        && value.as_object().is_some_and(|o| !o.is_empty());
    if is_empty(value) && !is_set {
        return Ok(());
    }
    let allowed = ALLOWED
        .iter()
        .find(|(name, _)| *name == field)
        .map(|(_, a)| a);
    let fine = match (allowed, value) {
        (Some(Allowed::Anything), _) => true,
        (Some(Allowed::Words(words)), Value::String(s)) => words.contains(&s.as_str()),
        _ => false,
    };
    match fine {
        true => Ok(()),
        false => Err(EngineError::NotSupported(format!(
            "{parent}{field} {value}"
        ))),
    }
}

fn judge_networks(config: &Value) -> Result<(), EngineError> {
    let Some(endpoints) = config.get("EndpointsConfig").and_then(Value::as_object) else {
        return Ok(());
    };
    for (network, settings) in endpoints {
        if !matches!(network.as_str(), "default" | "bridge" | "none") || !is_empty(settings) {
            return Err(EngineError::NotSupported(format!(
                "connecting to network {network}"
            )));
        }
    }
    Ok(())
}

/// Whether a value says nothing, at any depth: Go clients send zeroes for what was not given.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.iter().all(is_empty),
        Value::Object(o) => o.values().all(is_empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A host that can limit everything.
    pub(super) fn facts() -> HostFacts {
        HostFacts {
            cpus: "0-3".parse().unwrap(),
            nodes: "0".parse().unwrap(),
            cpusets: true,
            io_limits: true,
            io_weights: true,
        }
    }

    fn verdict(config: &Value, host: &Value) -> Result<(), String> {
        let mut body = json!({ "Image": "busybox", "HostConfig": host });
        for (k, v) in config.as_object().unwrap() {
            body[k] = v.clone();
        }
        let spec: CreateSpec = serde_json::from_value(body).unwrap();
        judge(&spec, &facts()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_the_docker_cli_sends_for_a_plain_run_passes() {
        let host = json!({
            "Binds": null, "PortBindings": {}, "NetworkMode": "default", "ConsoleSize": [24, 80],
            "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 }, "MemorySwappiness": -1,
            "LogConfig": { "Type": "", "Config": {} }, "Devices": [], "Ulimits": [], "CapAdd": null,
            "BlkioWeight": 0, "OomKillDisable": false, "ContainerIDFile": "", "PidsLimit": 0,
        });
        assert_eq!(
            verdict(
                &json!({ "Volumes": {}, "OnBuild": null, "Labels": {} }),
                &host
            ),
            Ok(())
        );
        let network = json!({ "NetworkingConfig": { "EndpointsConfig": { "default": {
            "IPAMConfig": null, "GwPriority": 0, "NetworkID": "" } } } });
        assert_eq!(verdict(&network, &json!({})), Ok(()));
    }

    #[test]
    fn what_cannot_be_done_yet_is_refused_by_name() {
        for (host, text) in [
            (
                json!({ "Binds": ["/a:/b"] }),
                "HostConfig.Binds [\"/a:/b\"]",
            ),
            (
                json!({ "PortBindings": { "80/tcp": [{ "HostPort": "80" }] } }),
                "HostConfig.PortBindings",
            ),
            (json!({ "NetworkMode": "host" }), "network mode host"),
            (json!({ "PidMode": "host" }), "HostConfig.PidMode \"host\""),
            (json!({ "SomethingNew": 1 }), "HostConfig.SomethingNew 1"),
        ] {
            let message = verdict(&json!({}), &host).unwrap_err();
            assert!(
                message.starts_with("not supported by Hull yet: "),
                "{message}"
            );
            assert!(message.contains(text), "{message}");
        }
        assert!(verdict(&json!({ "Volumes": { "/data": {} } }), &json!({})).is_err());
    }

    #[test]
    fn logs_are_kept_as_a_driver_can() {
        let log = |json: Value| verdict(&json!({}), &json!({ "LogConfig": json }));
        let options = json!({ "max-size": "1m", "max-file": "3" });
        assert_eq!(log(json!({ "Type": "local", "Config": options })), Ok(()));
        assert_eq!(
            log(json!({ "Type": "syslog" })).unwrap_err(),
            "logger: no log driver named 'syslog' is registered"
        );
    }

    #[test]
    fn health_checks_pass_where_they_can_be_meant() {
        let told = |json: Value| verdict(&json!({ "Healthcheck": json }), &json!({}));
        assert_eq!(told(json!({ "Test": ["CMD", "x"] })), Ok(()));
        assert_eq!(told(json!({ "Test": ["NONE"] })), Ok(()));
        assert!(told(json!({ "Test": ["x"] })).is_err());
    }

    #[test]
    fn restart_policies_pass_and_contradict_auto_removal() {
        let always = json!({ "Name": "always" });
        let policy = |json: &Value| verdict(&json!({}), &json!({ "RestartPolicy": json }));
        assert_eq!(policy(&always), Ok(()));
        assert!(policy(&json!({ "Name": "now and then" })).is_err());
        let both = json!({ "RestartPolicy": always, "AutoRemove": true });
        assert_eq!(
            verdict(&json!({}), &both).unwrap_err(),
            "can't create 'AutoRemove' container with restart policy"
        );
    }

    #[test]
    fn too_little_memory_is_refused_in_dockers_words() {
        let message = verdict(&json!({}), &json!({ "Memory": 4 << 20 })).unwrap_err();
        assert_eq!(message, "Minimum memory limit allowed is 6MB");
        assert_eq!(verdict(&json!({}), &json!({ "Memory": 6 << 20 })), Ok(()));
    }

    #[test]
    fn a_tmpfs_has_an_absolute_path() {
        let tmpfs = |path: &str| verdict(&json!({}), &json!({ "Tmpfs": { path: "" } }));
        assert_eq!(tmpfs("/t"), Ok(()));
        assert_eq!(
            tmpfs("t").unwrap_err(),
            "invalid mount path: 't' mount path must be absolute"
        );
    }

    #[test]
    fn an_empty_request_is_refused() {
        let message = judge(&CreateSpec::default(), &facts())
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "config cannot be empty in order to create a container"
        );
    }

    #[test]
    fn limits_that_cannot_be_are_refused_in_dockers_words() {
        for (host, text) in [
            (
                json!({ "Memory": 64 << 20, "MemorySwap": 32 << 20 }),
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (
                json!({ "MemorySwap": 32 << 20 }),
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ),
            (
                json!({ "MemorySwappiness": 101 }),
                "Invalid value: 101, valid memory swappiness range is 0-100",
            ),
            (
                json!({ "MemoryReservation": 1 }),
                "Minimum memory reservation allowed is 6MB",
            ),
            (
                json!({ "Memory": 8 << 20, "MemoryReservation": 9 << 20 }),
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ),
            (
                json!({ "NanoCpus": 5_000_000_000_i64 }),
                "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
            ),
            (
                json!({ "NanoCpus": 1, "CpuQuota": 1000 }),
                "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
            ),
            (
                json!({ "NanoCpus": 1, "CpuPeriod": 1000 }),
                "Conflicting options: Nano CPUs and CPU Period cannot both be set",
            ),
            (
                json!({ "CpuPeriod": 10 }),
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            ),
            (
                json!({ "CpuQuota": 10 }),
                "CPU cfs quota can not be less than 1ms (i.e. 1000)",
            ),
            (
                json!({ "CpuShares": -1 }),
                "invalid CPU shares (-1): value must be a positive integer",
            ),
            (
                json!({ "CpusetCpus": "x" }),
                "Invalid value x for cpuset cpus: invalid format: x",
            ),
            (
                json!({ "CpusetCpus": "0-9" }),
                "Requested CPUs are not available - requested 0-9, available: 0-3",
            ),
            (
                json!({ "CpusetMems": "1" }),
                "Requested memory nodes are not available - requested 1, available: 0",
            ),
            (
                json!({ "BlkioWeight": 5 }),
                "Range of blkio weight is from 10 to 1000",
            ),
            (
                json!({ "BlkioDeviceReadBps": [{ "Path": "sda", "Rate": 1 }] }),
                "bad device path: sda",
            ),
            (
                json!({ "OomScoreAdj": 1001 }),
                "Invalid value 1001, range for oom score adj is [-1000, 1000]",
            ),
            (json!({ "ShmSize": -1 }), "SHM size can not be less than 0"),
            (
                json!({ "StorageOpt": { "foo": "1" } }),
                "Unknown option foo",
            ),
            (
                json!({ "StorageOpt": { "size": "x" } }),
                "invalid size: 'x'",
            ),
            (
                json!({ "StorageOpt": { "size": "1m" } }),
                "invalid storage size 1m: the least is 32m, the most 16t",
            ),
            (
                json!({ "Ulimits": [{ "Name": "nosuch", "Soft": 1, "Hard": 1 }] }),
                "invalid ulimit type: nosuch",
            ),
            (
                json!({ "Ulimits": [{ "Name": "nofile", "Soft": 2, "Hard": 1 }] }),
                "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
            ),
            (
                json!({ "Sysctls": { "../../etc/passwd": "1" } }),
                "invalid sysctl \"../../etc/passwd\"",
            ),
        ] {
            assert_eq!(verdict(&json!({}), &host), Err(text.to_owned()), "{host}");
        }
    }

    #[test]
    fn what_this_host_cannot_limit_is_refused() {
        let poor = HostFacts {
            cpusets: false,
            io_limits: false,
            io_weights: false,
            ..facts()
        };
        let refused = |host: Value| {
            let spec = serde_json::from_value(json!({ "Image": "x", "HostConfig": host }));
            judge(&spec.unwrap(), &poor).map_err(|e| e.to_string())
        };
        assert_eq!(
            refused(json!({ "CpusetCpus": "0" })).unwrap_err(),
            "cpuset cpus cannot be had: this host's control groups have no cpuset controller"
        );
        let devices = json!({ "BlkioDeviceReadBps": [{ "Path": "/dev/sda", "Rate": 1 }] });
        assert_eq!(
            refused(devices).unwrap_err(),
            "limits of devices cannot be had: this host's control groups have no io controller"
        );
        // As Docker: discarded with a warning.
        assert_eq!(refused(json!({ "BlkioWeight": 500 })), Ok(()));
        let mut spec = CreateSpec::default();
        spec.host_config.blkio_weight = 500;
        assert_eq!(discard(&mut spec.host_config, &poor).len(), 1);
        assert_eq!(spec.host_config.blkio_weight, 0);
    }
}
