//! What an update makes of a container's limits and restart policy: pure. Zero and empty say
//! "as it was", as Docker's clients send them.

use crate::api::{Defaults, HostConfig};
use crate::vm::Limits;

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

fn take<N: Default + PartialEq>(new: &mut N, changed: N) {
    if changed != N::default() {
        *new = changed;
    }
}

/// The limits that a VM that is there gets instead of its own, or why it cannot have them.
pub(crate) fn live(
    old: &HostConfig,
    new: &HostConfig,
    defaults: &Defaults,
) -> Result<Option<Limits>, String> {
    let refused = |what: &str| {
        Err(format!(
            "{what} of a running virtual machine cannot be changed: stop the container first"
        ))
    };
    if old.memory != new.memory {
        return refused("the memory");
    }
    if old.pids_limit != new.pids_limit {
        return refused("the limit of processes");
    }
    let (before, after) = (Limits::of(old, defaults), Limits::of(new, defaults));
    Ok((before != after).then_some(after))
}

/// Whether a VM of so many CPUs can make use of its limits.
pub(crate) fn fits(limits: &Limits, vcpus: u8) -> Result<(), String> {
    match limits
        .quota
        .is_none_or(|quota| quota.cpus() <= u64::from(vcpus))
    {
        true => Ok(()),
        false => Err(format!(
            "the running virtual machine has {vcpus} CPUs: stop the container first"
        )),
    }
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
        assert_eq!(live(&old, &old, &Defaults::default()), Ok(None));
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
    fn a_running_vm_is_told_what_it_can_have_and_the_rest_is_refused() {
        let (old, defaults) = (HostConfig::default(), Defaults::default());
        for change in [
            json!({ "NanoCpus": 500_000_000 }),
            json!({ "CpuShares": 5 }),
            json!({ "MemoryReservation": 1 << 26 }),
        ] {
            let new = host(change);
            let limits = Limits::of(&new, &defaults);
            assert_eq!(live(&old, &new, &defaults), Ok(Some(limits)));
        }
        for change in [json!({ "Memory": 1 << 26 }), json!({ "PidsLimit": 5 })] {
            let why = live(&old, &host(change), &defaults).unwrap_err();
            assert!(why.ends_with("stop the container first"), "{why}");
        }
        let of = |nano: i64| Limits::of(&host(json!({ "NanoCpus": nano })), &defaults);
        assert_eq!(fits(&of(2_000_000_000), 2), Ok(()));
        assert!(fits(&of(2_000_100_000), 2).is_err());
        assert_eq!(fits(&of(0), 1), Ok(()));
    }
}
