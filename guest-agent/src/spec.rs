//! The parts of an OCI runtime specification that the agent acts on.
//!
//! The host sends a whole specification; this is what is read of it. The `oci-spec` crate would
//! read all of it, Windows and Solaris too, at more than a megabyte of every guest's memory. Field
//! names and meanings are those of the specification, and the tests read what that crate writes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hull_protocol::agent::Limits;
use serde::Deserialize;

/// A container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Spec {
    pub(crate) root: Option<Root>,
    pub(crate) process: Option<Process>,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) linux: Linux,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Root {
    pub(crate) readonly: bool,
}

/// Its first process.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Process {
    pub(crate) user: User,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) capabilities: Capabilities,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) no_new_privileges: bool,
    pub(crate) oom_score_adj: Option<i32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) umask: Option<u32>,
    pub(crate) additional_gids: Vec<u32>,
}

/// Names such as `CAP_CHOWN`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Capabilities {
    pub(crate) bounding: Vec<String>,
    pub(crate) effective: Vec<String>,
    pub(crate) permitted: Vec<String>,
    pub(crate) inheritable: Vec<String>,
    pub(crate) ambient: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Rlimit {
    /// Such as `RLIMIT_NOFILE`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Mount {
    pub(crate) destination: PathBuf,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) source: Option<String>,
    #[serde(default)]
    pub(crate) options: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Linux {
    pub(crate) devices: Vec<Device>,
    pub(crate) sysctl: BTreeMap<String, String>,
    pub(crate) resources: Resources,
    pub(crate) seccomp: Option<Seccomp>,
    pub(crate) masked_paths: Vec<String>,
    pub(crate) readonly_paths: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Device {
    pub(crate) path: PathBuf,
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) major: u32,
    #[serde(default)]
    pub(crate) minor: u32,
    pub(crate) file_mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Resources {
    pub(crate) memory: Memory,
    pub(crate) pids: Pids,
    pub(crate) cpu: Cpu,
}

impl From<Limits> for Resources {
    fn from(limits: Limits) -> Self {
        Self {
            memory: Memory {
                limit: limits.memory,
                ..Memory::default()
            },
            pids: Pids {
                limit: limits.pids.unwrap_or_default(),
            },
            ..Self::default()
        }
    }
}

/// Bytes; -1 for none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    pub(crate) limit: Option<i64>,
    pub(crate) reservation: Option<i64>,
    /// Memory and swap together.
    pub(crate) swap: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pids {
    pub(crate) limit: i64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cpu {
    pub(crate) quota: Option<i64>,
    pub(crate) period: Option<u64>,
    pub(crate) shares: Option<u64>,
    pub(crate) cpus: Option<String>,
}

/// A system call filter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seccomp {
    pub(crate) default_action: String,
    #[serde(default)]
    pub(crate) default_errno_ret: Option<u32>,
    #[serde(default)]
    pub(crate) architectures: Vec<String>,
    #[serde(default)]
    pub(crate) syscalls: Vec<Syscalls>,
}

/// What is done with calls of these names, if the arguments are these.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Syscalls {
    pub(crate) names: Vec<String>,
    pub(crate) action: String,
    #[serde(default)]
    pub(crate) errno_ret: Option<u32>,
    #[serde(default)]
    pub(crate) args: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Argument {
    pub(crate) index: usize,
    pub(crate) value: u64,
    #[serde(default)]
    pub(crate) value_two: Option<u64>,
    pub(crate) op: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_oci_spec_writes_is_read() {
        let full: oci_spec::runtime::Spec = serde_json::from_value(serde_json::json!({
            "ociVersion": "1.2.0",
            "root": {"path": "x", "readonly": true},
            "hostname": "h", "domainname": "d",
            "process": {
                "terminal": true, "user": {"uid": 1, "gid": 2, "umask": 63, "additionalGids": [3]},
                "args": ["a"], "env": ["E=1"], "cwd": "/w", "oomScoreAdj": 5,
                "capabilities": {"bounding": ["CAP_CHOWN"], "ambient": ["CAP_KILL"]},
                "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}],
                "noNewPrivileges": true
            },
            "mounts": [{"destination": "/t", "type": "tmpfs", "source": "s", "options": ["ro"]}],
            "linux": {
                "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 2,
                             "fileMode": 438, "uid": 0, "gid": 0}],
                "sysctl": {"net.core.somaxconn": "1"},
                "resources": {"memory": {"limit": 1, "reservation": 2, "swap": 3},
                              "pids": {"limit": 4},
                              "cpu": {"quota": 5, "period": 6, "shares": 7, "cpus": "0"}},
                "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
                            "architectures": ["SCMP_ARCH_X86_64"],
                            "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW",
                                "args": [{"index": 0, "value": 1, "valueTwo": 2,
                                          "op": "SCMP_CMP_MASKED_EQ"}]}]},
                "maskedPaths": ["/proc/keys"], "readonlyPaths": ["/proc/sys"]
            }
        }))
        .unwrap();
        let spec: Spec = serde_json::from_value(serde_json::to_value(&full).unwrap()).unwrap();
        assert!(spec.root.unwrap().readonly);
        assert_eq!(spec.hostname.as_deref(), Some("h"));
        assert_eq!(spec.domainname.as_deref(), Some("d"));
        let process = spec.process.unwrap();
        let user = &process.user;
        assert_eq!((user.uid, user.gid, user.umask), (1, 2, Some(63)));
        assert_eq!(user.additional_gids, [3]);
        assert_eq!(
            (process.args, process.env),
            (vec!["a".into()], vec!["E=1".into()])
        );
        assert_eq!(
            (process.cwd.as_str(), process.oom_score_adj),
            ("/w", Some(5))
        );
        assert!(process.no_new_privileges);
        assert_eq!(process.capabilities.bounding, ["CAP_CHOWN"]);
        assert_eq!(process.capabilities.ambient, ["CAP_KILL"]);
        let limit = &process.rlimits[0];
        assert_eq!(
            (limit.kind.as_str(), limit.soft, limit.hard),
            ("RLIMIT_NOFILE", 1, 2)
        );
        let mount = &spec.mounts[0];
        assert_eq!(mount.destination, PathBuf::from("/t"));
        assert_eq!(
            (mount.kind.as_deref(), mount.source.as_deref()),
            (Some("tmpfs"), Some("s"))
        );
        assert_eq!(mount.options, ["ro"]);
        let linux = spec.linux;
        let device = &linux.devices[0];
        assert_eq!(
            (device.kind.as_str(), device.major, device.minor),
            ("c", 1, 2)
        );
        assert_eq!((device.file_mode, device.uid), (Some(438), Some(0)));
        assert_eq!(linux.sysctl["net.core.somaxconn"], "1");
        let resources = &linux.resources;
        assert_eq!(resources.memory.limit, Some(1));
        assert_eq!(
            (resources.memory.reservation, resources.memory.swap),
            (Some(2), Some(3))
        );
        assert_eq!(resources.pids.limit, 4);
        assert_eq!(
            (resources.cpu.quota, resources.cpu.period),
            (Some(5), Some(6))
        );
        assert_eq!(resources.cpu.shares, Some(7));
        assert_eq!(resources.cpu.cpus.as_deref(), Some("0"));
        let seccomp = linux.seccomp.unwrap();
        assert_eq!(seccomp.default_action, "SCMP_ACT_ERRNO");
        assert_eq!(seccomp.default_errno_ret, Some(1));
        assert_eq!(seccomp.architectures, ["SCMP_ARCH_X86_64"]);
        let rule = &seccomp.syscalls[0];
        assert_eq!(
            (rule.names[0].as_str(), rule.action.as_str()),
            ("read", "SCMP_ACT_ALLOW")
        );
        let argument = &rule.args[0];
        assert_eq!(
            (argument.index, argument.value, argument.value_two),
            (0, 1, Some(2))
        );
        assert_eq!(argument.op, "SCMP_CMP_MASKED_EQ");
        assert_eq!(linux.masked_paths, ["/proc/keys"]);
        assert_eq!(linux.readonly_paths, ["/proc/sys"]);
    }
}
