//! The columns of `ps`, by the names that `-o` takes, and the formats that have short options.

use std::str::FromStr;

use hull_protocol::agent::ProcessEntry;

use crate::error::EngineError;
use crate::time::Timestamp;

/// `-ef`.
const FULL: &[Column] = &[
    Column::User("UID"),
    Column::Pid,
    Column::Parent,
    Column::Cpu("C"),
    Column::Start("STIME"),
    Column::Tty("TTY"),
    Column::Time("TIME"),
    Column::Command("CMD"),
];
/// `-e`.
const SHORT: &[Column] = &[
    Column::Pid,
    Column::Tty("TTY"),
    Column::Time("TIME"),
    Column::Name("CMD"),
];
/// `aux`.
const BY_USER: &[Column] = &[
    Column::User("USER"),
    Column::Pid,
    Column::CpuPercent,
    Column::MemoryPercent,
    Column::Virtual("VSZ"),
    Column::Resident("RSS"),
    Column::Tty("TTY"),
    Column::State("STAT"),
    Column::Start("START"),
    Column::Minutes,
    Column::Command("COMMAND"),
];
/// `ax`.
const ALL: &[Column] = &[
    Column::Pid,
    Column::Tty("TTY"),
    Column::State("STAT"),
    Column::Minutes,
    Column::Command("COMMAND"),
];

/// One column, with its title where it has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    User(&'static str),
    UserId(&'static str),
    Pid,
    Parent,
    Group(&'static str),
    Session(&'static str),
    Cpu(&'static str),
    CpuPercent,
    MemoryPercent,
    Virtual(&'static str),
    Resident(&'static str),
    Tty(&'static str),
    State(&'static str),
    Start(&'static str),
    Elapsed,
    ElapsedSeconds,
    Time(&'static str),
    Minutes,
    Priority,
    Nice,
    Threads(&'static str),
    Name(&'static str),
    Command(&'static str),
}

/// What a row is made with besides the process.
pub(super) struct Scene {
    /// Seconds since 1970.
    pub(super) now: i64,
    /// The guest's memory.
    pub(super) memory_kb: u64,
}

/// Columns in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format(Vec<Column>);

impl FromStr for Format {
    type Err = EngineError;

    fn from_str(ps_args: &str) -> Result<Self, EngineError> {
        let refused = || {
            EngineError::NotSupported(format!(
                "ps arguments other than -ef, aux and -o: {ps_args}"
            ))
        };
        let mut columns = FULL.to_vec();
        let mut chosen: Vec<Column> = Vec::new();
        let mut words = ps_args.split_ascii_whitespace();
        while let Some(word) = words.next() {
            let letters = word.strip_prefix('-').unwrap_or(word);
            // `-eo LIST`, `-oLIST`, `o LIST`; the list may be `pid,ppid` or come in several.
            if let Some((before, list)) = letters.split_once('o') {
                if !before.chars().all(|c| "eAax".contains(c)) {
                    return Err(refused());
                }
                let list = match list {
                    "" => words.next().ok_or_else(refused)?,
                    list => list,
                };
                for name in list.split(',') {
                    chosen.push(named(name).ok_or_else(refused)?);
                }
                continue;
            }
            columns = match (letters, word.starts_with('-')) {
                ("ef" | "fe" | "Af" | "f" | "eF" | "AF", true) => FULL,
                ("e" | "A", true) => SHORT,
                ("aux" | "auxw" | "auxww" | "axu" | "u", _) => BY_USER,
                ("ax" | "axw" | "axww" | "x", _) => ALL,
                _ => return Err(refused()),
            }
            .to_vec();
        }
        if !chosen.is_empty() {
            columns = chosen;
        }
        match columns.contains(&Column::Pid) {
            true => Ok(Self(columns)),
            false => Err(EngineError::Invalid(
                "Couldn't find PID field in ps output".into(),
            )),
        }
    }
}

impl Format {
    pub(super) fn titles(&self) -> Vec<String> {
        self.0.iter().map(|c| c.title().to_owned()).collect()
    }

    pub(super) fn row(&self, process: &ProcessEntry, scene: &Scene) -> Vec<String> {
        self.0.iter().map(|c| c.cell(process, scene)).collect()
    }
}

/// A column by the name that `-o` takes.
fn named(name: &str) -> Option<Column> {
    Some(match name {
        "pid" | "tgid" => Column::Pid,
        "ppid" => Column::Parent,
        "pgid" | "pgrp" => Column::Group("PGID"),
        "sid" | "sess" | "session" => Column::Session("SID"),
        "user" | "uname" | "euser" => Column::User("USER"),
        "uid" | "euid" => Column::UserId("UID"),
        "c" => Column::Cpu("C"),
        "pcpu" | "%cpu" => Column::CpuPercent,
        "pmem" | "%mem" => Column::MemoryPercent,
        "vsz" | "vsize" => Column::Virtual("VSZ"),
        "rss" | "rssize" | "rsz" => Column::Resident("RSS"),
        "tty" | "tt" | "tname" => Column::Tty("TT"),
        "s" | "state" => Column::State("S"),
        "stat" => Column::State("STAT"),
        "stime" => Column::Start("STIME"),
        "start_time" | "bsdstart" => Column::Start("START"),
        "etime" => Column::Elapsed,
        "etimes" => Column::ElapsedSeconds,
        "time" | "cputime" => Column::Time("TIME"),
        "bsdtime" => Column::Minutes,
        "pri" | "priority" => Column::Priority,
        "ni" | "nice" => Column::Nice,
        "nlwp" | "thcount" => Column::Threads("NLWP"),
        "comm" | "ucmd" | "ucomm" => Column::Name("COMMAND"),
        "cmd" => Column::Command("CMD"),
        "args" | "command" => Column::Command("COMMAND"),
        _ => return None,
    })
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::User(title)
            | Self::UserId(title)
            | Self::Group(title)
            | Self::Session(title)
            | Self::Cpu(title)
            | Self::Virtual(title)
            | Self::Resident(title)
            | Self::Tty(title)
            | Self::State(title)
            | Self::Start(title)
            | Self::Time(title)
            | Self::Threads(title)
            | Self::Name(title)
            | Self::Command(title) => title,
            Self::Pid => "PID",
            Self::Parent => "PPID",
            Self::CpuPercent => "%CPU",
            Self::MemoryPercent => "%MEM",
            Self::Elapsed | Self::ElapsedSeconds => "ELAPSED",
            Self::Minutes => "TIME",
            Self::Priority => "PRI",
            Self::Nice => "NI",
        }
    }

    fn cell(self, p: &ProcessEntry, scene: &Scene) -> String {
        let started = i64::try_from(p.started).unwrap_or(scene.now);
        let age = u64::try_from(scene.now.saturating_sub(started)).unwrap_or(0);
        let seconds = p.cpu_ms / 1000;
        match self {
            Self::User(_) if p.uid == 0 => "root".to_owned(),
            Self::User(_) | Self::UserId(_) => p.uid.to_string(),
            Self::Pid => p.pid.to_string(),
            Self::Parent => p.parent.to_string(),
            Self::Group(_) => p.group.to_string(),
            Self::Session(_) => p.session.to_string(),
            Self::Cpu(_) => (seconds.saturating_mul(100) / age.max(1))
                .min(99)
                .to_string(),
            Self::CpuPercent => tenths(p.cpu_ms, age.max(1).saturating_mul(1000)),
            Self::MemoryPercent => tenths(p.resident_kb, scene.memory_kb),
            Self::Virtual(_) => p.virtual_kb.to_string(),
            Self::Resident(_) => p.resident_kb.to_string(),
            Self::Tty(_) => p.tty.clone(),
            Self::State(_) => p.state.clone(),
            Self::Start(_) => {
                let start = Timestamp(started.saturating_mul(1_000_000_000)).to_string();
                start.get(11..16).unwrap_or("?").to_owned()
            }
            Self::Elapsed => elapsed(age),
            Self::ElapsedSeconds => age.to_string(),
            Self::Time(_) => clock(seconds),
            Self::Minutes => format!("{}:{:02}", seconds / 60, seconds % 60),
            Self::Priority => p.priority.to_string(),
            Self::Nice => p.nice.to_string(),
            Self::Threads(_) => p.threads.to_string(),
            Self::Name(_) => p.name.clone(),
            Self::Command(_) => p.command.clone(),
        }
    }
}

/// A part of a whole in percent, with one digit after the point.
fn tenths(part: u64, whole: u64) -> String {
    let permille = part.saturating_mul(1000) / whole.max(1);
    format!("{}.{}", permille / 10, permille % 10)
}

/// `[DD-]HH:MM:SS`.
fn clock(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let rest = format!("{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    match days {
        0 => rest,
        days => format!("{days}-{rest}"),
    }
}

/// `[[DD-]HH:]MM:SS`.
fn elapsed(seconds: u64) -> String {
    match seconds {
        0..3600 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        seconds => clock(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> ProcessEntry {
        ProcessEntry {
            pid: 1,
            parent: 0,
            group: 1,
            session: 1,
            uid: 0,
            cpu_ms: 3_725_000,
            started: 3600 * 5 + 60 * 7,
            tty: "?".into(),
            state: "S".into(),
            priority: 20,
            nice: -5,
            threads: 3,
            virtual_kb: 4400,
            resident_kb: 1024,
            name: "sleep".into(),
            command: "sleep 100".into(),
        }
    }

    /// Titles and the row, for a guest of 64 MiB at midnight.
    fn shown(ps_args: &str) -> Result<(String, String), String> {
        let format: Format = ps_args.parse().map_err(|e: EngineError| e.to_string())?;
        let scene = Scene {
            now: 3600 * 24,
            memory_kb: 64 << 10,
        };
        let row = format.row(&process(), &scene).join(" ");
        Ok((format.titles().join(" "), row))
    }

    #[test]
    fn formats_are_those_of_ps() {
        for (ps_args, titles, row) in [
            (
                "",
                "UID PID PPID C STIME TTY TIME CMD",
                "root 1 0 5 05:07 ? 01:02:05 sleep 100",
            ),
            (
                "-ef",
                "UID PID PPID C STIME TTY TIME CMD",
                "root 1 0 5 05:07 ? 01:02:05 sleep 100",
            ),
            (
                "aux",
                "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
                "root 1 5.4 1.5 4400 1024 ? S 05:07 62:05 sleep 100",
            ),
            ("ax", "PID TTY STAT TIME COMMAND", "1 ? S 62:05 sleep 100"),
            ("-e", "PID TTY TIME CMD", "1 ? 01:02:05 sleep"),
            ("-o pid,comm", "PID COMMAND", "1 sleep"),
            (
                "-eo pid,etime,ni -o nlwp",
                "PID ELAPSED NI NLWP",
                "1 18:53:00 -5 3",
            ),
            ("o pid,uid,pgid,sid", "PID UID PGID SID", "1 0 1 1"),
            ("-e -opid,args", "PID COMMAND", "1 sleep 100"),
        ] {
            assert_eq!(
                shown(ps_args),
                Ok((titles.to_owned(), row.to_owned())),
                "{ps_args}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_pids_have_to_be_shown() {
        for bad in [
            "-Z",
            "--forest",
            "-o",
            "-o nosuch",
            "-C sleep",
            "-o pid=X",
            "-p 1",
        ] {
            let message = shown(bad).unwrap_err();
            assert!(
                message.starts_with("not supported by Hull yet: ps arguments"),
                "{message}"
            );
        }
        assert_eq!(
            shown("-o comm").unwrap_err(),
            "Couldn't find PID field in ps output"
        );
    }

    #[test]
    fn a_guest_may_say_anything() {
        let scene = Scene {
            now: 0,
            memory_kb: 0,
        };
        let wild = ProcessEntry {
            cpu_ms: u64::MAX,
            started: u64::MAX,
            resident_kb: u64::MAX,
            ..process()
        };
        for format in ["-ef", "aux", "-eo pid,etime,etimes"] {
            let format: Format = format.parse().unwrap();
            assert_eq!(format.row(&wild, &scene).len(), format.titles().len());
        }
    }
}
