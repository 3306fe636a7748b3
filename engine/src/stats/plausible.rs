//! What is kept of a guest's figures: names that the kernel has, numbers that can be.

use hull_protocol::agent::Stats;

use super::host::GroupCpu;
use crate::api::{CpuUsage, Defaults, DeviceUsage, HostConfig, MemoryUsage, Usage};
use crate::vm;

/// The kernel's most processes.
const MOST_PIDS: u64 = 1 << 22;
/// A guest has one disk, and devices that its own root makes.
const MOST_DEVICES: usize = 64;
const MIB: u64 = 1 << 20;

/// The names of `memory.stat` that Docker shows.
const MEMORY_NAMES: [&str; 31] = [
    "active_anon",
    "active_file",
    "anon",
    "anon_thp",
    "file",
    "file_dirty",
    "file_mapped",
    "file_writeback",
    "inactive_anon",
    "inactive_file",
    "kernel_stack",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pglazyfree",
    "pglazyfreed",
    "pgmajfault",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "shmem",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
];

/// What the host knows of a container's VM.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    memory: u64,
    pids_limit: Option<u64>,
    /// What its VM has used; `None` where nobody counts that.
    cpu: Option<GroupCpu>,
}

impl Bounds {
    pub(super) fn new(host: &HostConfig, defaults: &Defaults, cpu: Option<GroupCpu>) -> Self {
        let memory = match u64::try_from(host.memory) {
            Ok(limit @ 1..) => limit,
            _ => u64::from(vm::guest_memory_mib(host.memory, defaults)).saturating_mul(MIB),
        };
        let limit = host.pids_limit.and_then(|n| u64::try_from(n).ok());
        Self {
            memory,
            pids_limit: limit.filter(|n| *n > 0),
            cpu,
        }
    }

    /// The guest's figures, within them.
    pub(super) fn apply(&self, stats: Stats) -> Usage {
        let most = self.cpu.map_or(u64::MAX, |group| group.usage_us);
        let group = self.cpu.unwrap_or_default();
        // Both in one measure: nanoseconds of u64 last for 584 years.
        let nanos = |us: u64| us.min(most).saturating_mul(1000);
        let cpu = stats.cpu;
        let total = nanos(cpu.usage_us);
        let user = nanos(cpu.user_us).min(total);
        let Stats {
            memory, pids, io, ..
        } = stats;
        let mut stat = memory.stat;
        stat.retain(|name, _| MEMORY_NAMES.contains(&name.as_str()));
        for (name, value) in &mut stat {
            // The others count events, not bytes.
            let counts =
                name.starts_with("pg") || name.starts_with("thp") || name.starts_with("workingset");
            if !counts {
                *value = (*value).min(self.memory);
            }
        }
        let device = |d: hull_protocol::agent::IoStats| DeviceUsage {
            major: d.major,
            minor: d.minor,
            read: d.read_bytes,
            written: d.write_bytes,
        };
        Usage {
            cpu: CpuUsage {
                total,
                user,
                kernel: nanos(cpu.system_us).min(total - user),
                periods: group.periods,
                throttled_periods: group.throttled,
                throttled: group.throttled_us.saturating_mul(1000),
                ..CpuUsage::default()
            },
            memory: MemoryUsage {
                usage: memory.usage.min(self.memory),
                limit: self.memory,
                stats: stat,
            },
            pids: pids.current.min(self.pids_limit.unwrap_or(MOST_PIDS)),
            pids_limit: self.pids_limit,
            io: io.into_iter().take(MOST_DEVICES).map(device).collect(),
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use hull_protocol::agent::{CpuStats, IoStats, MemoryStats, PidsStats};

    use super::*;

    fn bounds(memory: i64, cpu_us: Option<u64>) -> Bounds {
        let host = HostConfig {
            memory,
            pids_limit: Some(20),
            ..HostConfig::default()
        };
        let cpu = cpu_us.map(|usage_us| GroupCpu {
            usage_us,
            throttled_us: 2,
            ..GroupCpu::default()
        });
        Bounds::new(&host, &Defaults::default(), cpu)
    }

    #[test]
    fn honest_figures_come_through() {
        let stats = Stats {
            cpu: CpuStats {
                usage_us: 5,
                user_us: 3,
                system_us: 2,
            },
            memory: MemoryStats {
                usage: 4096,
                stat: [("anon".into(), 4000), ("pgfault".into(), 7)].into(),
            },
            pids: PidsStats { current: 2 },
            io: vec![IoStats {
                major: 254,
                read_bytes: 512,
                ..IoStats::default()
            }],
        };
        let usage = bounds(64 << 20, Some(9)).apply(stats);
        assert_eq!(
            (usage.cpu.total, usage.cpu.user, usage.cpu.kernel),
            (5000, 3000, 2000)
        );
        assert_eq!((usage.memory.usage, usage.memory.limit), (4096, 64 << 20));
        assert_eq!(usage.memory.stats.len(), 2);
        assert_eq!(usage.cpu.throttled, 2000, "the host counts that");
        assert_eq!((usage.pids, usage.pids_limit), (2, Some(20)));
        assert_eq!((usage.io[0].major, usage.io[0].read), (254, 512));
    }

    #[test]
    fn a_lie_is_cut_to_what_the_host_knows() {
        let most = u64::MAX;
        let stats = Stats {
            cpu: CpuStats {
                usage_us: most,
                user_us: most,
                system_us: most,
            },
            memory: MemoryStats {
                usage: most,
                stat: [
                    ("anon".into(), most),
                    ("pgfault".into(), most),
                    ("../../etc".into(), 1),
                ]
                .into(),
            },
            pids: PidsStats { current: most },
            io: vec![IoStats::default(); 1000],
        };
        let usage = bounds(0, Some(8)).apply(stats.clone());
        assert_eq!(
            (usage.cpu.total, usage.cpu.user, usage.cpu.kernel),
            (8000, 8000, 0)
        );
        let vm = u64::from(Defaults::default().memory_mib) << 20;
        assert_eq!((usage.memory.usage, usage.memory.limit), (vm, vm));
        assert_eq!(usage.memory.stats["anon"], vm);
        assert_eq!(usage.memory.stats.len(), 2);
        assert_eq!((usage.pids, usage.io.len()), (20, MOST_DEVICES));
        // Where nobody counts, nothing overflows.
        assert_eq!(bounds(0, None).apply(stats).cpu.total, most);
    }
}
