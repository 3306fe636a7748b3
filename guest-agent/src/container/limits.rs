//! What a process may: resource limits and capabilities of the runtime specification, in the
//! kernel's terms.

use crate::spec;

/// What the kernel has no name for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitError {
    #[error("unknown capability {0:?}")]
    Capability(String),
    #[error("unknown resource limit {0:?}")]
    Rlimit(String),
}

/// The five sets, one bit for each capability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CapabilitySets {
    pub(crate) bounding: u64,
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
    pub(crate) ambient: u64,
}

/// How many capabilities may ever exist: the sets are 64 bits wide.
pub(crate) const CAPABILITIES: u32 = 64;

impl CapabilitySets {
    /// The sets of a specification.
    pub(crate) fn of(names: &spec::Capabilities) -> Result<Self, LimitError> {
        Ok(Self {
            bounding: bits(&names.bounding)?,
            effective: bits(&names.effective)?,
            permitted: bits(&names.permitted)?,
            inheritable: bits(&names.inheritable)?,
            ambient: bits(&names.ambient)?,
        })
    }

    /// Everything the kernel has, for a privileged exec.
    pub(crate) fn all() -> Self {
        Self {
            bounding: u64::MAX,
            effective: u64::MAX,
            permitted: u64::MAX,
            ..Self::default()
        }
    }
}

fn bits(names: &[String]) -> Result<u64, LimitError> {
    let mut bits = 0;
    for name in names {
        let number = name.strip_prefix("CAP_").and_then(number);
        bits |= 1 << number.ok_or_else(|| LimitError::Capability(name.clone()))?;
    }
    Ok(bits)
}

/// In the order of the kernel's numbers.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The kernel's number of a capability, from its name without `CAP_`.
fn number(name: &str) -> Option<usize> {
    NAMES.iter().position(|n| *n == name)
}

/// One limit as `setrlimit` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rlimit {
    pub(crate) name: &'static str,
    pub(crate) resource: libc::__rlimit_resource_t,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

impl Rlimit {
    pub(crate) fn of(limit: &spec::Rlimit) -> Result<Self, LimitError> {
        let known = RESOURCES.iter().find(|(name, _)| *name == limit.kind);
        let &(name, resource) = known.ok_or_else(|| LimitError::Rlimit(limit.kind.clone()))?;
        Ok(Self {
            name,
            resource,
            soft: limit.soft,
            hard: limit.hard,
        })
    }
}

const RESOURCES: [(&str, libc::__rlimit_resource_t); 16] = [
    ("RLIMIT_CPU", libc::RLIMIT_CPU),
    ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE),
    ("RLIMIT_DATA", libc::RLIMIT_DATA),
    ("RLIMIT_STACK", libc::RLIMIT_STACK),
    ("RLIMIT_CORE", libc::RLIMIT_CORE),
    ("RLIMIT_RSS", libc::RLIMIT_RSS),
    ("RLIMIT_NPROC", libc::RLIMIT_NPROC),
    ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE),
    ("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK),
    ("RLIMIT_AS", libc::RLIMIT_AS),
    ("RLIMIT_LOCKS", libc::RLIMIT_LOCKS),
    ("RLIMIT_SIGPENDING", libc::RLIMIT_SIGPENDING),
    ("RLIMIT_MSGQUEUE", libc::RLIMIT_MSGQUEUE),
    ("RLIMIT_NICE", libc::RLIMIT_NICE),
    ("RLIMIT_RTPRIO", libc::RLIMIT_RTPRIO),
    ("RLIMIT_RTTIME", libc::RLIMIT_RTTIME),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize as _;

    fn sets(json: &serde_json::Value) -> Result<CapabilitySets, LimitError> {
        let names = spec::Capabilities::deserialize(json).unwrap();
        CapabilitySets::of(&names)
    }

    #[test]
    fn capabilities_have_the_kernels_numbers() {
        let sets = sets(&serde_json::json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE"],
            "permitted": ["CAP_SYS_ADMIN"],
        }))
        .unwrap();
        assert_eq!(sets.bounding, 1 | 1 << 5 | 1 << 40);
        assert_eq!(sets.permitted, 1 << 21);
        assert_eq!(sets.ambient, 0);
    }

    #[test]
    fn every_capability_of_the_specification_has_its_own_bit() {
        let names: Vec<String> = NAMES.iter().map(|n| format!("CAP_{n}")).collect();
        let sets = sets(&serde_json::json!({ "bounding": names })).unwrap();
        assert_eq!(sets.bounding, (1 << 41) - 1);
    }

    #[test]
    fn what_the_kernel_does_not_know_is_refused() {
        let unknown = sets(&serde_json::json!({ "ambient": ["CAP_FLY"] }));
        assert_eq!(unknown, Err(LimitError::Capability("CAP_FLY".into())));
        let limit = spec::Rlimit {
            kind: "RLIMIT_FUN".into(),
            soft: 1,
            hard: 1,
        };
        assert_eq!(
            Rlimit::of(&limit),
            Err(LimitError::Rlimit("RLIMIT_FUN".into()))
        );
    }
}
