//! What container to make: `run`'s and `create`'s flags, and the API's request made of them.
//!
//! ```text
//! Flags (as typed, each value parsed) ──resolve──► ContainerCreateBody
//! ```
//!
//! Files that flags name are read here. Whether the daemon can do what is asked is the
//! daemon's to say.

pub(crate) mod flags;
mod hosts;
mod lists;
mod mount;
pub(crate) mod platform;
pub(crate) mod restart;
mod security;
mod throttle;
pub(crate) mod units;

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
};

use crate::terminal::size::Size;
use flags::{Flags, StdStream};
pub(crate) use lists::{environment, reason as system_reason};

/// Flags that contradict each other, or that name what cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    #[error(transparent)]
    Env(#[from] lists::EnvError),
    #[error(transparent)]
    Restart(#[from] restart::RestartError),
    #[error(transparent)]
    Security(#[from] security::SecurityError),
    #[error("conflicting options: cannot specify both --restart and --rm")]
    RestartAndRemove,
    #[error("--no-healthcheck conflicts with --health-* options")]
    HealthConflict,
    #[error("--health-retries cannot be negative")]
    HealthRetries,
    #[error("invalid pull option: '{0}': must be one of \"always\", \"missing\" or \"never\"")]
    Pull(String),
    #[error("--{flag} is not supported by Hull yet: {reason}")]
    NotYet {
        flag: &'static str,
        reason: &'static str,
    },
    #[error("container ID file found, make sure the other container isn't running or delete {0}")]
    CidFileExists(String),
    #[error("invalid containerPort: {0}")]
    Expose(String),
    #[error("invalid logging opts format: {0}")]
    LogOpts(String),
    #[error("invalid logging opts for driver none")]
    LogOptsOfNone,
}

/// When to ask a registry for the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pull {
    Always,
    Missing,
    Never,
}

pub(crate) fn pull(flags: &Flags) -> Result<Pull, SpecError> {
    match flags.pull.as_str() {
        "always" => Ok(Pull::Always),
        "missing" | "" => Ok(Pull::Missing),
        "never" => Ok(Pull::Never),
        other => Err(SpecError::Pull(other.to_owned())),
    }
}

/// The request. `lookup` finds variables of this process for `-e NAME`.
pub(crate) fn resolve(
    flags: &Flags,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<ContainerCreateBody, SpecError> {
    refuse_not_yet(flags)?;
    let (image, command) = flags
        .image_and_command
        .split_first()
        .map_or(("", &[][..]), |(i, c)| (i, c));
    let attached = |stream| flags.attach.contains(&stream);
    let none_named = flags.attach.is_empty();
    let attach_stdin = flags.interactive || attached(StdStream::In);
    let labels = lists::labels(&flags.label_file, &flags.label)?;
    let host_config = host_config(flags)?;
    Ok(ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: (!command.is_empty()).then(|| command.to_vec()),
        entrypoint: flags
            .entrypoint
            .as_ref()
            .map(|program| vec![program.clone()]),
        hostname: flags.hostname.clone(),
        domainname: flags.domainname.clone(),
        user: flags.user.clone(),
        working_dir: flags.workdir.clone(),
        env: Some(lists::environment(&flags.env_file, &flags.env, lookup)?)
            .filter(|env| !env.is_empty()),
        labels: Some(labels),
        attach_stdin: Some(attach_stdin),
        attach_stdout: Some(none_named || attached(StdStream::Out)),
        attach_stderr: Some(none_named || attached(StdStream::Err)),
        tty: Some(flags.tty),
        open_stdin: Some(flags.interactive),
        // The container's input ends with ours.
        stdin_once: Some(flags.interactive && attach_stdin),
        stop_signal: flags.stop_signal.clone(),
        stop_timeout: flags.stop_timeout,
        exposed_ports: exposed(&flags.expose)?,
        healthcheck: health(flags)?,
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    })
}

fn host_config(flags: &Flags) -> Result<HostConfig, SpecError> {
    let restart = restart::parse(&flags.restart)?;
    if flags.rm && !restart::is_none(&restart) {
        return Err(SpecError::RestartAndRemove);
    }
    let security = security::resolve(&flags.security_opt)?;
    let console = if flags.tty { Size::of_stdout() } else { None };
    let list = |items: &Vec<String>| (!items.is_empty()).then(|| items.clone());
    let map = |items: &Vec<String>| (!items.is_empty()).then(|| lists::pairs(items));
    Ok(HostConfig {
        network_mode: Some(flags.network.clone().unwrap_or_else(|| "default".into())),
        auto_remove: Some(flags.rm),
        restart_policy: Some(restart),
        container_id_file: flags
            .cidfile
            .as_ref()
            .map(|path| path.display().to_string()),
        console_size: console.map(|size| vec![usize::from(size.rows), usize::from(size.columns)]),
        init: flags.init,
        privileged: Some(flags.privileged),
        readonly_rootfs: Some(flags.read_only),
        cap_add: list(&flags.cap_add),
        cap_drop: list(&flags.cap_drop),
        group_add: list(&flags.group_add),
        extra_hosts: list(&flags.add_host),
        // Docker's client sends these empty rather than not at all, and `inspect` shows it.
        dns: Some(flags.dns.clone()),
        dns_options: Some(flags.dns_option.clone()),
        dns_search: Some(flags.dns_search.clone()),
        port_bindings: Some(HashMap::new()),
        devices: Some(Vec::new()),
        blkio_weight_device: Some(Vec::new()),
        blkio_device_read_bps: Some(flags.device_read_bps.clone()),
        blkio_device_write_bps: Some(flags.device_write_bps.clone()),
        blkio_device_read_iops: Some(flags.device_read_iops.clone()),
        blkio_device_write_iops: Some(flags.device_write_iops.clone()),
        security_opt: (!security.options.is_empty()).then_some(security.options),
        masked_paths: security.paths_shown.then(Vec::new),
        readonly_paths: security.paths_shown.then(Vec::new),
        mounts: (!flags.mount.is_empty()).then(|| flags.mount.clone()),
        tmpfs: (!flags.tmpfs.is_empty()).then(|| lists::tmpfs(&flags.tmpfs)),
        sysctls: map(&flags.sysctl),
        annotations: map(&flags.annotation),
        storage_opt: map(&flags.storage_opt),
        ulimits: Some(flags.ulimit.clone()),
        memory: flags.memory,
        memory_reservation: flags.memory_reservation,
        memory_swap: flags.memory_swap,
        memory_swappiness: flags.memory_swappiness.filter(|value| *value >= 0),
        nano_cpus: flags.cpus.map(|cpus| cpus.0),
        cpu_shares: flags.cpu_shares,
        cpu_period: flags.cpu_period,
        cpu_quota: flags.cpu_quota,
        cpuset_cpus: flags.cpuset_cpus.clone(),
        cpuset_mems: flags.cpuset_mems.clone(),
        pids_limit: flags.pids_limit,
        blkio_weight: flags.blkio_weight,
        oom_kill_disable: flags.oom_kill_disable.then_some(true),
        oom_score_adj: flags.oom_score_adj,
        shm_size: flags.shm_size,
        ipc_mode: flags.ipc.clone(),
        userns_mode: flags.userns.clone(),
        cgroupns_mode: flags.cgroupns.map(|mode| match mode {
            flags::Cgroupns::Host => HostConfigCgroupnsModeEnum::HOST,
            flags::Cgroupns::Private => HostConfigCgroupnsModeEnum::PRIVATE,
        }),
        runtime: flags.runtime.clone(),
        log_config: log_config(flags)?,
        ..HostConfig::default()
    })
}

/// User networks are the next part of the work: said here, before anything is made.
fn refuse_not_yet(flags: &Flags) -> Result<(), SpecError> {
    match flags.network.as_deref() {
        None | Some("default" | "none" | "bridge") => Ok(()),
        Some(_) => Err(SpecError::NotYet {
            flag: "network",
            reason: "containers have the default network or none",
        }),
    }
}

/// Ports as the API lists them: keys of a map without values.
type PortSet = HashMap<String, HashMap<(), ()>>;

fn exposed(ports: &[String]) -> Result<Option<PortSet>, SpecError> {
    let mut exposed = HashMap::new();
    for text in ports {
        let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let port = |word: &str| {
            word.parse::<u16>()
                .map_err(|_| SpecError::Expose(text.clone()))
        };
        for number in port(first)?..=port(last)? {
            exposed.insert(format!("{number}/{protocol}"), HashMap::new());
        }
    }
    Ok((!exposed.is_empty()).then_some(exposed))
}

fn health(flags: &Flags) -> Result<Option<HealthConfig>, SpecError> {
    let checks = &flags.health;
    let given = checks.command.is_some()
        || checks.interval.is_some()
        || checks.timeout.is_some()
        || checks.start_period.is_some()
        || checks.start_interval.is_some()
        || checks.retries.is_some();
    if flags.no_healthcheck {
        return match given {
            true => Err(SpecError::HealthConflict),
            false => Ok(Some(HealthConfig {
                test: Some(vec!["NONE".into()]),
                ..HealthConfig::default()
            })),
        };
    }
    if checks.retries.is_some_and(|retries| retries < 0) {
        return Err(SpecError::HealthRetries);
    }
    Ok(given.then(|| HealthConfig {
        test: checks
            .command
            .as_ref()
            .map(|command| vec!["CMD-SHELL".into(), command.clone()]),
        interval: checks.interval.map(|time| time.0),
        timeout: checks.timeout.map(|time| time.0),
        start_period: checks.start_period.map(|time| time.0),
        start_interval: checks.start_interval.map(|time| time.0),
        retries: checks.retries,
    }))
}

fn log_config(flags: &Flags) -> Result<Option<HostConfigLogConfig>, SpecError> {
    if let Some(bad) = flags.log_opt.iter().find(|option| !option.contains('=')) {
        return Err(SpecError::LogOpts(bad.clone()));
    }
    if flags.log_driver.as_deref() == Some("none") && !flags.log_opt.is_empty() {
        return Err(SpecError::LogOptsOfNone);
    }
    let given = flags.log_driver.is_some() || !flags.log_opt.is_empty();
    Ok(given.then(|| HostConfigLogConfig {
        typ: flags.log_driver.clone(),
        config: Some(lists::pairs(&flags.log_opt)),
    }))
}

#[cfg(test)]
mod tests;
