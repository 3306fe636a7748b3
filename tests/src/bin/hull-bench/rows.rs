//! What is measured of each engine.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use crate::engine::Engine;

const ROUNDS: usize = 5;
/// What an idle container runs: nothing, for a day.
const IDLE: [&str; 3] = ["busybox", "sleep", "100000"];

/// How much is made for the rows that need much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amounts {
    /// Containers that run at the same time.
    pub(crate) idle: usize,
    /// Containers that are listed.
    pub(crate) listed: usize,
    /// The log, and the file that is copied.
    pub(crate) mebibytes: u64,
}

/// Measures every row, and tells each when it is known.
pub(crate) fn measure(engine: &Engine, amounts: Amounts, mut tell: impl FnMut(&str, f64)) {
    let start = |words: &[&str]| {
        let words = [&["run"][..], engine.without_network(), words].concat();
        engine.run(&words)
    };
    tell(
        "run_rm_true_s",
        median(|| {
            start(&["--rm", "busybox", "true"]);
        }),
    );

    start(&[&["-d", "--name", "idle0"][..], &IDLE].concat());
    tell(
        "exec_true_s",
        median(|| {
            engine.run(&["exec", "idle0", "true"]);
        }),
    );

    logs(engine, &start, amounts.mebibytes, &mut tell);
    copies(engine, &start, amounts.mebibytes, &mut tell);

    let before = available_kib();
    for n in 1..=amounts.idle {
        start(&[&["-d", "--name", &format!("idle{n}")][..], &IDLE].concat());
    }
    let taken = before.saturating_sub(available_kib());
    tell("idle_kib", taken as f64 / amounts.idle as f64);
    for n in amounts.idle + 1..amounts.listed {
        engine.run(&[&["create", "--name", &format!("idle{n}")][..], &IDLE].concat());
    }
    tell(
        "ps_s",
        median(|| {
            let listed = engine.run(&["ps", "-aq"]);
            assert_eq!(listed.lines().count(), amounts.listed);
        }),
    );
    let names: Vec<String> = (0..amounts.listed).map(|n| format!("idle{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    engine.run(&[&["rm", "-f"][..], &names].concat());
}

/// Lines of 64 bytes, as many as `mebibytes` hold, are written by a container and read back.
fn logs(
    engine: &Engine,
    start: &dyn Fn(&[&str]) -> String,
    mebibytes: u64,
    tell: &mut dyn FnMut(&str, f64),
) {
    let script = format!(
        "yes 0123456789012345678901234567890123456789012345678901234567890123 | head -n {}",
        (mebibytes << 20) / 65
    );
    let started = Instant::now();
    start(&["-d", "--name", "diary", "busybox", "sh", "-c", &script]);
    engine.run(&["wait", "diary"]);
    tell("log_written_s", started.elapsed().as_secs_f64());
    tell(
        "logs_s",
        once(|| {
            let mut client = engine.client(&["logs", "diary"]);
            let status = client.stdout(Stdio::null()).stdin(Stdio::null()).status();
            assert!(status.expect("run the client").success(), "logs");
        }),
    );
    engine.run(&["rm", "diary"]);
}

/// A file of `mebibytes` is copied out of a container, and into it.
fn copies(
    engine: &Engine,
    start: &dyn Fn(&[&str]) -> String,
    mebibytes: u64,
    tell: &mut dyn FnMut(&str, f64),
) {
    let script = format!("dd if=/dev/urandom of=/file bs=1M count={mebibytes} 2>/dev/null");
    start(&["--name", "store", "busybox", "sh", "-c", &script]);
    let folder = tempfile::Builder::new()
        .tempdir_in(hull_tests::own_disk())
        .expect("make a folder");
    let file = folder.path().join("file");
    let file = file.to_str().expect("a plain name");
    tell(
        "copy_out_s",
        once(|| {
            engine.run(&["cp", "store:/file", file]);
        }),
    );
    let copied = fs::metadata(file).expect("the copy").len();
    assert_eq!(copied, mebibytes << 20);
    tell(
        "copy_in_s",
        once(|| {
            engine.run(&["cp", file, "store:/second"]);
        }),
    );
    engine.run(&["rm", "store"]);
}

fn once(step: impl FnOnce()) -> f64 {
    let started = Instant::now();
    step();
    started.elapsed().as_secs_f64()
}

/// The median of some rounds, after one that pays for what the host caches.
fn median(mut step: impl FnMut()) -> f64 {
    step();
    let mut seconds: Vec<f64> = (0..ROUNDS).map(|_| once(&mut step)).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[ROUNDS / 2]
}

/// The machine's memory that is still to be had.
fn available_kib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("read meminfo");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .expect("MemAvailable");
    let number = line.split_whitespace().next().expect("a number");
    number.parse().expect("a number")
}
