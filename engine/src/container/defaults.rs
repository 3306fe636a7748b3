//! What a container gets that nobody asked for, told by `inspect` as if somebody had: people and
//! tools read there how a container is kept apart.

use crate::api::HostConfig;

/// Docker's size of `/dev/shm`.
const SHM_SIZE: i64 = 64 << 20;

/// Fields that are true of every container, whether they were asked for or not: it has a machine of
/// its own, and namespaces of its own in there. The runtime is named as `info` names it.
const OWN: [(&str, &str); 3] = [
    ("IpcMode", "private"),
    ("CgroupnsMode", "private"),
    ("Runtime", "hull"),
];

const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

const READONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Fills in what was left open.
pub(super) fn fill(host: &mut HostConfig) {
    if host.network_mode.is_empty() || host.network_mode == "default" {
        host.network_mode = "bridge".to_owned();
    }
    if host.restart_policy.name.is_empty() {
        host.restart_policy.name = "no".to_owned();
    }
    if host.shm_size == 0 {
        host.shm_size = SHM_SIZE;
    }
    // Zero and less are no limit, which is told as none.
    host.pids_limit = host.pids_limit.filter(|limit| *limit > 0);
    for (field, own) in OWN {
        let given = host.other.get(field).and_then(|value| value.as_str());
        if given.is_none_or(str::is_empty) {
            host.other.insert(field.to_owned(), own.into());
        }
    }
    host.masked_paths = masked(host);
    host.readonly_paths = readonly(host);
}

/// The paths that a container does not see; nothing is hidden from the privileged.
pub(super) fn masked(host: &HostConfig) -> Option<Vec<String>> {
    paths(host, host.masked_paths.as_ref(), &MASKED)
}

/// The paths that it cannot write to, likewise.
pub(super) fn readonly(host: &HostConfig) -> Option<Vec<String>> {
    paths(host, host.readonly_paths.as_ref(), &READONLY)
}

fn paths(host: &HostConfig, given: Option<&Vec<String>>, usual: &[&str]) -> Option<Vec<String>> {
    let usual = || usual.iter().map(|path| (*path).to_owned()).collect();
    (!host.privileged).then(|| given.cloned().unwrap_or_else(usual))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn filled(given: Value) -> HostConfig {
        let mut host = serde_json::from_value(given).unwrap();
        fill(&mut host);
        host
    }

    #[test]
    fn what_is_left_open_is_told() {
        let host = filled(json!({ "IpcMode": "", "NetworkMode": "default", "PidsLimit": 0 }));
        assert_eq!(host.network_mode, "bridge");
        assert_eq!(host.restart_policy.name, "no");
        assert_eq!(host.pids_limit, None);
        for (field, own) in OWN {
            assert_eq!(host.other[field], own);
        }
        assert_eq!(host.masked_paths.unwrap().len(), MASKED.len());
        assert_eq!(host.readonly_paths.unwrap().len(), READONLY.len());
    }

    #[test]
    fn what_was_asked_for_stays() {
        let host = filled(json!({
            "IpcMode": "shareable", "Runtime": "runc", "MaskedPaths": ["/x"], "ReadonlyPaths": [],
            "ShmSize": 1, "PidsLimit": 5, "RestartPolicy": { "Name": "always" },
        }));
        assert_eq!(host.other["IpcMode"], "shareable");
        assert_eq!(host.other["Runtime"], "runc");
        assert_eq!(host.masked_paths, Some(vec!["/x".to_owned()]));
        assert_eq!(host.readonly_paths, Some(Vec::new()));
        assert_eq!((host.shm_size, host.pids_limit), (1, Some(5)));
        assert_eq!(host.restart_policy.name, "always");
    }

    #[test]
    fn nothing_is_hidden_from_the_privileged() {
        let host = filled(json!({ "Privileged": true, "MaskedPaths": ["/x"] }));
        assert_eq!((host.masked_paths, host.readonly_paths), (None, None));
    }
}
