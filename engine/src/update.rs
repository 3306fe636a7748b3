//! What an update makes of a container's limits and restart policy: pure. Zero and empty say
//! "as it was", as Docker's clients send them.

use crate::api::HostConfig;

/// What a VM that is there already has to be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// Billionths of a CPU.
    pub(crate) nano_cpus: Option<i64>,
}

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
    if changes.memory != 0 {
        new.memory = changes.memory;
    }
    if changes.nano_cpus != 0 {
        new.nano_cpus = changes.nano_cpus;
    }
    if changes.pids_limit.is_some() {
        new.pids_limit = changes.pids_limit;
    }
    // Guests have no swap: these are kept to be shown.
    for field in ["MemorySwap", "MemorySwappiness"] {
        if let Some(value) = changes.other.get(field)
            && value.as_i64().is_some_and(|n| n != 0)
        {
            new.other.insert(field.to_owned(), value.clone());
        }
    }
    Ok(new)
}

/// What of it concerns a VM that is there, or why that VM cannot have it.
pub(crate) fn live(old: &HostConfig, new: &HostConfig) -> Result<Live, String> {
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
    Ok(Live {
        nano_cpus: (old.nano_cpus != new.nano_cpus).then_some(new.nano_cpus),
    })
}

/// Whether a VM of so many CPUs can make use of a limit.
pub(crate) fn fits(nano_cpus: i64, vcpus: u8) -> Result<(), String> {
    match nano_cpus <= i64::from(vcpus).saturating_mul(1_000_000_000) {
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
        assert_eq!(live(&old, &old), Ok(Live::default()));
    }

    #[test]
    fn what_is_given_is_taken() {
        let changes = json!({
            "Memory": 1 << 26, "NanoCpus": 9, "PidsLimit": -1, "MemorySwap": 1 << 26,
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
        let old = HostConfig::default();
        let cpus = host(json!({ "NanoCpus": 500_000_000 }));
        let nano_cpus = Some(500_000_000);
        assert_eq!(live(&old, &cpus), Ok(Live { nano_cpus }));
        for change in [json!({ "Memory": 1 << 26 }), json!({ "PidsLimit": 5 })] {
            let why = live(&old, &host(change)).unwrap_err();
            assert!(why.ends_with("stop the container first"), "{why}");
        }
        assert_eq!(fits(2_000_000_000, 2), Ok(()));
        assert!(fits(2_000_000_001, 2).is_err());
    }
}
