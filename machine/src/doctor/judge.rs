//! Judges facts about a host: pure, so that hosts can be made up.

use super::host::Facts;
use super::probe::Verdict;
use super::{Check, Need, Place, Report, Status};
use crate::parts;

/// Idmapped mounts, `openat2` and everything else that is asked of the host's kernel.
const MIN_KERNEL: (u32, u32) = (5, 15);

/// Controllers that hold a virtual machine to its limits.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Room for the state of a first image and container.
const MIN_DISK: u64 = 2 << 30;

pub(super) fn report(facts: &Facts) -> Report {
    let checks = vec![
        kernel(facts),
        cpu(facts),
        root(facts),
        kvm(facts),
        cgroup(facts),
        tun(facts),
        nftables(facts),
        overlay(facts),
        user_namespaces(facts),
        disk(facts),
        machine(facts),
    ];
    Report {
        place: place(&checks),
        checks,
    }
}

fn place(checks: &[Check]) -> Place {
    let lacks = |needs: &[Need]| {
        checks
            .iter()
            .any(|c| c.status == Status::Missing && needs.contains(&c.need))
    };
    // The machine is for a host whose KVM cannot run guests, not for one where it can and,
    // say, a module is missing: there the advice is worth more than a slow machine.
    let kvm = checks
        .iter()
        .any(|c| c.name == "KVM" && c.status == Status::Ok);
    match () {
        () if !lacks(&[Need::Always, Need::Host]) => Place::Host,
        () if !kvm && !lacks(&[Need::Always, Need::Machine]) => Place::Machine,
        () => Place::Nowhere,
    }
}

fn ok(name: &'static str, need: Need, found: impl Into<String>) -> Check {
    Check {
        name,
        status: Status::Ok,
        need,
        found: found.into(),
        advice: None,
    }
}

fn missing(
    name: &'static str,
    need: Need,
    found: impl Into<String>,
    advice: impl Into<String>,
) -> Check {
    Check {
        name,
        status: Status::Missing,
        need,
        found: found.into(),
        advice: Some(advice.into()),
    }
}

fn kernel(facts: &Facts) -> Check {
    let found = format!("Linux {}", facts.kernel);
    match release(&facts.kernel) {
        Some(release) if release >= MIN_KERNEL => ok("kernel", Need::Host, found),
        _ => {
            let (major, minor) = MIN_KERNEL;
            missing(
                "kernel",
                Need::Host,
                found,
                format!("install Linux {major}.{minor} or newer"),
            )
        }
    }
}

fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn cpu(facts: &Facts) -> Check {
    if facts.arch != "x86_64" {
        let advice = "run Hull on an x86-64 host: no other is supported yet";
        return missing("CPU", Need::Always, facts.arch, advice);
    }
    let flag = facts.cpu_virtualisation.unwrap_or("no vmx or svm flag");
    ok("CPU", Need::Always, format!("{}, {flag}", facts.cpu_model))
}

fn root(facts: &Facts) -> Check {
    if facts.root {
        return ok("root", Need::Always, "running as root");
    }
    missing(
        "root",
        Need::Always,
        "not running as root",
        "run hull and hulld as root",
    )
}

fn kvm(facts: &Facts) -> Check {
    let found = facts.kvm.to_string();
    let advice = match facts.kvm {
        Verdict::Works { .. } => return ok("KVM", Need::Host, found),
        Verdict::Missing => {
            "turn on virtualisation in the firmware (or nested virtualisation in the \
             hypervisor) and `modprobe kvm-intel` or `modprobe kvm-amd`"
        }
        Verdict::Denied => "run as root or as a member of the group that owns /dev/kvm",
        Verdict::Slow { .. } | Verdict::Incomplete { .. } | Verdict::Hangs => {
            "use hardware, or a hypervisor with real nested virtualisation; until then \
             Hull runs in its emulated machine"
        }
        Verdict::Unknown { .. } => "check `dmesg` for what KVM says",
    };
    missing("KVM", Need::Host, found, advice)
}

fn cgroup(facts: &Facts) -> Check {
    let Some(have) = &facts.cgroup_controllers else {
        let advice =
            "mount cgroup2 on /sys/fs/cgroup: boot with systemd.unified_cgroup_hierarchy=1";
        return missing(
            "cgroup v2",
            Need::Host,
            "no cgroup v2 on /sys/fs/cgroup",
            advice,
        );
    };
    let lacking: Vec<_> = CONTROLLERS
        .into_iter()
        .filter(|c| !have.iter().any(|h| h == c))
        .collect();
    if lacking.is_empty() {
        return ok(
            "cgroup v2",
            Need::Host,
            format!("controllers {}", have.join(" ")),
        );
    }
    let lacking = lacking.join(" ");
    let advice =
        format!("free the controllers {lacking} from cgroup v1, or boot with them enabled");
    missing(
        "cgroup v2",
        Need::Host,
        format!("no controllers {lacking}"),
        advice,
    )
}

fn tun(facts: &Facts) -> Check {
    match &facts.tun {
        Ok(()) => ok("TUN", Need::Host, "/dev/net/tun opens"),
        Err(error) => missing(
            "TUN",
            Need::Host,
            format!("/dev/net/tun: {error}"),
            "modprobe tun",
        ),
    }
}

fn nftables(facts: &Facts) -> Check {
    match &facts.nftables {
        Ok(()) => ok("nftables", Need::Host, "the kernel answers"),
        Err(error) => missing(
            "nftables",
            Need::Host,
            format!("the kernel answers: {error}"),
            "modprobe nf_tables, or a kernel with CONFIG_NF_TABLES; it takes CAP_NET_ADMIN to ask",
        ),
    }
}

fn overlay(facts: &Facts) -> Check {
    if facts.overlay {
        return ok("overlay", Need::Optional, "the kernel has overlayfs");
    }
    let advice = "modprobe overlay; Hull's guests bring their own";
    missing(
        "overlay",
        Need::Optional,
        "the kernel has no overlayfs",
        advice,
    )
}

fn user_namespaces(facts: &Facts) -> Check {
    const NAME: &str = "user namespaces";
    match facts.user_namespaces {
        Some(0) => {
            let advice = "sysctl user.max_user_namespaces=10000";
            missing(NAME, Need::Host, "turned off", advice)
        }
        Some(limit) => ok(NAME, Need::Host, format!("up to {limit}")),
        None => missing(
            NAME,
            Need::Host,
            "none",
            "install a kernel with CONFIG_USER_NS",
        ),
    }
}

fn disk(facts: &Facts) -> Check {
    let path = &facts.disk_path;
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    match facts.disk_free {
        Ok(free) if free >= MIN_DISK => ok(
            "disk",
            Need::Always,
            format!("{} free on {path}", gib(free)),
        ),
        Ok(free) => missing(
            "disk",
            Need::Always,
            format!("{} free on {path}", gib(free)),
            format!("make room: Hull needs {} to start with", gib(MIN_DISK)),
        ),
        Err(ref error) => missing(
            "disk",
            Need::Always,
            format!("{path}: {error}"),
            "check the data root's path",
        ),
    }
}

fn machine(facts: &Facts) -> Check {
    const NAME: &str = "emulated machine";
    if facts.machine_missing.is_empty() {
        return ok(
            NAME,
            Need::Machine,
            "QEMU, virtiofsd and a kernel are installed",
        );
    }
    let lacking: Vec<_> = facts.machine_missing.iter().map(|m| m.what).collect();
    let advice = parts::advice(&facts.machine_missing);
    missing(
        NAME,
        Need::Machine,
        format!("no {}", lacking.join(", ")),
        advice,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Missing;

    fn good() -> Facts {
        Facts {
            kernel: "6.1.0-28-amd64".into(),
            arch: "x86_64",
            cpu_model: "Some CPU".into(),
            cpu_virtualisation: Some("vmx"),
            kvm: Verdict::Works { mips: 3000.0 },
            root: true,
            cgroup_controllers: Some(vec!["cpu".into(), "memory".into(), "pids".into()]),
            tun: Ok(()),
            nftables: Ok(()),
            overlay: true,
            user_namespaces: Some(1000),
            disk_free: Ok(80 << 30),
            disk_path: "/var/lib".into(),
            machine_missing: vec![],
        }
    }

    /// What the report says of a good host with one thing changed.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Facts), place: Place, blocking: &[&str]) {
        let mut facts = good();
        change(&mut facts);
        let report = report(&facts);
        assert_eq!(report.place, place);
        let blocks: Vec<_> = report
            .checks
            .iter()
            .filter(|c| report.blocks(c))
            .map(|c| c.name)
            .collect();
        assert_eq!(blocks, blocking);
        for check in &report.checks {
            assert_eq!(
                check.status == Status::Missing,
                check.advice.is_some(),
                "{}",
                check.name
            );
        }
    }

    #[test]
    fn good_host_runs_guests_itself() {
        check(|_| {}, Place::Host, &[]);
        let no_machine = vec![Missing {
            what: "QEMU",
            package: "qemu-system-x86",
        }];
        check(|f| f.machine_missing = no_machine, Place::Host, &[]);
        check(|f| f.overlay = false, Place::Host, &[]);
    }

    #[test]
    fn host_without_working_kvm_uses_the_machine() {
        check(|f| f.kvm = Verdict::Missing, Place::Machine, &[]);
        check(|f| f.kvm = Verdict::Slow { mips: 3.6 }, Place::Machine, &[]);
        let bare = |f: &mut Facts| {
            f.kvm = Verdict::Incomplete {
                reason: "int3".into(),
            };
            f.cgroup_controllers = None;
            f.tun = Err("none".into());
        };
        check(bare, Place::Machine, &[]);
    }

    #[test]
    fn host_without_kvm_and_machine_runs_nothing() {
        let nothing = |f: &mut Facts| {
            f.kvm = Verdict::Missing;
            f.machine_missing = vec![Missing {
                what: "QEMU",
                package: "qemu-system-x86",
            }];
        };
        check(nothing, Place::Nowhere, &["KVM", "emulated machine"]);
    }

    #[test]
    fn fixable_host_is_told_what_to_fix() {
        check(
            |f| f.tun = Err("no such file".into()),
            Place::Nowhere,
            &["TUN"],
        );
        check(
            |f| f.nftables = Err("EINVAL".into()),
            Place::Nowhere,
            &["nftables"],
        );
        check(
            |f| f.user_namespaces = Some(0),
            Place::Nowhere,
            &["user namespaces"],
        );
        check(
            |f| f.cgroup_controllers = Some(vec![]),
            Place::Nowhere,
            &["cgroup v2"],
        );
        check(
            |f| f.kernel = "5.10.0-9".into(),
            Place::Nowhere,
            &["kernel"],
        );
        check(|f| f.disk_free = Ok(1 << 30), Place::Nowhere, &["disk"]);
        check(|f| f.root = false, Place::Nowhere, &["root"]);
        check(|f| f.arch = "aarch64", Place::Nowhere, &["CPU"]);
    }

    #[test]
    fn releases_compare_by_number() {
        assert_eq!(release("6.12.117+deb12-cloud-amd64"), Some((6, 12)));
        assert_eq!(release("5.15-rc1"), Some((5, 15)));
        assert_eq!(release("linux"), None);
    }
}
