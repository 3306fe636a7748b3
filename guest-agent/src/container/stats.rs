//! What the container has used, from the files of its control group.

use std::collections::BTreeMap;

use hull_protocol::agent::{CpuStats, IoStats, MemoryStats, PidsStats, Stats};

/// The most block devices that are told of: a guest has one or two.
const MAX_DEVICES: usize = 64;

/// Reads a group's files through `text`.
pub(crate) fn read(text: impl Fn(&str) -> String) -> Stats {
    let number = |file: &str| text(file).trim().parse().unwrap_or(0);
    Stats {
        cpu: cpu(&text("cpu.stat")),
        memory: MemoryStats {
            usage: number("memory.current"),
            stat: flat(&text("memory.stat")),
        },
        pids: PidsStats {
            current: number("pids.current"),
        },
        io: text("io.stat")
            .lines()
            .filter_map(device)
            .take(MAX_DEVICES)
            .collect(),
    }
}

fn cpu(text: &str) -> CpuStats {
    let fields = flat(text);
    let of = |name: &str| fields.get(name).copied().unwrap_or(0);
    CpuStats {
        usage_us: of("usage_usec"),
        user_us: of("user_usec"),
        system_us: of("system_usec"),
    }
}

/// Lines of a name and a number.
fn flat(text: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        Some((name.to_owned(), number.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// A line of `io.stat`: `254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn device(line: &str) -> Option<IoStats> {
    let mut words = line.split_ascii_whitespace();
    let (major, minor) = words.next()?.split_once(':')?;
    let mut stats = IoStats {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        ..IoStats::default()
    };
    for (name, number) in words.filter_map(|word| word.split_once('=')) {
        let number = number.parse().unwrap_or(0);
        match name {
            "rbytes" => stats.read_bytes = number,
            "wbytes" => stats.write_bytes = number,
            "rios" => stats.reads = number,
            "wios" => stats.writes = number,
            _ => {}
        }
    }
    Some(stats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_group_are_read() {
        let stats = read(|file| {
            match file {
                "cpu.stat" => "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 2\n",
                "memory.current" => "4096\n",
                "memory.stat" => "anon 1\nfile 2\nbroken\n",
                "pids.current" => "3\n",
                "io.stat" => "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n254:1 \nx\n",
                _ => "",
            }
            .to_owned()
        });
        assert_eq!((stats.cpu.usage_us, stats.cpu.system_us), (7, 3));
        assert_eq!((stats.memory.usage, stats.pids.current), (4096, 3));
        assert_eq!(
            stats.memory.stat,
            [("anon".to_owned(), 1), ("file".to_owned(), 2)].into()
        );
        let first = IoStats {
            major: 254,
            minor: 0,
            read_bytes: 1,
            write_bytes: 2,
            reads: 3,
            writes: 4,
        };
        assert_eq!(stats.io.first(), Some(&first));
        assert_eq!(stats.io.len(), 2);
    }

    #[test]
    fn a_group_without_controllers_has_used_nothing() {
        assert_eq!(read(|_| String::new()), Stats::default());
    }
}
