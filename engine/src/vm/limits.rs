//! What a container's limits mean for its VM and the VM's control group on the host. Pure.
//!
//! ```text
//!  --memory            size of the guest; the container's own group in it has the limit itself
//!  --cpus, --cpu-quota how many vCPUs; quota of the VM's group
//!  --cpuset-*          host CPUs and nodes that the VM's threads may use, and so how many vCPUs
//!  --cpu-shares, --blkio-weight, --memory-reservation
//!                      how the VM fares beside others
//!  --device-*-bps      how fast the VM may read and write a device of the host
//!  --storage-opt size  the scratch disk
//! ```

use std::path::PathBuf;

use super::id_list::IdList;
use super::size::{guest_memory_mib, vcpus};
use crate::api::{Defaults, HostConfig, ThrottleDevice};

/// What a guest's kernel and the VMM take besides what a container reserves.
const OVERHEAD: u64 = 64 << 20;
const NANOS_PER_MICRO: i64 = 1000;
/// Docker's period where there is none given, in microseconds.
const PERIOD: u64 = 100_000;
/// The kernel takes no less, in microseconds.
const LEAST_QUOTA: u64 = 1000;

/// Limits of one VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) memory_mib: u32,
    pub(crate) vcpus: u8,
    /// Bytes that the host leaves it before it takes from others.
    pub(crate) reservation: u64,
    pub(crate) quota: Option<Quota>,
    /// `cpu.weight`.
    pub(crate) weight: Option<u64>,
    /// CPUs of the host; empty is any.
    pub(crate) cpus: IdList,
    /// Memory nodes of the host; empty is any.
    pub(crate) nodes: IdList,
    /// Docker's 10 to 1000.
    pub(crate) io_weight: Option<u16>,
    pub(crate) throttles: Vec<Throttle>,
    /// Bytes of its disk.
    pub(crate) scratch_bytes: u64,
}

/// So many microseconds in each period of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) micros: u64,
    pub(crate) period: u64,
}

/// The most that may go to or from a device in a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Throttle {
    pub(crate) device: PathBuf,
    pub(crate) what: Flow,
    pub(crate) rate: u64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    ReadBytes,
    WriteBytes,
    Reads,
    Writes,
}

impl Flow {
    /// The kernel's name.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::ReadBytes => "rbps",
            Self::WriteBytes => "wbps",
            Self::Reads => "riops",
            Self::Writes => "wiops",
        }
    }
}

impl Limits {
    /// Of what was admitted: what is malformed counts as not given.
    pub(crate) fn of(host: &HostConfig, defaults: &Defaults) -> Self {
        let list = |text: &str| text.parse::<IdList>().unwrap_or_default();
        let (cpus, nodes) = (list(&host.cpuset_cpus), list(&host.cpuset_mems));
        let quota = Quota::of(host);
        let count = match (quota, cpus.len()) {
            (Some(quota), _) => quota.cpus(),
            (None, 0) => u64::from(defaults.vcpus),
            (None, count) => u64::try_from(count).unwrap_or(u64::MAX),
        };
        let reservation = u64::try_from(host.memory_reservation).unwrap_or(0);
        Self {
            memory_mib: guest_memory_mib(host.memory, defaults),
            vcpus: vcpus(count),
            reservation: match reservation {
                0 => 0,
                bytes => bytes.saturating_add(OVERHEAD),
            },
            quota,
            weight: weight(host.cpu_shares),
            cpus,
            nodes,
            io_weight: Some(host.blkio_weight).filter(|w| *w > 0),
            throttles: throttles(host),
            scratch_bytes: host.scratch_bytes().unwrap_or(defaults.scratch_bytes),
        }
    }
}

impl Quota {
    /// From `--cpus`, or from `--cpu-quota` and `--cpu-period`.
    pub(crate) fn of(host: &HostConfig) -> Option<Self> {
        let period = u64::try_from(host.cpu_period)
            .ok()
            .filter(|p| *p > 0)
            .unwrap_or(PERIOD);
        let (nanos, quota) = (host.nano_cpus, host.cpu_quota);
        let micros = match (nanos, quota) {
            // A billionth of a CPU is as many nanoseconds in a second; a period has a tenth.
            (1.., _) => u64::try_from(nanos / (10 * NANOS_PER_MICRO)).ok()?,
            (_, 1..) => u64::try_from(quota).ok()?,
            _ => return None,
        };
        Some(Self {
            micros: micros.max(LEAST_QUOTA),
            period,
        })
    }

    /// How many CPUs it takes to use it up.
    pub(crate) fn cpus(self) -> u64 {
        self.micros.div_ceil(self.period.max(1))
    }
}

/// The kernel's own mapping of 2..262144 shares to a weight of 1..10000.
fn weight(shares: i64) -> Option<u64> {
    let shares = u64::try_from(shares).ok().filter(|s| *s > 0)?;
    Some(1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142)
}

fn throttles(host: &HostConfig) -> Vec<Throttle> {
    let of = |what: Flow, devices: &[ThrottleDevice]| {
        let one = move |d: &ThrottleDevice| Throttle {
            device: PathBuf::from(&d.path),
            what,
            rate: d.rate,
        };
        devices.iter().map(one).collect::<Vec<_>>()
    };
    [
        of(Flow::ReadBytes, &host.blkio_device_read_bps),
        of(Flow::WriteBytes, &host.blkio_device_write_bps),
        of(Flow::Reads, &host.blkio_device_read_iops),
        of(Flow::Writes, &host.blkio_device_write_iops),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(host: serde_json::Value) -> Limits {
        let host: HostConfig = serde_json::from_value(host).unwrap();
        Limits::of(&host, &Defaults::default())
    }

    #[test]
    fn a_quota_says_how_many_vcpus_it_takes() {
        for (host, vcpus, quota) in [
            (serde_json::json!({}), 1, None),
            (
                serde_json::json!({ "NanoCpus": 500_000_000 }),
                1,
                Some((50_000, PERIOD)),
            ),
            (
                serde_json::json!({ "NanoCpus": 1_500_000_000 }),
                2,
                Some((150_000, PERIOD)),
            ),
            (
                serde_json::json!({ "NanoCpus": 1 }),
                1,
                Some((LEAST_QUOTA, PERIOD)),
            ),
            (
                serde_json::json!({ "CpuQuota": 50_000 }),
                1,
                Some((50_000, PERIOD)),
            ),
            (
                serde_json::json!({ "CpuQuota": 50_000, "CpuPeriod": 20_000 }),
                3,
                Some((50_000, 20_000)),
            ),
            // A period alone limits nothing.
            (serde_json::json!({ "CpuPeriod": 20_000 }), 1, None),
            (serde_json::json!({ "CpuQuota": -1 }), 1, None),
            (serde_json::json!({ "CpusetCpus": "0-2" }), 3, None),
            (
                serde_json::json!({ "CpusetCpus": "0-2", "NanoCpus": 1_000_000_000 }),
                1,
                Some((PERIOD, PERIOD)),
            ),
        ] {
            let limits = limits(host.clone());
            assert_eq!(limits.vcpus, vcpus, "{host}");
            assert_eq!(limits.quota.map(|q| (q.micros, q.period)), quota, "{host}");
        }
    }

    #[test]
    fn shares_become_a_weight() {
        let weight = |shares: i64| limits(serde_json::json!({ "CpuShares": shares })).weight;
        assert_eq!(weight(0), None);
        assert_eq!(weight(-5), None);
        assert_eq!(weight(1), Some(1));
        assert_eq!(weight(1024), Some(39));
        assert_eq!(weight(i64::MAX), Some(10_000));
    }

    #[test]
    fn devices_and_disks_have_limits() {
        let host = serde_json::json!({
            "BlkioDeviceReadBps": [{ "Path": "/dev/sda", "Rate": 1024 }],
            "BlkioDeviceWriteIOps": [{ "Path": "/dev/sdb", "Rate": 5 }],
            "StorageOpt": { "size": "64m" }, "MemoryReservation": 1 << 20,
        });
        let limits = limits(host);
        let shown: Vec<_> = limits
            .throttles
            .iter()
            .map(|t| (t.device.to_str().unwrap(), t.what.key(), t.rate))
            .collect();
        assert_eq!(
            shown,
            [("/dev/sda", "rbps", 1024), ("/dev/sdb", "wiops", 5)]
        );
        assert_eq!(limits.scratch_bytes, 64 << 20);
        assert_eq!(limits.reservation, (1 << 20) + OVERHEAD);
    }
}
