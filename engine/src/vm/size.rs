//! How large a VM is made for what a container asked for.
//!
//! `--memory` limits what the container's processes may use; the guest enforces that with a
//! cgroup of its own. The guest gets that and room for its kernel and agent, so that a limit means
//! the same as in Docker.

use crate::api::Defaults;

/// Docker's own lower bound for `--memory`, in bytes.
pub(crate) const MIN_MEMORY: i64 = 6 << 20;
/// What a guest's kernel, agent and page tables take besides.
const GUEST_OVERHEAD: u64 = 64 << 20;
const MIB: u64 = 1 << 20;
/// `hull-vmm` takes no more.
const MOST_MIB: u64 = 1 << 20;
pub(crate) const MOST_VCPUS: u64 = 32;

/// The guest's memory for a container's limit in bytes; 0 is no limit.
pub(crate) fn guest_memory_mib(limit: i64, defaults: &Defaults) -> u32 {
    let mib = match u64::try_from(limit) {
        Ok(0) | Err(_) => u64::from(defaults.memory_mib),
        Ok(limit) => limit.saturating_add(GUEST_OVERHEAD).div_ceil(MIB),
    };
    u32::try_from(mib.min(MOST_MIB)).unwrap_or(u32::MAX)
}

/// What a container may have, in bytes, of a guest that has so much memory.
pub(crate) fn memory_left(guest_mib: u32) -> u64 {
    (u64::from(guest_mib) * MIB).saturating_sub(GUEST_OVERHEAD)
}

/// A guest's CPUs, as near to so many as it can have.
pub(crate) fn vcpus(count: u64) -> u8 {
    u8::try_from(count.clamp(1, MOST_VCPUS)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_gets_room_for_the_guest_on_top() {
        let d = Defaults::default();
        assert_eq!(guest_memory_mib(0, &d), d.memory_mib);
        assert_eq!(guest_memory_mib(MIN_MEMORY, &d), 70);
        assert_eq!(guest_memory_mib((100 << 20) + 1, &d), 165);
        assert_eq!(memory_left(guest_memory_mib(100 << 20, &d)), 100 << 20);
        assert_eq!(guest_memory_mib(i64::MAX, &d), 1 << 20);
    }

    #[test]
    fn a_guest_has_one_cpu_at_least_and_32_at_most() {
        assert_eq!(
            [0, 1, 2, 32, 33, u64::MAX].map(vcpus),
            [1, 1, 2, 32, 32, 32]
        );
    }
}
