//! From a blueprint to what the agent is asked to make: an OCI runtime specification and the files
//! that Docker provides.
//!
//! There is no seccomp profile unless the user gives one: the wall is the VM, and Docker's profile
//! exists to shield a kernel that is shared (decision 0007).

use std::fmt::Write as _;

use hull_protocol::agent::{Create, ProvidedFile, RootFs, Stdio, TerminalSize, User};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capabilities, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxMemoryBuilder, LinuxPidsBuilder,
    LinuxResources, LinuxResourcesBuilder, Mount, MountBuilder, PosixRlimit, PosixRlimitBuilder,
    PosixRlimitType, ProcessBuilder, RootBuilder, Spec, SpecBuilder,
};

use super::{Blueprint, capabilities, defaults, seccomp};
use crate::api::HostConfig;
use crate::error::EngineError;

/// Docker's default `PATH`.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The disk that `vm` puts first.
const SCRATCH: &str = "/dev/vda";

/// The whole request for the agent.
pub(crate) fn create(blueprint: &Blueprint, layers: usize) -> Result<Create, EngineError> {
    let host = &blueprint.host_config;
    Ok(Create {
        root: root(layers),
        spec: spec(blueprint)?,
        user: User {
            // Named even when it is root: the agent then takes HOME from the container's files.
            name: match blueprint.config.user.as_str() {
                "" => "0".to_owned(),
                user => user.to_owned(),
            },
            groups: host.group_add.clone().unwrap_or_default(),
        },
        stdio: Stdio {
            stdin: blueprint.config.open_stdin,
            terminal: blueprint.config.tty.then(|| TerminalSize {
                rows: host.console_size[0],
                columns: host.console_size[1],
            }),
        },
        init: host.init.unwrap_or(false),
        files: files(blueprint),
    })
}

/// The root of a container whose image has so many layers.
pub(crate) fn root(layers: usize) -> RootFs {
    RootFs {
        // And the one that `vm` puts above them.
        layers: u32::try_from(layers + 1).unwrap_or(u32::MAX),
        scratch: Some(SCRATCH.to_owned()),
    }
}

/// The environment of the first process; an exec's starts with it.
pub(crate) fn environment(blueprint: &Blueprint) -> Vec<String> {
    let config = &blueprint.config;
    let mut env = vec![PATH.to_owned(), format!("HOSTNAME={}", config.hostname)];
    if config.tty {
        env.push("TERM=xterm".to_owned());
    }
    set_all(&mut env, config.env.iter().flatten());
    env
}

/// Sets variables in place; a bare name removes one.
pub(crate) fn set_all<'a>(env: &mut Vec<String>, entries: impl Iterator<Item = &'a String>) {
    for entry in entries {
        let name = entry.split('=').next().unwrap_or_default();
        let same = |e: &String| e.split('=').next() == Some(name);
        match (entry.contains('='), env.iter().position(same)) {
            (true, Some(at)) => env[at].clone_from(entry),
            (true, None) => env.push(entry.clone()),
            (false, Some(at)) => drop(env.remove(at)),
            (false, None) => {}
        }
    }
}

/// The working directory of the first process and, by default, of execs.
pub(crate) fn working_dir(blueprint: &Blueprint) -> String {
    match blueprint.config.working_dir.as_str() {
        "" => "/".to_owned(),
        dir => dir.to_owned(),
    }
}

fn spec(blueprint: &Blueprint) -> Result<Spec, EngineError> {
    let impossible = |e: OciSpecError| EngineError::Invalid(e.to_string());
    let (config, host) = (&blueprint.config, &blueprint.host_config);
    let allowed: Capabilities = capabilities::allowed(host)?;
    let sets = LinuxCapabilitiesBuilder::default()
        .bounding(allowed.clone())
        .effective(allowed.clone())
        .permitted(allowed)
        .inheritable(Capabilities::new())
        .ambient(Capabilities::new())
        .build()
        .map_err(impossible)?;
    let mut process = ProcessBuilder::default()
        .terminal(config.tty)
        .args(blueprint.command())
        .env(environment(blueprint))
        .cwd(working_dir(blueprint))
        .capabilities(sets)
        .rlimits(rlimits(host)?)
        .no_new_privileges(no_new_privileges(blueprint));
    if let Ok(score @ 1..) | Ok(score @ ..=-1) = i32::try_from(host.oom_score_adj) {
        process = process.oom_score_adj(score);
    }
    let process = process.build().map_err(impossible)?;
    let mut linux = LinuxBuilder::default()
        .masked_paths(defaults::masked(host).unwrap_or_default())
        .readonly_paths(defaults::readonly(host).unwrap_or_default())
        .resources(resources(blueprint).map_err(impossible)?)
        .sysctl(
            host.sysctls
                .clone()
                .into_iter()
                .collect::<std::collections::HashMap<_, _>>(),
        )
        .build()
        .map_err(impossible)?;
    linux.set_seccomp(seccomp::filter(host)?);
    let root = RootBuilder::default()
        .path("/")
        .readonly(host.readonly_rootfs)
        .build()
        .map_err(impossible)?;
    let mut spec = SpecBuilder::default();
    spec = spec
        .version("1.0.2")
        .process(process)
        .root(root)
        .hostname(config.hostname.clone())
        .mounts(mounts(blueprint).map_err(impossible)?)
        .linux(linux);
    if !config.domainname.is_empty() {
        spec = spec.domainname(config.domainname.clone());
    }
    spec.build().map_err(impossible)
}

fn no_new_privileges(blueprint: &Blueprint) -> bool {
    let options = blueprint.host_config.security_opt.iter().flatten();
    options
        .filter(|o| o.starts_with("no-new-privileges"))
        .any(|o| !o.ends_with("false"))
}

/// The agent makes the usual ones; these say what differs.
fn mounts(blueprint: &Blueprint) -> Result<Vec<Mount>, OciSpecError> {
    let host = &blueprint.host_config;
    let mount = |at: &str, kind: &str, options: Vec<String>| {
        MountBuilder::default()
            .destination(at)
            .typ(kind)
            .source(kind)
            .options(options)
            .build()
    };
    let words = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let mut all = Vec::new();
    let mut shm = words(&["nosuid", "noexec", "nodev", "mode=1777"]);
    shm.push(format!("size={}", host.shm_size));
    all.push(mount("/dev/shm", "tmpfs", shm)?);
    if host.privileged {
        all.push(mount(
            "/sys",
            "sysfs",
            words(&["nosuid", "noexec", "nodev", "rw"]),
        )?);
        all.push(mount(
            "/sys/fs/cgroup",
            "cgroup",
            words(&["nosuid", "noexec", "nodev", "rw"]),
        )?);
    }
    let usual = words(&["nosuid", "nodev", "noexec"]);
    for (at, options) in &host.tmpfs {
        let mut list = usual.clone();
        list.extend(
            options
                .split(',')
                .filter(|o| !o.is_empty())
                .map(str::to_owned),
        );
        all.push(mount(at, "tmpfs", list)?);
    }
    for one in &host.mounts {
        let mut list = usual.clone();
        let options = one.tmpfs_options.clone().unwrap_or_default();
        list.extend(one.read_only.then(|| "ro".to_owned()));
        list.extend((options.mode != 0).then(|| format!("mode={:o}", options.mode)));
        list.extend((options.size_bytes != 0).then(|| format!("size={}", options.size_bytes)));
        all.push(mount(&one.target, "tmpfs", list)?);
    }
    Ok(all)
}

fn resources(blueprint: &Blueprint) -> Result<LinuxResources, OciSpecError> {
    let host = &blueprint.host_config;
    let mut resources = LinuxResourcesBuilder::default();
    if host.memory > 0 {
        resources = resources.memory(LinuxMemoryBuilder::default().limit(host.memory).build()?);
    }
    if let Some(limit @ 1..) = host.pids_limit {
        resources = resources.pids(LinuxPidsBuilder::default().limit(limit).build()?);
    }
    // CPUs and I/O are the host's to give out, and may change while the guest runs.
    resources.build()
}

/// Also asked when a container is made: a limit that is none is refused then.
pub(crate) fn rlimits(host: &HostConfig) -> Result<Vec<PosixRlimit>, EngineError> {
    let one = |limit: &crate::api::Ulimit| {
        let wrong = || EngineError::Invalid(format!("invalid ulimit type: {}", limit.name));
        let name = format!("RLIMIT_{}", limit.name.to_ascii_uppercase());
        let kind: PosixRlimitType =
            serde_json::from_value(serde_json::Value::String(name)).map_err(|_| wrong())?;
        // -1 is unlimited, which as u64 is the kernel's own number for it.
        PosixRlimitBuilder::default()
            .typ(kind)
            .soft(limit.soft as u64)
            .hard(limit.hard as u64)
            .build()
            .map_err(|e| EngineError::Invalid(e.to_string()))
    };
    host.ulimits.iter().map(one).collect()
}

fn files(blueprint: &Blueprint) -> Vec<ProvidedFile> {
    let (config, host) = (&blueprint.config, &blueprint.host_config);
    let mut hosts = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    for (name, address) in host
        .extra_hosts
        .iter()
        .flatten()
        .filter_map(|h| h.split_once(':'))
    {
        // Writing to a string does not fail.
        let _ = writeln!(hosts, "{}\t{name}", address.trim_matches(['[', ']']));
    }
    let name = match config.domainname.as_str() {
        "" => config.hostname.clone(),
        domain => format!("{}.{domain} {}", config.hostname, config.hostname),
    };
    let _ = writeln!(hosts, "127.0.1.1\t{name}");
    let mut resolv = String::new();
    for server in host.dns.iter().flatten() {
        let _ = writeln!(resolv, "nameserver {server}");
    }
    if let Some(search) = host.dns_search.as_ref().filter(|s| !s.is_empty()) {
        let _ = writeln!(resolv, "search {}", search.join(" "));
    }
    if let Some(options) = host.dns_options.as_ref().filter(|o| !o.is_empty()) {
        let _ = writeln!(resolv, "options {}", options.join(" "));
    }
    let file = |path: &str, content: String| ProvidedFile {
        path: path.to_owned(),
        content,
        mode: 0o644,
    };
    vec![
        file("/etc/hostname", format!("{}\n", config.hostname)),
        file("/etc/hosts", hosts),
        file("/etc/resolv.conf", resolv),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Config, CreateSpec};
    use crate::id::ContainerId;
    use crate::images::RunImage;

    fn blueprint(config: Config, host_config: HostConfig) -> Blueprint {
        let spec = CreateSpec {
            config: Config {
                cmd: Some(vec!["sh".into()]),
                ..config
            },
            host_config,
            ..CreateSpec::default()
        };
        Blueprint::new(ContainerId::random().unwrap(), spec, &RunImage::default()).unwrap()
    }

    #[test]
    fn the_environment_has_dockers_order() {
        let env = vec![
            "A=1".to_owned(),
            "PATH=/bin".to_owned(),
            "HOSTNAME".to_owned(),
        ];
        let b = blueprint(
            Config {
                env: Some(env),
                tty: true,
                ..Config::default()
            },
            HostConfig::default(),
        );
        assert_eq!(environment(&b), ["PATH=/bin", "TERM=xterm", "A=1"]);
        let plain = blueprint(Config::default(), HostConfig::default());
        assert_eq!(
            environment(&plain),
            [PATH.to_owned(), format!("HOSTNAME={}", plain.id.short())]
        );
    }

    #[test]
    fn limits_and_privilege_reach_the_specification() {
        let host = HostConfig {
            memory: 64 << 20,
            pids_limit: Some(20),
            nano_cpus: 500_000_000,
            readonly_rootfs: true,
            ulimits: vec![crate::api::Ulimit {
                name: "nofile".into(),
                soft: 10,
                hard: -1,
            }],
            ..HostConfig::default()
        };
        let spec = create(&blueprint(Config::default(), host), 2).unwrap().spec;
        let json = serde_json::to_value(&spec).unwrap();
        assert_eq!(json["linux"]["resources"]["memory"]["limit"], 64 << 20);
        assert_eq!(json["linux"]["resources"]["pids"]["limit"], 20);
        assert_eq!(json["root"]["readonly"], true);
        assert_eq!(json["process"]["rlimits"][0]["hard"], u64::MAX);
        assert_eq!(
            json["linux"]["maskedPaths"].as_array().unwrap().len(),
            defaults::masked(&HostConfig::default()).unwrap().len()
        );
        let all = HostConfig {
            privileged: true,
            ..HostConfig::default()
        };
        let json =
            serde_json::to_value(create(&blueprint(Config::default(), all), 1).unwrap().spec)
                .unwrap();
        assert_eq!(json["linux"]["maskedPaths"], serde_json::json!([]));
        assert!(
            json["process"]["capabilities"]["bounding"]
                .as_array()
                .unwrap()
                .len()
                > 30
        );
    }

    #[test]
    fn a_wrong_ulimit_is_refused() {
        let host = HostConfig {
            ulimits: vec![crate::api::Ulimit {
                name: "nosuch".into(),
                ..Default::default()
            }],
            ..HostConfig::default()
        };
        let err = create(&blueprint(Config::default(), host), 1).unwrap_err();
        assert_eq!(err.to_string(), "invalid ulimit type: nosuch");
    }
}
