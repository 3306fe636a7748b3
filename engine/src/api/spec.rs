//! What `create` is asked for: Docker's `Config` and `HostConfig`, by Docker's own JSON names.
//!
//! Fields this engine acts on are typed. Everything else a client sends lands in `other` and is
//! judged by [`crate::admission`]: nothing a user asked for is dropped in silence.

use std::collections::BTreeMap;

use hull_images::Healthcheck;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::bytes::ByteSize;

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
    /// Bytes that the host leaves it; 0 is none.
    #[serde(deserialize_with = "or_default")]
    pub memory_reservation: i64,
    /// Memory and swap, in bytes. A guest has no swap, so there is nothing to do for it.
    #[serde(deserialize_with = "or_default")]
    pub memory_swap: i64,
    /// Always discarded, as Docker does with control groups of version two.
    pub memory_swappiness: Option<i64>,
    /// Always discarded, as Docker does with control groups of version two.
    pub oom_kill_disable: Option<bool>,
    /// For the first process, -1000 to 1000.
    #[serde(deserialize_with = "or_default")]
    pub oom_score_adj: i64,
    /// The VM's weight beside others; 0 is the usual 1024.
    #[serde(deserialize_with = "or_default")]
    pub cpu_shares: i64,
    /// Microseconds; 0 is 100 ms.
    #[serde(deserialize_with = "or_default")]
    pub cpu_period: i64,
    /// Microseconds in each period; 0 and less is no limit.
    #[serde(deserialize_with = "or_default")]
    pub cpu_quota: i64,
    /// CPUs of the host, such as `0-3,7`.
    #[serde(deserialize_with = "or_default")]
    pub cpuset_cpus: String,
    /// Memory nodes of the host.
    #[serde(deserialize_with = "or_default")]
    pub cpuset_mems: String,
    /// The VM's weight beside others, 10 to 1000; 0 is the usual.
    #[serde(deserialize_with = "or_default")]
    pub blkio_weight: u16,
    /// Bytes read in a second from devices of the host.
    #[serde(deserialize_with = "or_default")]
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    /// Bytes written in a second.
    #[serde(deserialize_with = "or_default")]
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    /// Reads in a second.
    #[serde(rename = "BlkioDeviceReadIOps", deserialize_with = "or_default")]
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    /// Writes in a second.
    #[serde(rename = "BlkioDeviceWriteIOps", deserialize_with = "or_default")]
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    /// `size`: how much the container may write.
    #[serde(
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub storage_opt: BTreeMap<String, String>,
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
    /// The same in the newer form, and mounts of other kinds.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Resource limits.
    #[serde(deserialize_with = "or_default")]
    pub ulimits: Vec<Ulimit>,
    /// `no-new-privileges` and the like.
    pub security_opt: Option<Vec<String>>,
    /// Size of `/dev/shm`; 0 is 64 MiB.
    #[serde(deserialize_with = "or_default")]
    pub shm_size: i64,
    /// Where its output is kept, and how.
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

impl Config {
    /// The ports that it exposes, such as `80/tcp`.
    pub fn exposed_ports(&self) -> impl Iterator<Item = &str> {
        let ports = self.other.get("ExposedPorts").and_then(Value::as_object);
        ports.into_iter().flatten().map(|(port, _)| port.as_str())
    }
}

impl HostConfig {
    /// The size of the container's disk, where it says one.
    pub(crate) fn scratch_bytes(&self) -> Option<u64> {
        let size: ByteSize = self.storage_opt.get("size")?.parse().ok()?;
        Some(size.0)
    }
}

/// How fast a device of the host may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ThrottleDevice {
    /// Such as `/dev/sda`.
    pub path: String,
    /// In a second; 0 is no limit.
    pub rate: u64,
}

/// Something besides the image's files that a container sees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Mount {
    /// `tmpfs`; other kinds are refused.
    pub r#type: String,
    /// What is mounted. A tmpfs has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Where.
    pub target: String,
    /// Whether nothing can be written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Of a tmpfs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
    /// The rest, judged by name.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How a tmpfs is made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TmpfsOptions {
    /// The most it holds; 0 is half of the memory.
    #[serde(skip_serializing_if = "is_zero")]
    pub size_bytes: i64,
    /// Of its folder; 0 is 1777.
    #[serde(skip_serializing_if = "is_zero")]
    pub mode: u32,
    /// The rest, judged by name.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
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
    /// `json-file`, `local` or `none`; empty is the engine's default.
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
