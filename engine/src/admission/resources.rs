//! Judges what a container wants of the host: in Docker's words, and by what this host has.
//!
//! What is limited how is in [`crate::vm::Limits`]; here it is only said what cannot be.

use crate::api::HostConfig;
use crate::bytes::ByteSize;
use crate::container::rlimits;
use crate::error::EngineError;
use crate::vm::{HostFacts, IdList, LEAST_SCRATCH, MIN_MEMORY, MOST_VCPUS};

const NANOS: i64 = 1_000_000_000;
/// Microseconds.
const PERIODS: std::ops::RangeInclusive<i64> = 1000..=1_000_000;
/// Microseconds.
const LEAST_QUOTA: i64 = 1000;
/// The largest disk, in bytes: as `hulld --scratch-size` takes it.
const MOST_SCRATCH: u64 = 16 << 40;

/// Refuses what cannot be done.
pub(super) fn judge(host: &HostConfig, facts: &HostFacts) -> Result<(), EngineError> {
    memory(host)?;
    cpu(host, facts)?;
    block_io(host, facts)?;
    storage(host)?;
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        ));
    }
    if host.shm_size < 0 {
        return invalid("SHM size can not be less than 0");
    }
    for limit in &host.ulimits {
        let unlimited = limit.hard == -1;
        if !unlimited && (limit.soft == -1 || limit.soft > limit.hard) {
            return invalid(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                limit.soft, limit.hard
            ));
        }
    }
    rlimits(host)?;
    sysctls(host)
}

/// Forgets what Docker discards with control groups of version two, and says so.
pub(super) fn discard(host: &mut HostConfig, facts: &HostFacts) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |text: &str| warnings.push(text.to_owned());
    if host.memory_swap == -1 || host.memory_swap > host.memory {
        warn("Guests have no swap: memory is limited without swap.");
    }
    if host.oom_kill_disable.take() == Some(true) {
        warn("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
    }
    if host.memory_swappiness.take().is_some_and(|s| s != -1) {
        warn(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
        );
    }
    if host.blkio_weight > 0 && !facts.io_weights {
        host.blkio_weight = 0;
        warn(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
        );
    }
    warnings
}

fn invalid<T>(message: impl Into<String>) -> Result<T, EngineError> {
    Err(EngineError::Invalid(message.into()))
}

fn memory(host: &HostConfig) -> Result<(), EngineError> {
    let HostConfig {
        memory,
        memory_swap: swap,
        memory_reservation: reservation,
        ..
    } = *host;
    if memory < 0 || (memory > 0 && memory < MIN_MEMORY) {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    if memory > 0 && swap > 0 && swap < memory {
        return invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if memory == 0 && swap > 0 {
        return invalid(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    if let Some(swappiness) = host.memory_swappiness
        && !(-1..=100).contains(&swappiness)
    {
        return invalid(format!(
            "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        ));
    }
    if reservation < 0 || (reservation > 0 && reservation < MIN_MEMORY) {
        return invalid("Minimum memory reservation allowed is 6MB");
    }
    if memory > 0 && reservation > 0 && memory < reservation {
        return invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    Ok(())
}

fn cpu(host: &HostConfig, facts: &HostFacts) -> Result<(), EngineError> {
    if host.nano_cpus != 0 && host.cpu_period > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if host.nano_cpus != 0 && host.cpu_quota > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    let most = i64::try_from(MOST_VCPUS).unwrap_or(i64::MAX);
    let has = i64::try_from(facts.cpus.len()).unwrap_or(i64::MAX).max(1);
    if host.nano_cpus < 0 || host.nano_cpus > has.saturating_mul(NANOS) {
        return invalid(format!(
            "range of CPUs is from 0.01 to {has}.00, as there are only {has} CPUs available"
        ));
    }
    if host.nano_cpus > most * NANOS {
        return invalid("range of CPUs is from 0.01 to 32.00, as a guest has at most 32");
    }
    if host.cpu_shares < 0 {
        return invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            host.cpu_shares
        ));
    }
    if host.cpu_period != 0 && !PERIODS.contains(&host.cpu_period) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if host.cpu_quota > 0 && host.cpu_quota < LEAST_QUOTA {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    let sets = [
        ("cpuset cpus", "CPUs", &host.cpuset_cpus, &facts.cpus),
        (
            "cpuset mems",
            "memory nodes",
            &host.cpuset_mems,
            &facts.nodes,
        ),
    ];
    for (field, what, asked, available) in sets {
        let Ok(list) = asked.parse::<IdList>() else {
            return invalid(format!(
                "Invalid value {asked} for {field}: invalid format: {asked}"
            ));
        };
        if !list.is_within(available) {
            return invalid(format!(
                "Requested {what} are not available - requested {asked}, available: {available}"
            ));
        }
        if list.len() > 0 && !facts.cpusets {
            return Err(EngineError::NoController(field, "cpuset"));
        }
    }
    Ok(())
}

fn block_io(host: &HostConfig, facts: &HostFacts) -> Result<(), EngineError> {
    if host.blkio_weight > 0 && !(10..=1000).contains(&host.blkio_weight) {
        return invalid("Range of blkio weight is from 10 to 1000");
    }
    let limits = [
        &host.blkio_device_read_bps,
        &host.blkio_device_write_bps,
        &host.blkio_device_read_iops,
        &host.blkio_device_write_iops,
    ];
    let mut devices = limits.iter().flat_map(|list| list.iter());
    if let Some(device) = devices.clone().find(|d| !d.path.starts_with('/')) {
        return invalid(format!("bad device path: {}", device.path));
    }
    if devices.next().is_some() && !facts.io_limits {
        return Err(EngineError::NoController("limits of devices", "io"));
    }
    Ok(())
}

fn storage(host: &HostConfig) -> Result<(), EngineError> {
    for (key, value) in &host.storage_opt {
        if key != "size" {
            return invalid(format!("Unknown option {key}"));
        }
        let size: ByteSize = match value.parse() {
            Ok(size) => size,
            Err(error) => return invalid(error.to_string()),
        };
        if !(LEAST_SCRATCH..=MOST_SCRATCH).contains(&size.0) {
            return invalid(format!(
                "invalid storage size {value}: the least is 32m, the most 16t"
            ));
        }
    }
    Ok(())
}

/// The kernel is the container's own, so any parameter is its to set; only the name has to be
/// one, as it becomes a path.
fn sysctls(host: &HostConfig) -> Result<(), EngineError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    for name in host.sysctls.keys() {
        let parts = name.split(['.', '/']);
        if name.is_empty() || !name.chars().all(plain) || parts.clone().any(str::is_empty) {
            return invalid(format!("invalid sysctl {name:?}"));
        }
    }
    Ok(())
}
