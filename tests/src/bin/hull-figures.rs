//! Figures of a VM's start, for `cargo xtask bench`: run in a machine whose clock counts
//! instructions, they repeat; elsewhere they are times like any others.
//!
//! What is measured is seen from outside, by the kernel's own tracepoints: the `exec` of hull-vmm,
//! its first entry into the guest, and the byte by which the agent says that it listens.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hull_protocol::vmm::{Control, Jail};
use hull_tests::RawVm;

const TRACING: &str = "/sys/kernel/tracing";
const ROUNDS: usize = 5;
/// Of the guest, where the first argument says nothing else.
const MEMORY_MIB: u32 = 128;
const VM_UID: u32 = 0x7000_0000;

/// One start of a VM.
#[derive(Debug, Default, Clone, Copy)]
struct Start {
    /// Milliseconds from exec to the first entry into the guest.
    to_guest: f64,
    /// Milliseconds from there until the agent listens.
    to_agent: f64,
    /// KiB of memory that the process has for itself, without the guest's.
    own_kib: u64,
    /// KiB that the guest has touched.
    guest_kib: u64,
}

fn main() {
    let given = std::env::args().nth(1);
    let memory_mib = given.map_or(MEMORY_MIB, |mib| mib.parse().expect("memory in MiB"));
    let files = copy_to_memory();
    prepare_tracing();
    // The first one pays for what the host caches; it does not count.
    let starts: Vec<Start> = (0..=ROUNDS)
        .map(|_| measure(&files, memory_mib))
        .skip(1)
        .collect();
    let median = |value: fn(&Start) -> f64| {
        let mut all: Vec<f64> = starts.iter().map(value).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!("vmm_to_guest_ms {:.2}", median(|s| s.to_guest));
    println!("guest_to_agent_ms {:.2}", median(|s| s.to_agent));
    println!(
        "exec_to_agent_ms {:.2}",
        median(|s| s.to_guest + s.to_agent)
    );
    println!("vmm_private_kib {}", median(|s| s.own_kib as f64));
    println!("guest_private_kib {}", median(|s| s.guest_kib as f64));
    println!(
        "guest_small_pages_kib {}",
        with_small_pages(&files, memory_mib)
    );
}

/// KiB that a guest touches where the host has no huge pages: what it needs, without what the host
/// gives it besides.
fn with_small_pages(files: &Path, memory_mib: u32) -> u64 {
    let forbid = |no: libc::c_ulong| {
        // SAFETY: takes plain numbers. It holds for processes that this one starts, too.
        let done = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, no, 0, 0, 0) };
        assert_eq!(done, 0, "PR_SET_THP_DISABLE");
    };
    forbid(1);
    let start = measure(files, memory_mib);
    forbid(0);
    start.guest_kib
}

/// Puts what is measured where reading it costs no time: a machine's own files may be a share of
/// its host's, and an instruction-counted clock runs on while it waits for them.
fn copy_to_memory() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/hull");
    let files = PathBuf::from("/run/hull-figures");
    fs::create_dir_all(&files).expect("make a folder in /run");
    for file in ["bin/hull-vmm", "lib/vmlinux", "lib/initramfs"] {
        let from = built.join(file);
        let name = from.file_name().expect("a file name");
        fs::copy(&from, files.join(name)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    }
    files
}

fn prepare_tracing() {
    if !Path::new(TRACING).join("trace").exists() {
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tracefs", TRACING, "tracefs", flags, None).expect("mount tracefs");
    }
    set("trace_clock", "mono");
    set("buffer_size_kb", "4096");
    set("events/kvm/kvm_pio/filter", "port == 0x600");
    for event in ["sched/sched_process_exec", "kvm/kvm_entry", "kvm/kvm_pio"] {
        set(&format!("events/{event}/enable"), "1");
    }
    set("tracing_on", "0");
}

fn set(file: &str, value: &str) {
    let path = PathBuf::from(TRACING).join(file);
    fs::write(&path, value).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn measure(files: &Path, memory_mib: u32) -> Start {
    let mut vm = RawVm::with_files(&files.join("vmlinux"), &files.join("initramfs"));
    vm.program = files.join("hull-vmm");
    vm.config.memory_mib = memory_mib;
    vm.config.console = None;
    vm.config.jail = Some(Jail {
        uid: VM_UID,
        cgroup: None,
    });
    set("trace", "");
    set("tracing_on", "1");
    let mut running = vm.start();
    let pid = running.started().pid;
    running.dial(1024);
    set("tracing_on", "0");
    let (own_kib, guest_kib) = memory(pid, memory_mib);
    running.let_go();
    running.control(&Control::Stop);
    running.end();
    let trace = fs::read_to_string(Path::new(TRACING).join("trace")).expect("read the trace");
    let at = |what: &str| {
        let line = trace
            .lines()
            .find(|line| line.contains(what) && !line.starts_with('#'));
        let line = line.unwrap_or_else(|| panic!("no {what} in the trace:\n{trace}"));
        let word = line.split_whitespace().find_map(|word| {
            word.strip_suffix(':')
                .filter(|word| word.contains('.'))?
                .parse::<f64>()
                .ok()
        });
        word.unwrap_or_else(|| panic!("no time in {line}")) * 1000.0
    };
    let (exec, entry) = (at("/hull-vmm pid="), at("kvm_entry:"));
    let ready = at("pio_write at 0x600 size 1 count 1 val 0x1");
    Start {
        to_guest: entry - exec,
        to_agent: ready - entry,
        own_kib,
        guest_kib,
    }
}

/// Private KiB of a process: all but the mapping of guest memory, and that.
fn memory(pid: u32, memory_mib: u32) -> (u64, u64) {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).expect("read smaps");
    let guest_range = guest_range(&smaps, memory_mib);
    let (mut own, mut guest, mut in_guest) = (0, 0, false);
    for line in smaps.lines() {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(range) = mapping(line) {
            in_guest = guest_range.contains(&range.start);
        } else if key.starts_with("Private_") {
            let kib: u64 = rest.trim().trim_end_matches(" kB").parse().unwrap_or(0);
            *(if in_guest { &mut guest } else { &mut own }) += kib;
        }
    }
    (own, guest)
}

/// Where the guest's memory is: the mappings side by side that are as large as it. It is more than
/// one where a part has been given advice of its own.
fn guest_range(smaps: &str, memory_mib: u32) -> Range<u64> {
    let mut run: Range<u64> = 0..0;
    let writable = smaps.lines().filter(|line| line.contains(" rw-p "));
    for mapping in writable.filter_map(mapping) {
        if mapping.start != run.end {
            run.start = mapping.start;
        }
        run.end = mapping.end;
        if run.end - run.start >= u64::from(memory_mib) << 20 {
            return run;
        }
    }
    panic!("no mapping is as large as the guest's memory:\n{smaps}")
}

/// The range of a line that begins a mapping.
fn mapping(line: &str) -> Option<Range<u64>> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}
