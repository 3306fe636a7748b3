//! The host's own counts.

use std::path::Path;

use hull_protocol::agent::Stats;

/// The kernel counts CPU time in these for programs.
const NANOS_PER_TICK: u64 = 10_000_000;
/// The fields of a line of `/proc/stat` that make up all of a CPU's time: user, nice, system,
/// idle, iowait, irq, softirq. Steal is another machine's, and guest time is in user already.
const FIELDS: usize = 7;

/// The time of all CPUs since boot, in nanoseconds, and how many they are.
pub(super) fn cpu_time() -> (u64, u32) {
    parse(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
}

/// What a VM's control group has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupCpu {
    pub(super) usage_us: u64,
    /// How many periods there were to give out its quota in.
    pub(super) periods: u64,
    /// In how many of them the quota was used up.
    pub(super) throttled: u64,
    /// How long it was then held.
    pub(super) throttled_us: u64,
}

/// `None` where there is no group.
pub(super) fn group_cpu(group: &Path) -> Option<GroupCpu> {
    let text = std::fs::read_to_string(group.join("cpu.stat")).ok()?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    Some(GroupCpu {
        usage_us: of("usage_usec ")?,
        periods: of("nr_periods ").unwrap_or(0),
        throttled: of("nr_throttled ").unwrap_or(0),
        throttled_us: of("throttled_usec ").unwrap_or(0),
    })
}

/// What a VM as a whole uses: for a container that is held and of which nothing is known.
pub(super) fn of_vm(group: &Path) -> Stats {
    let mut stats = Stats::default();
    stats.cpu.usage_us = group_cpu(group).unwrap_or_default().usage_us;
    let memory = std::fs::read_to_string(group.join("memory.current")).unwrap_or_default();
    stats.memory.usage = memory.trim().parse().unwrap_or(0);
    stats
}

fn parse(stat: &str) -> (u64, u32) {
    let mut ticks = 0_u64;
    let mut online = 0;
    for line in stat.lines().take_while(|line| line.starts_with("cpu")) {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("cpu") => {
                ticks = words
                    .take(FIELDS)
                    .filter_map(|word| word.parse::<u64>().ok())
                    .fold(0, u64::saturating_add);
            }
            _ => online += 1,
        }
    }
    (ticks.saturating_mul(NANOS_PER_TICK), online.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_cpus_are_summed_and_counted() {
        let stat = "cpu  1 2 3 4 5 6 7 800 900 0\ncpu0 1 2 3 4 5 6 7 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5\n";
        assert_eq!(parse(stat), (28 * NANOS_PER_TICK, 2));
        assert_eq!(parse(""), (0, 1));
    }

    #[test]
    fn a_groups_quota_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(group_cpu(dir.path()), None);
        let text = "usage_usec 7\nnr_periods 4\nnr_throttled 1\nthrottled_usec 9\n";
        std::fs::write(dir.path().join("cpu.stat"), text).unwrap();
        let counted = GroupCpu {
            usage_us: 7,
            periods: 4,
            throttled: 1,
            throttled_us: 9,
        };
        assert_eq!(group_cpu(dir.path()), Some(counted));
    }

    #[test]
    fn this_host_has_a_cpu_that_has_run() {
        let (time, online) = cpu_time();
        assert!(time > 0 && online > 0);
    }
}
