//! Turns the plugin's counts into tables: by phase of the boot, and by function.

use std::collections::HashMap;

use anyhow::{Context, Result};

/// Functions of the boot that split it into phases worth naming, next to initcalls.
const STEPS: &[&str] = &[
    "x86_64_start_kernel",
    "start_kernel",
    "setup_arch",
    "parse_early_param",
    "init_mem_mapping",
    "setup_per_cpu_areas",
    "setup_log_buf",
    "jump_label_init",
    "vfs_caches_init_early",
    "mm_core_init",
    "memblock_free_all",
    "sched_init",
    "rcu_init",
    "init_IRQ",
    "init_timers",
    "timekeeping_init",
    "time_init",
    "random_init",
    "console_init",
    "late_time_init",
    "calibrate_delay",
    "arch_cpu_finalize_init",
    "alternative_instructions",
    "apply_retpolines",
    "apply_alternatives",
    "fork_init",
    "vfs_caches_init",
    "proc_root_init",
    "cgroup_init",
    "rest_init",
    "kernel_init",
    "kernel_init_freeable",
    "smp_init",
    "page_alloc_init_late",
    "do_basic_setup",
    "driver_init",
    "do_populate_rootfs",
    "prepare_namespace",
    "free_initmem",
    "mark_readonly",
    "run_init_process",
    "load_elf_binary",
];

/// What runs before the kernel has its own addresses.
const IDENTITY: &str = "code before the kernel's own mapping";

/// The kernel's symbols: functions by address, and the names of phases.
pub(super) struct Symbols {
    functions: Vec<(u64, String)>,
    phases: HashMap<u64, String>,
}

impl Symbols {
    /// Reads System.map: address, type letter, name.
    pub(super) fn parse(map: &str) -> Self {
        let mut functions = Vec::new();
        let mut initcalls = Vec::new();
        for line in map.lines() {
            let mut fields = line.split(' ');
            let (Some(address), Some(kind), Some(name)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if let Some(initcall) = initcall(name) {
                initcalls.push(initcall);
            }
            if let (Ok(address), "t" | "T" | "w" | "W") = (u64::from_str_radix(address, 16), kind) {
                functions.push((address, name.to_owned()));
            }
        }
        functions.sort();
        let by_name: HashMap<&str, u64> = functions
            .iter()
            .map(|(address, name)| (name.as_str(), *address))
            .collect();
        let named = |name: &str, text: String| by_name.get(name).map(|address| (*address, text));
        let phases = initcalls
            .iter()
            .filter_map(|name| named(name, format!("{name} (initcall)")))
            .chain(
                STEPS
                    .iter()
                    .filter_map(|name| named(name, (*name).to_owned())),
            )
            .collect();
        Self { functions, phases }
    }

    pub(super) fn phases(&self) -> impl Iterator<Item = (u64, &str)> {
        self.phases
            .iter()
            .map(|(address, name)| (*address, name.as_str()))
    }

    fn function(&self, address: u64) -> &str {
        let after = self
            .functions
            .partition_point(|(start, _)| *start <= address);
        after
            .checked_sub(1)
            .map_or(IDENTITY, |index| &self.functions[index].1)
    }
}

/// The function of a symbol such as `__initcall__kmod_fuse__300_20_fuse_init6`.
fn initcall(symbol: &str) -> Option<&str> {
    let rest = symbol.strip_prefix("__initcall__kmod_")?;
    let (_, rest) = rest.split_once("__")?;
    let (_, rest) = rest.split_once('_')?;
    let (_, name) = rest.split_once('_')?;
    for level in ["early", "rootfs", "con", "s"] {
        if let Some(name) = name.strip_suffix(level) {
            return Some(name.trim_end_matches(|c: char| c.is_ascii_digit()));
        }
    }
    name.strip_suffix(|c: char| c.is_ascii_digit())
}

/// What the plugin counted.
pub(super) struct Profile {
    pub(super) total: u64,
    /// Address and the total when it was reached, in order.
    marks: Vec<(u64, u64)>,
    blocks: Vec<(u64, u64)>,
}

impl Profile {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut profile = Self {
            total: 0,
            marks: Vec::new(),
            blocks: Vec::new(),
        };
        for line in text.lines() {
            let read = || -> Option<(u64, u64)> {
                let (_, rest) = line.split_once(' ')?;
                let (address, count) = rest.split_once(' ')?;
                Some((u64::from_str_radix(address, 16).ok()?, count.parse().ok()?))
            };
            let bad = || format!("the plugin wrote {line:?}");
            match line.split(' ').next() {
                Some("total") => {
                    profile.total = line["total ".len()..].parse().with_context(bad)?;
                }
                Some("mark") => profile.marks.push(read().with_context(bad)?),
                _ => profile.blocks.push(read().with_context(bad)?),
            }
        }
        Ok(profile)
    }

    /// Instructions between a phase's start and the next one's, most first.
    pub(super) fn phases(&self, symbols: &Symbols) -> Vec<(String, u64)> {
        let ends = self
            .marks
            .iter()
            .skip(1)
            .map(|(_, at)| *at)
            .chain([self.total]);
        let mut sums: HashMap<&str, u64> = HashMap::new();
        for ((address, at), end) in self.marks.iter().zip(ends) {
            let name = symbols.phases.get(address).map_or("?", String::as_str);
            *sums.entry(name).or_default() += end - at;
        }
        most_first(sums)
    }

    /// Instructions in each function itself, most first.
    pub(super) fn functions(&self, symbols: &Symbols) -> Vec<(String, u64)> {
        let mut sums: HashMap<&str, u64> = HashMap::new();
        for (address, count) in &self.blocks {
            *sums.entry(symbols.function(*address)).or_default() += count;
        }
        most_first(sums)
    }
}

fn most_first(sums: HashMap<&str, u64>) -> Vec<(String, u64)> {
    let mut rows: Vec<(String, u64)> = sums
        .into_iter()
        .map(|(name, sum)| (name.to_owned(), sum))
        .collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "ffffffff81000000 T start_kernel\n\
                       ffffffff81000100 t memset\n\
                       ffffffff81000200 t fuse_init\n\
                       ffffffff82000000 d __initcall__kmod_fuse__300_20_fuse_init6\n";

    fn named(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
        rows.iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn an_initcall_names_its_function() {
        assert_eq!(
            initcall("__initcall__kmod_fuse__300_20_fuse_init6"),
            Some("fuse_init")
        );
        assert_eq!(
            initcall("__initcall__kmod_x__1_2_init_hw_perf_eventsearly"),
            Some("init_hw_perf_events")
        );
        assert_eq!(
            initcall("__initcall__kmod_x__1_2_pci_arch_init3s"),
            Some("pci_arch_init")
        );
        assert_eq!(initcall("fuse_init"), None);
    }

    #[test]
    fn counts_are_attributed_to_phases_and_functions() {
        let symbols = Symbols::parse(MAP);
        let profile = Profile::parse(
            "total 100\nmark ffffffff81000000 10\nmark ffffffff81000200 70\n\
             block 1000000 10\nblock ffffffff81000000 5\nblock ffffffff81000104 60\nblock ffffffff81000200 25\n",
        )
        .unwrap();
        assert_eq!(
            profile.phases(&symbols),
            named(&[("start_kernel", 60), ("fuse_init (initcall)", 30)])
        );
        assert_eq!(
            profile.functions(&symbols),
            named(&[
                ("memset", 60),
                ("fuse_init", 25),
                (IDENTITY, 10),
                ("start_kernel", 5)
            ])
        );
    }

    #[test]
    fn damaged_counts_are_an_error() {
        assert!(Profile::parse("total many\n").is_err());
        assert!(Profile::parse("block zz 1\n").is_err());
    }
}
