//! What containers may use, and what they do use.

use std::fs;
use std::path::PathBuf;

use hull_tests::{Daemon, eventually};

/// The container's VM's control group.
fn group(hull: &Daemon, name: &str) -> PathBuf {
    let id = hull.hull(["inspect", "-f", "{{.Id}}", name]);
    PathBuf::from("/sys/fs/cgroup/hull").join(id.ok())
}

fn figure(hull: &Daemon, name: &str, field: &str) -> String {
    let format = format!("{{{{.{field}}}}}");
    let stats = hull.hull(["stats", "--no-stream", "--format", &format, name]);
    stats.ok().to_owned()
}

#[test]
fn a_container_at_work_has_figures_by_either_command_line() {
    let hull = Daemon::with_busybox();
    hull.hull(["create", "--name", "idle", "busybox", "true"])
        .ok();
    let work = "dd if=/dev/zero of=/file bs=1M count=8 && sync && while :; do :; done";
    let run = [
        "run",
        "-d",
        "--name",
        "busy",
        "-m",
        "64m",
        "--pids-limit",
        "50",
    ];
    hull.hull(run.into_iter().chain(["busybox", "sh", "-c", work]))
        .ok();
    eventually("it has written and works", || {
        let used = figure(&hull, "busy", "CPUPerc");
        let written = figure(&hull, "busy", "BlockIO");
        used != "0.00%" && written.ends_with("MB")
    });
    assert_eq!(figure(&hull, "busy", "PIDs"), "1");
    let memory = figure(&hull, "busy", "MemUsage");
    assert!(memory.ends_with(" / 64MiB"), "{memory}");
    assert!(!memory.starts_with("0B"), "{memory}");
    assert_eq!(figure(&hull, "idle", "MemUsage"), "0B / 0B");
    // And so by docker, whose reading ours agrees with in all that does not move.
    let docker = [
        "stats",
        "--no-stream",
        "--format",
        "{{.Name}} {{.PIDs}} {{.NetIO}}",
    ];
    assert_eq!(hull.docker(docker).ok(), "busy 1 0B / 0B");
    let table = hull.docker(["stats", "--no-stream", "busy"]);
    assert!(table.ok().starts_with("CONTAINER ID   NAME"), "{table}");
    // What is held has the figures of before.
    hull.hull(["pause", "busy"]).ok();
    assert_eq!(figure(&hull, "busy", "PIDs"), "1");
    let sizes = hull.hull(["ps", "-s", "--format", "{{.Size}}"]);
    assert!(sizes.ok().contains("(virtual "), "{sizes}");
}

#[test]
fn limits_hold_in_the_guest_and_on_the_host() {
    let hull = Daemon::with_busybox();
    let run = [
        "run",
        "-d",
        "--name",
        "limited",
        "-m=64m",
        "--memory-reservation=32m",
        "--cpus=0.5",
        "--cpu-shares=512",
        "--cpuset-cpus=0",
        "--pids-limit=20",
        "--shm-size=1m",
        "--ulimit=nofile=64:64",
        "--sysctl=vm.swappiness=7",
        "--oom-score-adj=300",
        "--storage-opt=size=40m",
        "busybox",
        "sleep",
        "1000",
    ];
    hull.hull(run).ok();
    let inside = |script: &str| {
        let out = hull.hull(["exec", "limited", "sh", "-c", script]);
        out.stdout.trim().to_owned()
    };
    assert_eq!(inside("nproc"), "1");
    assert_eq!(inside("ulimit -n"), "64");
    assert_eq!(inside("cat /proc/sys/vm/swappiness"), "7");
    assert_eq!(inside("cat /proc/1/oom_score_adj"), "300");
    assert_eq!(inside("df -m /dev/shm | awk 'END { print $2 }'"), "1");
    assert_eq!(inside("cat /sys/fs/cgroup/memory.max"), "67108864");
    assert_eq!(inside("cat /sys/fs/cgroup/pids.max"), "20");
    // As much less, and more again, as the VM has room for.
    let update =
        |more: &[&str]| hull.hull(["update"].iter().chain(more).chain(&["limited"]).copied());
    update(&["-m=40m", "--pids-limit=15"]).ok();
    assert_eq!(inside("cat /sys/fs/cgroup/memory.max"), "41943040");
    assert_eq!(inside("cat /sys/fs/cgroup/pids.max"), "15");
    update(&["-m=64m", "--pids-limit=20"]).ok();
    assert_eq!(inside("cat /sys/fs/cgroup/memory.max"), "67108864");
    update(&["-m=65m"]).fails(1, "has room for 67108864 bytes of memory");
    let full = inside("dd if=/dev/zero of=/big bs=1M count=64 2>&1");
    assert!(full.contains("No space left on device"), "{full}");
    let forks = inside("for i in $(seq 30); do sleep 100 >/dev/null 2>&1 & done 2>&1");
    assert!(forks.contains("can't fork"), "{forks}");
    let group = group(&hull, "limited");
    let host = |file: &str| {
        let text = fs::read_to_string(group.join(file));
        text.map_err(|e| format!("{file}: {e}"))
            .map(|text| text.trim().to_owned())
    };
    assert_eq!(host("cpu.max"), Ok("50000 100000".into()));
    assert_eq!(host("cpu.weight"), Ok("20".into()));
    assert_eq!(host("cpuset.cpus"), Ok("0".into()));
    // What is reserved, and what the guest's kernel and the VMM take.
    assert_eq!(host("memory.low"), Ok((96 << 20).to_string()));
}

#[test]
fn devices_of_the_host_are_limited_for_the_whole_vm() {
    let hull = Daemon::with_busybox();
    let disk = fs::read_dir("/sys/block").unwrap().flatten().find_map(|e| {
        let name = e.file_name().into_string().ok()?;
        let virtual_ones = ["loop", "ram", "zram", "sr", "fd", "nbd"];
        let real = !virtual_ones.iter().any(|v| name.starts_with(v));
        real.then_some(name)
    });
    let limit = format!("/dev/{}:1mb", disk.expect("this host has a disk"));
    let run = ["run", "-d", "--name", "slow", "--device-write-bps", &limit];
    hull.hull(run.into_iter().chain(["busybox", "sleep", "1000"]))
        .ok();
    let limits = fs::read_to_string(group(&hull, "slow").join("io.max")).unwrap();
    assert!(limits.contains("wbps=1048576"), "{limits}");
    let none = [
        "run",
        "--device-write-bps",
        "/dev/nosuch:1mb",
        "busybox",
        "true",
    ];
    hull.hull(none).fails(125, "/dev/nosuch");
}

#[test]
fn what_cannot_be_had_is_refused_or_said() {
    let hull = Daemon::with_busybox();
    let create = |arguments: &[&str]| {
        let all = ["create"].iter().chain(arguments).chain(&["busybox"]);
        hull.hull(all.copied())
    };
    create(&["--cpuset-cpus=99"]).fails(1, "Requested CPUs are not available");
    create(&["--storage-opt=size=1m"]).fails(1, "the least is 32m");
    create(&["--blkio-weight=5"]).fails(1, "Range of blkio weight is from 10 to 1000");
    create(&["--cgroup-parent=/x"]).fails(125, "--cgroup-parent cannot be had with Hull");
    let by_docker = hull.docker(["create", "--cgroup-parent=/x", "busybox"]);
    by_docker.fails(1, "HostConfig.CgroupParent");
    let warned = create(&["--oom-kill-disable"]);
    assert!(
        warned.stderr.contains("OomKillDisable discarded"),
        "{warned}"
    );
    warned.ok();
}
