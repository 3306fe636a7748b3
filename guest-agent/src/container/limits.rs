//! What a process may: resource limits and capabilities of the runtime specification, in the
//! kernel's terms.

use oci_spec::runtime::{Capabilities, LinuxCapabilities, PosixRlimit, PosixRlimitType};

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
    /// The sets of a specification; without one, none.
    pub(crate) fn of(capabilities: Option<&LinuxCapabilities>) -> Self {
        let Some(c) = capabilities else {
            return Self::default();
        };
        Self {
            bounding: bits(c.bounding().as_ref()),
            effective: bits(c.effective().as_ref()),
            permitted: bits(c.permitted().as_ref()),
            inheritable: bits(c.inheritable().as_ref()),
            ambient: bits(c.ambient().as_ref()),
        }
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

fn bits(set: Option<&Capabilities>) -> u64 {
    let numbers = set
        .into_iter()
        .flatten()
        .filter_map(|c| number(&c.to_string()));
    numbers.fold(0, |bits, n| bits | 1 << n)
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
    pub(crate) fn of(limit: &PosixRlimit) -> Self {
        let (name, resource) = match limit.typ() {
            PosixRlimitType::RlimitCpu => ("RLIMIT_CPU", libc::RLIMIT_CPU),
            PosixRlimitType::RlimitFsize => ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE),
            PosixRlimitType::RlimitData => ("RLIMIT_DATA", libc::RLIMIT_DATA),
            PosixRlimitType::RlimitStack => ("RLIMIT_STACK", libc::RLIMIT_STACK),
            PosixRlimitType::RlimitCore => ("RLIMIT_CORE", libc::RLIMIT_CORE),
            PosixRlimitType::RlimitRss => ("RLIMIT_RSS", libc::RLIMIT_RSS),
            PosixRlimitType::RlimitNproc => ("RLIMIT_NPROC", libc::RLIMIT_NPROC),
            PosixRlimitType::RlimitNofile => ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE),
            PosixRlimitType::RlimitMemlock => ("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK),
            PosixRlimitType::RlimitAs => ("RLIMIT_AS", libc::RLIMIT_AS),
            PosixRlimitType::RlimitLocks => ("RLIMIT_LOCKS", libc::RLIMIT_LOCKS),
            PosixRlimitType::RlimitSigpending => ("RLIMIT_SIGPENDING", libc::RLIMIT_SIGPENDING),
            PosixRlimitType::RlimitMsgqueue => ("RLIMIT_MSGQUEUE", libc::RLIMIT_MSGQUEUE),
            PosixRlimitType::RlimitNice => ("RLIMIT_NICE", libc::RLIMIT_NICE),
            PosixRlimitType::RlimitRtprio => ("RLIMIT_RTPRIO", libc::RLIMIT_RTPRIO),
            PosixRlimitType::RlimitRttime => ("RLIMIT_RTTIME", libc::RLIMIT_RTTIME),
        };
        Self {
            name,
            resource,
            soft: limit.soft(),
            hard: limit.hard(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(json: serde_json::Value) -> CapabilitySets {
        let spec: LinuxCapabilities = serde_json::from_value(json).unwrap();
        CapabilitySets::of(Some(&spec))
    }

    #[test]
    fn capabilities_have_the_kernels_numbers() {
        let sets = sets(serde_json::json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE"],
            "permitted": ["CAP_SYS_ADMIN"],
        }));
        assert_eq!(sets.bounding, 1 | 1 << 5 | 1 << 40);
        assert_eq!(sets.permitted, 1 << 21);
        assert_eq!(sets.ambient, 0);
    }

    #[test]
    fn every_capability_of_the_specification_has_its_own_bit() {
        let names: Vec<String> = NAMES.iter().map(|n| format!("CAP_{n}")).collect();
        let sets = sets(serde_json::json!({ "bounding": names }));
        assert_eq!(sets.bounding, (1 << 41) - 1);
    }

    #[test]
    fn without_a_specification_there_are_none() {
        assert_eq!(CapabilitySets::of(None), CapabilitySets::default());
    }
}
