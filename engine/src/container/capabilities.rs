//! Which capabilities a container gets: Docker's default set, and what was added and dropped.

use oci_spec::runtime::{Capabilities, Capability};

use crate::api::HostConfig;
use crate::error::EngineError;

const DEFAULT: [Capability; 14] = [
    Capability::AuditWrite,
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Mknod,
    Capability::NetBindService,
    Capability::NetRaw,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

const ALL: [Capability; 41] = [
    Capability::AuditControl,
    Capability::AuditRead,
    Capability::AuditWrite,
    Capability::BlockSuspend,
    Capability::Bpf,
    Capability::CheckpointRestore,
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::Kill,
    Capability::Lease,
    Capability::LinuxImmutable,
    Capability::MacAdmin,
    Capability::MacOverride,
    Capability::Mknod,
    Capability::NetAdmin,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetRaw,
    Capability::Perfmon,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysChroot,
    Capability::SysModule,
    Capability::SysNice,
    Capability::SysPacct,
    Capability::SysPtrace,
    Capability::SysRawio,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Syslog,
    Capability::WakeAlarm,
];

/// What the container's root may do.
pub(crate) fn allowed(host: &HostConfig) -> Result<Capabilities, EngineError> {
    if host.privileged {
        return Ok(ALL.into_iter().collect());
    }
    let names = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let (add, drop) = (names(&host.cap_add), names(&host.cap_drop));
    let is_all = |n: &String| n.eq_ignore_ascii_case("ALL");
    let mut set: Capabilities = match (add.iter().any(is_all), drop.iter().any(is_all)) {
        (true, _) => ALL.into_iter().collect(),
        (false, true) => Capabilities::new(),
        (false, false) => DEFAULT.into_iter().collect(),
    };
    for name in drop.iter().filter(|n| !is_all(n)) {
        set.remove(&parse("CapDrop", name)?);
    }
    for name in add.iter().filter(|n| !is_all(n)) {
        set.insert(parse("CapAdd", name)?);
    }
    Ok(set)
}

/// `NET_ADMIN`, `CAP_NET_ADMIN`, in any case, of a field.
fn parse(field: &str, name: &str) -> Result<Capability, EngineError> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let wanted = format!("CAP_{bare}");
    let known = ALL.into_iter().find(|c| {
        let text = c.to_string();
        text == wanted || text == bare
    });
    let unknown = || format!("invalid {field}: unknown capability: {wanted:?}");
    known.ok_or_else(|| EngineError::Invalid(unknown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(add: &[&str], drop: &[&str]) -> Result<usize, EngineError> {
        let list = |l: &[&str]| Some(l.iter().map(|s| (*s).to_owned()).collect());
        let host = HostConfig {
            cap_add: list(add),
            cap_drop: list(drop),
            ..HostConfig::default()
        };
        allowed(&host).map(|set| set.len())
    }

    #[test]
    fn added_and_dropped() {
        assert_eq!(with(&[], &[]).unwrap(), 14);
        assert_eq!(with(&["NET_ADMIN"], &["cap_mknod", "CHOWN"]).unwrap(), 13);
        assert_eq!(with(&["ALL"], &["mknod"]).unwrap(), 40);
        assert_eq!(with(&["chown"], &["all"]).unwrap(), 1);
        let refused = |result: Result<usize, EngineError>| result.unwrap_err().to_string();
        assert_eq!(
            refused(with(&["NoSuch"], &[])),
            "invalid CapAdd: unknown capability: \"CAP_NOSUCH\""
        );
        assert_eq!(
            refused(with(&[], &["cap_x"])),
            "invalid CapDrop: unknown capability: \"CAP_X\""
        );
    }
}
