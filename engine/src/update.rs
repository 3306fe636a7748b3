//! What an update makes of a container's limits and restart policy: pure. Zero and empty say
//! "as it was", as Docker's clients send them.

use hull_protocol::agent as guest;

use crate::api::{Defaults, HostConfig};
use crate::vm::{Limits, memory_left};

/// The configuration after the changes, or why they cannot be.
pub(crate) fn merge(old: &HostConfig, changes: &HostConfig) -> Result<HostConfig, String> {
    let mut new = old.clone();
    let policy = &changes.restart_policy;
    if !policy.name.is_empty() {
        if old.auto_remove && policy.name != "no" {
            let why =
                "Restart policy cannot be updated because AutoRemove is enabled for the container";
            return Err(why.to_owned());
        }
        new.restart_policy = policy.clone();
    }
    conflicts(old, changes)?;
    take(&mut new.memory, changes.memory);
    take(&mut new.memory_reservation, changes.memory_reservation);
    take(&mut new.memory_swap, changes.memory_swap);
    take(&mut new.nano_cpus, changes.nano_cpus);
    take(&mut new.cpu_shares, changes.cpu_shares);
    take(&mut new.cpu_period, changes.cpu_period);
    take(&mut new.cpu_quota, changes.cpu_quota);
    take(&mut new.blkio_weight, changes.blkio_weight);
    let text = |new: &mut String, changed: &String| {
        if !changed.is_empty() {
            new.clone_from(changed);
        }
    };
    text(&mut new.cpuset_cpus, &changes.cpuset_cpus);
    text(&mut new.cpuset_mems, &changes.cpuset_mems);
    if changes.pids_limit.is_some() {
        new.pids_limit = changes.pids_limit;
    }
    Ok(new)
}

/// What was said once in one way is not said in another.
fn conflicts(old: &HostConfig, changes: &HostConfig) -> Result<(), String> {
    let (cpus, period, quota) = ("NanoCPUs", "CPU Period", "CPU Quota");
    for (new, changed, other, set) in [
        ("Nano CPUs", changes.nano_cpus, period, old.cpu_period),
        ("Nano CPUs", changes.nano_cpus, quota, old.cpu_quota),
        (period, changes.cpu_period, cpus, old.nano_cpus),
        (quota, changes.cpu_quota, cpus, old.nano_cpus),
    ] {
        if changed > 0 && set > 0 {
            return Err(format!(
                "Conflicting options: {new} cannot be updated as {other} has already been set"
            ));
        }
    }
    Ok(())
}

fn take<N: Default + PartialEq>(new: &mut N, changed: N) {
    if changed != N::default() {
        *new = changed;
    }
}

/// What a VM that is there gets instead of its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    /// On the host.
    pub(crate) host: Limits,
    /// In the guest.
    pub(crate) guest: guest::Limits,
}

/// Whether a VM that is there has to be told of the changes.
pub(crate) fn concerns_vm(old: &HostConfig, new: &HostConfig, defaults: &Defaults) -> bool {
    Limits::of(old, defaults) != Limits::of(new, defaults)
        || (old.memory, old.pids_limit) != (new.memory, new.pids_limit)
}

/// The limits that a VM of so much memory and so many CPUs gets, or why it cannot have them: it
/// stays as large as it was made.
pub(crate) fn live(
    old: &HostConfig,
    new: &HostConfig,
    defaults: &Defaults,
    (memory_mib, vcpus): (u32, u8),
) -> Result<Live, String> {
    let room = memory_left(memory_mib);
    if old.memory != new.memory && u64::try_from(new.memory).is_ok_and(|memory| memory > room) {
        return Err(format!(
            "the running virtual machine has room for {room} bytes of memory: stop the container first"
        ));
    }
    let limits = Limits::of(new, defaults);
    if limits
        .quota
        .is_some_and(|quota| quota.cpus() > u64::from(vcpus))
    {
        return Err(format!(
            "the running virtual machine has {vcpus} CPUs: stop the container first"
        ));
    }
    Ok(Live {
        // What it may use on the host goes by its size, whatever its container may use in it.
        host: Limits {
            memory_mib,
            ..limits
        },
        guest: guest::Limits {
            memory: (old.memory != new.memory).then_some(new.memory),
            pids: match (old.pids_limit, new.pids_limit) {
                (old, new) if old == new => None,
                (_, Some(limit @ 1..)) => Some(limit),
                _ => Some(-1),
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn host(json: serde_json::Value) -> HostConfig {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn zero_and_empty_change_nothing() {
        let old = host(json!({
            "Memory": 1 << 30, "NanoCpus": 5, "PidsLimit": 7, "MemorySwap": -1,
            "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 },
        }));
        let nothing = host(json!({
            "Memory": 0, "NanoCpus": 0, "PidsLimit": null, "MemorySwap": 0,
            "RestartPolicy": { "Name": "", "MaximumRetryCount": 0 },
        }));
        assert_eq!(merge(&old, &nothing), Ok(old.clone()));
        assert!(!concerns_vm(&old, &old, &Defaults::default()));
    }

    #[test]
    fn what_is_given_is_taken() {
        let changes = json!({
            "Memory": 1 << 26, "NanoCpus": 9, "PidsLimit": -1, "MemorySwap": 1 << 26,
            "MemoryReservation": 1 << 25, "CpuShares": 2, "CpuPeriod": 5000, "CpuQuota": 6000,
            "CpusetCpus": "0", "CpusetMems": "0", "BlkioWeight": 10,
            "RestartPolicy": { "Name": "always", "MaximumRetryCount": 0 },
        });
        let new = merge(&HostConfig::default(), &host(changes.clone())).unwrap();
        assert_eq!(new, host(changes));
    }

    #[test]
    fn a_container_that_removes_itself_is_not_started_again() {
        let old = host(json!({ "AutoRemove": true }));
        let policy = |name| merge(&old, &host(json!({ "RestartPolicy": { "Name": name } })));
        assert!(policy("always").unwrap_err().contains("AutoRemove"));
        assert!(policy("no").is_ok());
    }

    #[test]
    fn cpus_are_given_in_one_way() {
        let old = host(json!({ "NanoCpus": 5 }));
        assert_eq!(
            merge(&old, &host(json!({ "CpuQuota": 5000 }))).unwrap_err(),
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"
        );
        let old = host(json!({ "CpuPeriod": 5 }));
        assert_eq!(
            merge(&old, &host(json!({ "NanoCpus": 5 }))).unwrap_err(),
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set"
        );
    }

    #[test]
    fn a_running_vm_is_told_what_it_can_have_and_the_rest_is_refused() {
        let (old, defaults) = (HostConfig::default(), Defaults::default());
        let size = (defaults.memory_mib, 2);
        let change = |json| live(&old, &host(json), &defaults, size);
        for (asked, memory, pids) in [
            (json!({ "NanoCpus": 1_500_000_000 }), None, None),
            (json!({ "CpuShares": 5 }), None, None),
            (json!({ "Memory": 1 << 26 }), Some(1 << 26), None),
            (json!({ "Memory": 448 << 20 }), Some(448 << 20), None),
            (json!({ "PidsLimit": 5 }), None, Some(5)),
            (json!({ "PidsLimit": -1 }), None, Some(-1)),
        ] {
            let new = host(asked.clone());
            assert!(concerns_vm(&old, &new, &defaults), "{asked}");
            let expected = Live {
                host: Limits {
                    memory_mib: size.0,
                    ..Limits::of(&new, &defaults)
                },
                guest: guest::Limits { memory, pids },
            };
            assert_eq!(change(asked.clone()), Ok(expected), "{asked}");
        }
        assert_eq!(
            change(json!({ "Memory": (448 << 20) + 1 })).unwrap_err(),
            "the running virtual machine has room for 469762048 bytes of memory: stop the container first"
        );
        assert_eq!(
            change(json!({ "NanoCpus": 2_000_100_000_i64 })).unwrap_err(),
            "the running virtual machine has 2 CPUs: stop the container first"
        );
    }
}
