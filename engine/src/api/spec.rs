//! What `create` is asked for: Docker's `Config` and `HostConfig`, by Docker's own JSON names.
//!
//! Fields this engine acts on are typed. Everything else a client sends lands in `other` and is
//! judged by [`crate::admission`]: nothing a user asked for is dropped in silence.

use std::collections::BTreeMap;

use hull_images::Healthcheck;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The body of `create`: a flat `Config`, with the host's side beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateSpec {
    /// What would be the same on any host.
    #[serde(flatten)]
    pub config: Config,
    /// What is about this host.
    #[serde(deserialize_with = "or_default")]
    pub host_config: HostConfig,
    /// As sent; judged, not used, until there are networks.
    #[serde(deserialize_with = "or_default")]
    pub networking_config: Value,
}

/// Docker's `Config`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    /// The image, as the user wrote it.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
    /// Empty: the short id.
    #[serde(deserialize_with = "or_default")]
    pub hostname: String,
    /// NIS domain.
    #[serde(deserialize_with = "or_default")]
    pub domainname: String,
    /// `user[:group]`.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// A terminal instead of pipes.
    #[serde(deserialize_with = "or_default")]
    pub tty: bool,
    /// Keep stdin open.
    #[serde(deserialize_with = "or_default")]
    pub open_stdin: bool,
    /// End stdin when the first attached client leaves.
    #[serde(deserialize_with = "or_default")]
    pub stdin_once: bool,
    /// Shown by inspect only.
    #[serde(deserialize_with = "or_default")]
    pub attach_stdin: bool,
    /// Shown by inspect only.
    #[serde(deserialize_with = "or_default")]
    pub attach_stdout: bool,
    /// Shown by inspect only.
    #[serde(deserialize_with = "or_default")]
    pub attach_stderr: bool,
    /// `NAME=value`; a bare `NAME` removes the image's.
    pub env: Option<Vec<String>>,
    /// Arguments; `None` takes the image's.
    #[serde(deserialize_with = "words")]
    pub cmd: Option<Vec<String>>,
    /// The program; `None` takes the image's, `[""]` clears it.
    #[serde(deserialize_with = "words")]
    pub entrypoint: Option<Vec<String>>,
    /// Absolute. Empty: the image's, or `/`.
    #[serde(deserialize_with = "or_default")]
    pub working_dir: String,
    /// The user's labels; the image's come beneath.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// A name or number; `None`: the image's, or SIGTERM.
    pub stop_signal: Option<String>,
    /// Seconds from the stop signal to SIGKILL.
    pub stop_timeout: Option<i64>,
    /// How its health is checked; on top of the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The rest, judged by name.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Docker's `HostConfig`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// Remove the container when it exits.
    #[serde(deserialize_with = "or_default")]
    pub auto_remove: bool,
    /// `default`, `bridge` or `none`.
    #[serde(deserialize_with = "or_default")]
    pub network_mode: String,
    /// Bytes; 0 is the default.
    #[serde(deserialize_with = "or_default")]
    pub memory: i64,
    /// Billionths of a CPU; 0 is no limit.
    #[serde(deserialize_with = "or_default")]
    pub nano_cpus: i64,
    /// Processes and threads; 0, -1 or `None` is no limit.
    pub pids_limit: Option<i64>,
    /// Root filesystem mounted read-only.
    #[serde(deserialize_with = "or_default")]
    pub readonly_rootfs: bool,
    /// A small init as PID 1.
    pub init: Option<bool>,
    /// Capabilities added to the default set.
    #[serde(deserialize_with = "or_default")]
    pub cap_add: Option<Vec<String>>,
    /// Capabilities taken from it.
    #[serde(deserialize_with = "or_default")]
    pub cap_drop: Option<Vec<String>>,
    /// Additional groups.
    pub group_add: Option<Vec<String>>,
    /// `name:address` lines for `/etc/hosts`.
    pub extra_hosts: Option<Vec<String>>,
    /// Name servers for `/etc/resolv.conf`.
    pub dns: Option<Vec<String>>,
    /// Its `options` line.
    pub dns_options: Option<Vec<String>>,
    /// Its `search` line.
    pub dns_search: Option<Vec<String>>,
    /// Rows and columns of the client's terminal.
    #[serde(deserialize_with = "or_default")]
    pub console_size: [u16; 2],
    /// Every capability; no masked paths.
    #[serde(deserialize_with = "or_default")]
    pub privileged: bool,
    /// Kernel parameters of the guest.
    #[serde(deserialize_with = "or_default")]
    pub sysctls: BTreeMap<String, String>,
    /// tmpfs mounts: path to options.
    #[serde(deserialize_with = "or_default")]
    pub tmpfs: BTreeMap<String, String>,
    /// Resource limits.
    #[serde(deserialize_with = "or_default")]
    pub ulimits: Vec<Ulimit>,
    /// `no-new-privileges` and the like.
    pub security_opt: Option<Vec<String>>,
    /// Size of `/dev/shm`; 0 is 64 MiB.
    #[serde(deserialize_with = "or_default")]
    pub shm_size: i64,
    /// `json-file`.
    #[serde(deserialize_with = "or_default")]
    pub log_config: LogConfig,
    /// When to start it again.
    #[serde(deserialize_with = "or_default")]
    pub restart_policy: RestartPolicy,
    /// Paths hidden; `None` is the usual set.
    pub masked_paths: Option<Vec<String>>,
    /// Paths mounted read-only; `None` is the usual set.
    pub readonly_paths: Option<Vec<String>>,
    /// The rest, judged by name.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One resource limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ulimit {
    /// Such as `nofile`.
    pub name: String,
    /// What applies.
    pub soft: i64,
    /// How far it may be raised.
    pub hard: i64,
}

/// A log driver and its options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LogConfig {
    /// Empty or `json-file`.
    pub r#type: String,
    /// `max-size`, `max-file`, …
    #[serde(deserialize_with = "or_default")]
    pub config: BTreeMap<String, String>,
}

/// When to start a container again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// Empty, `no`, `always`, `unless-stopped`, `on-failure`.
    pub name: String,
    /// For `on-failure`.
    pub maximum_retry_count: i64,
}

/// Go clients send `null` for what is empty.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    d: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(d).map(Option::unwrap_or_default)
}

/// A list, or one string that stands for a list of itself, as Docker's `StrSlice`.
fn words<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::<Words>::deserialize(d)?.map(|w| match w {
        Words::One(s) => vec![s],
        Words::Many(v) => v,
    }))
}
