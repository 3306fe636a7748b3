//! The container's processes as `ps` shows them, from the guest's `/proc`.

use std::fs;

use hull_protocol::agent::ProcessEntry;

/// The longest command line shown.
const MAX_COMMAND: usize = 4096;
/// The most processes listed: a reply has to fit a frame.
const MAX_LIST: usize = 1024;
/// The kernel counts CPU time in these for programs, whatever its own tick.
const TICKS_PER_SECOND: u64 = 100;
/// A page of x86-64, in KiB.
const PAGE_KB: u64 = 4;

/// Describes the processes with these pids of the agent's namespace. Those that end meanwhile are
/// left out.
pub(crate) fn list(pids: &[u32]) -> Vec<ProcessEntry> {
    let boot = boot_time();
    let mut budget = hull_protocol::frame::MAX / 2;
    let mut list: Vec<ProcessEntry> = pids
        .iter()
        .take(MAX_LIST)
        .filter_map(|pid| describe(*pid, boot))
        .take_while(|entry| {
            budget = budget.saturating_sub(entry.command.len() + 128);
            budget > 0
        })
        .collect();
    list.sort_by_key(|e| e.pid);
    list
}

fn describe(pid: u32, boot: u64) -> Option<ProcessEntry> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
    let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let mut entry = parse(&stat, &status, boot)?;
    entry.parent = inner_pid(entry.parent).unwrap_or(0);
    let command = read("cmdline").unwrap_or_default();
    let command = command
        .get(..MAX_COMMAND.min(command.len()))
        .unwrap_or_default();
    let words: Vec<_> = command
        .split(|b| *b == 0)
        .filter(|w| !w.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    if !words.is_empty() {
        entry.command = words.join(" ");
    }
    Some(entry)
}

/// The pid in the innermost namespace, for a process of a namespace below the agent's.
fn inner_pid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let pids = field(&status, "NSpid:")?;
    let mut pids = pids.split_ascii_whitespace();
    let inner = pids.next_back()?.parse().ok()?;
    // One number only: it is outside of the container.
    pids.next().map(|_| inner)
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|l| l.strip_prefix(name))
        .map(str::trim)
}

/// Reads proc_pid_stat(5) and proc_pid_status(5). The command is the name in brackets and the
/// parent still the agent's number for it.
fn parse(stat: &str, status: &str, boot: u64) -> Option<ProcessEntry> {
    // The name is in brackets and may hold brackets and spaces itself.
    let (name, rest) = (stat.find('(')?, stat.rfind(')')?);
    let command = format!("[{}]", stat.get(name + 1..rest)?);
    let fields: Vec<&str> = stat.get(rest + 1..)?.split_ascii_whitespace().collect();
    // The third field of the manual page is the first here.
    let number = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
    let signed = |n: usize| fields.get(n - 3)?.parse::<i32>().ok();
    // The last is that of the innermost namespace. Outside of a container there is but one.
    let innermost = |name: &str| {
        let last = field(status, name)?.split_ascii_whitespace().next_back()?;
        last.parse::<u32>().ok()
    };
    let pid = innermost("NSpid:")?;
    let uid = field(status, "Uid:")?.split_ascii_whitespace().nth(1)?;
    let ticks = number(14)?.saturating_add(number(15)?);
    let tty = fields.get(7 - 3)?.parse::<i64>().ok()?;
    Some(ProcessEntry {
        pid,
        group: innermost("NSpgid:").unwrap_or(0),
        session: innermost("NSsid:").unwrap_or(0),
        state: (*fields.first()?).to_owned(),
        priority: signed(18)?,
        nice: signed(19)?,
        threads: u32::try_from(number(20)?).ok()?,
        virtual_kb: number(23)? / 1024,
        resident_kb: number(24)?.saturating_mul(PAGE_KB),
        name: stat.get(name + 1..rest)?.to_owned(),
        parent: u32::try_from(number(4)?).ok()?,
        uid: uid.parse().ok()?,
        cpu_ms: ticks.saturating_mul(1000 / TICKS_PER_SECOND),
        started: boot.saturating_add(number(22)? / TICKS_PER_SECOND),
        tty: terminal(tty),
        command,
    })
}

fn terminal(device: i64) -> String {
    let minor = (device & 0xff) | ((device >> 12) & 0xfff00);
    match (device >> 8) & 0xfff {
        0 => "?".to_owned(),
        136..=143 => format!("pts/{minor}"),
        4 => format!("tty{minor}"),
        major => format!("{major}:{minor}"),
    }
}

fn boot_time() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    field(&stat, "btime")
        .and_then(|t| t.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_described_from_its_stat_and_status() {
        let stat = "812 (a) (b c) S 800 812 812 34816 812 4194560 1 2 3 4 150 50 0 0 20 0 1 0 \
                    2500 4505600 200";
        let status = "Name:\tx\nUid:\t1000\t33\t0\t0\nNSpid:\t812\t7\nNSpgid:\t812\t7\n\
                      NSsid:\t800\t5\n";
        let entry = parse(stat, status, 100).unwrap();
        let expected = ProcessEntry {
            pid: 7,
            parent: 800,
            group: 7,
            session: 5,
            uid: 33,
            cpu_ms: 2000,
            started: 125,
            tty: "pts/0".into(),
            state: "S".into(),
            priority: 20,
            nice: 0,
            threads: 1,
            virtual_kb: 4400,
            resident_kb: 800,
            name: "a) (b c".into(),
            command: "[a) (b c]".into(),
        };
        assert_eq!(entry, expected);
    }

    #[test]
    fn what_is_cut_short_is_no_process() {
        for stat in ["", "1", "1 (x", "1 (x) S", "1 )x( S 1 1 1"] {
            assert!(
                parse(stat, "Uid:\t0\t0\nNSpid:\t1\n", 0).is_none(),
                "{stat}"
            );
        }
    }
}
