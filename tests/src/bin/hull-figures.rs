//! Figures of a VM's start, for `cargo xtask bench`: run in a machine whose clock counts
//! instructions, they repeat; elsewhere they are times like any others.
//!
//! ```text
//! hull-figures [MEMORY_MIB [WORD_FOR_THE_GUESTS_KERNEL]…]
//! ```
//!
//! What is measured is seen from outside, by the kernel's own tracepoints: the `exec` of hull-vmm,
//! its first entry into the guest, and the byte by which the agent says that it listens.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hull_protocol::vmm::{Control, Jail};
use hull_tests::{RawVm, RunningVm};

const TRACING: &str = "/sys/kernel/tracing";
const ROUNDS: usize = 5;
const MEMORY_MIB: u32 = 128;
const VM_UID: u32 = 0x7000_0000;
const HUGE_PAGE: u64 = 2 << 20;
/// After it a guest has told which memory it does not use: it does so two seconds after it freed
/// some. Where clocks count instructions, waiting costs nothing.
const SETTLED: Duration = Duration::from_secs(7);

/// What is started.
#[derive(Debug)]
struct Guest {
    files: PathBuf,
    memory_mib: u32,
    /// For its kernel.
    words: String,
}

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

/// What an idle guest keeps, once it has given back what its boot freed.
#[derive(Debug)]
struct Idle {
    /// KiB of the host's memory.
    kib: u64,
    /// Pages that are there, in each huge page of the guest's memory.
    pages: Vec<u16>,
}

fn main() {
    let mut given = std::env::args().skip(1);
    let memory_mib = given.next();
    let memory_mib = memory_mib.map_or(MEMORY_MIB, |mib| mib.parse().expect("memory in MiB"));
    let guest = Guest {
        files: copy_to_memory(),
        memory_mib,
        words: given.collect::<Vec<_>>().join(" "),
    };
    prepare_tracing();
    // The first one pays for what the host caches; it does not count.
    let starts: Vec<Start> = (0..=ROUNDS).map(|_| measure(&guest)).skip(1).collect();
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
    println!("guest_started_kib {}", median(|s| s.guest_kib as f64));
    println!("guest_idle_kib {}", idle(&guest).kib);
    let small = with_small_pages(|| idle(&guest));
    println!("guest_small_pages_kib {}", small.kib);
    let pages: Vec<String> = small.pages.iter().map(u16::to_string).collect();
    println!("guest_pages {}", pages.join(" "));
}

/// Measures where the host has no huge pages: what a guest needs, without what the host gives it
/// besides.
fn with_small_pages<T>(measure: impl FnOnce() -> T) -> T {
    let forbid = |no: libc::c_ulong| {
        // SAFETY: takes plain numbers. It holds for processes that this one starts, too.
        let done = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, no, 0, 0, 0) };
        assert_eq!(done, 0, "PR_SET_THP_DISABLE");
    };
    forbid(1);
    let measured = measure();
    forbid(0);
    measured
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

fn vm(guest: &Guest) -> RawVm {
    let file = |name: &str| guest.files.join(name);
    let mut vm = RawVm::with_files(&file("vmlinux"), &file("initramfs"));
    vm.program = file("hull-vmm");
    vm.config.memory_mib = guest.memory_mib;
    vm.config.cmdline.clone_from(&guest.words);
    vm.config.console = None;
    vm.config.jail = Some(Jail {
        uid: VM_UID,
        cgroup: None,
    });
    vm
}

/// Starts a VM and leaves it alone for a while.
fn idle(guest: &Guest) -> Idle {
    let mut running = vm(guest).start();
    let pid = running.started().pid;
    running.dial(1024);
    leave_alone(SETTLED);
    let smaps = smaps(pid);
    let kib = memory(&smaps, guest.memory_mib).1;
    let pages = pages(pid, guest_range(&smaps, guest.memory_mib));
    end(running);
    Idle { kib, pages }
}

/// The time that passes is what is measured here.
fn leave_alone(time: Duration) {
    let until = Instant::now() + time;
    while let Some(rest) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(rest);
    }
}

fn end(mut running: RunningVm) {
    running.let_go();
    running.control(&Control::Stop);
    running.end();
}

fn measure(guest: &Guest) -> Start {
    set("trace", "");
    set("tracing_on", "1");
    let mut running = vm(guest).start();
    let pid = running.started().pid;
    running.dial(1024);
    set("tracing_on", "0");
    let (own_kib, guest_kib) = memory(&smaps(pid), guest.memory_mib);
    end(running);
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

fn smaps(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/smaps")).expect("read smaps")
}

/// How many pages are there in each 2 MiB of a range.
fn pages(pid: u32, range: Range<u64>) -> Vec<u16> {
    let pagemap = fs::File::open(format!("/proc/{pid}/pagemap")).expect("open pagemap");
    let mut entries = [0; HUGE_PAGE as usize / 512];
    range
        .step_by(HUGE_PAGE as usize)
        .map(|address| {
            let at = address / 4096 * 8;
            pagemap
                .read_exact_at(&mut entries, at)
                .expect("read pagemap");
            // The last bit of an entry, in its last byte, says that the page is there.
            entries.chunks(8).filter(|entry| entry[7] >> 7 == 1).count() as u16
        })
        .collect()
}

/// Private KiB of a process: all but the mapping of guest memory, and that.
fn memory(smaps: &str, memory_mib: u32) -> (u64, u64) {
    let guest_range = guest_range(smaps, memory_mib);
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
        // What was mapped later may lie right before it.
        let size = u64::from(memory_mib) << 20;
        if run.end - run.start >= size {
            return run.end - size..run.end;
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
