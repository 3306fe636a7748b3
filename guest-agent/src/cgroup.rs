//! The container's control group (version 2): limits, out-of-memory counts, and ending everything
//! in it.

use std::fs;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use crate::spec::Resources;

/// Why a group could not be made or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CgroupError {
    #[error("cannot {what} control group {}", dir.display())]
    Io {
        what: &'static str,
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot set {file} to {value}")]
    Limit {
        file: &'static str,
        value: String,
        #[source]
        source: io::Error,
    },
}

/// How long processes may take to stand still.
const FREEZE_LIMIT: Duration = Duration::from_secs(10);

/// A group that is removed with its last user.
#[derive(Debug)]
pub(crate) struct Cgroup {
    dir: PathBuf,
    /// How many want it to stand still.
    freezers: Mutex<usize>,
}

impl Cgroup {
    /// Makes `dir` with these limits; its parent gets every controller the kernel offers there.
    pub(crate) fn create(dir: PathBuf, limits: &Resources) -> Result<Self, CgroupError> {
        if let Some(parent) = dir.parent() {
            enable_controllers(parent);
        }
        fs::create_dir(&dir).map_err(|source| CgroupError::Io {
            what: "make",
            dir: dir.clone(),
            source,
        })?;
        let group = Self {
            dir,
            freezers: Mutex::default(),
        };
        group.limit(limits)?;
        Ok(group)
    }

    /// Sets what is limited; the rest stays as it is.
    pub(crate) fn limit(&self, limits: &Resources) -> Result<(), CgroupError> {
        let mut settings = settings(limits).into_iter();
        settings.try_for_each(|(file, value)| self.set(file, value))
    }

    fn set(&self, file: &'static str, value: String) -> Result<(), CgroupError> {
        fs::write(self.dir.join(file), &value).map_err(|source| CgroupError::Limit {
            file,
            value,
            source,
        })
    }

    /// Whoever writes `0` to this joins the group.
    pub(crate) fn door(&self) -> Result<OwnedFd, CgroupError> {
        let path = self.dir.join("cgroup.procs");
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| CgroupError::Io {
            what: "open",
            dir: self.dir.clone(),
            source: e.into(),
        })
    }

    /// The pids in it and below it, as the agent sees them.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        collect(&self.dir, 0, &mut pids);
        pids.sort_unstable();
        pids
    }

    /// What one of its files says; nothing where there is no such file, as without a controller.
    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).unwrap_or_default()
    }

    /// How many processes the kernel has killed in it for want of memory.
    fn oom_kills(&self) -> u64 {
        let events = self.text("memory.events");
        events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "))
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Waits until everything in it stands still.
    fn wait_until_frozen(&self) -> Result<(), CgroupError> {
        let failed = |source| CgroupError::Io {
            what: "freeze",
            dir: self.dir.clone(),
            source,
        };
        let mut events = fs::File::open(self.dir.join("cgroup.events")).map_err(failed)?;
        let since = Instant::now();
        loop {
            let mut text = String::new();
            events.rewind().map_err(failed)?;
            events.read_to_string(&mut text).map_err(failed)?;
            if text.lines().any(|line| line == "frozen 1") {
                return Ok(());
            }
            let Some(left) = FREEZE_LIMIT.checked_sub(since.elapsed()) else {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            };
            let mut changed = [PollFd::new(&events, PollFlags::PRI)];
            let limit =
                Timespec::try_from(left).map_err(|_| failed(io::ErrorKind::Other.into()))?;
            poll(&mut changed, Some(&limit)).map_err(|e| failed(e.into()))?;
        }
    }

    /// Kills everything in it.
    pub(crate) fn kill(&self) -> io::Result<()> {
        fs::write(self.dir.join("cgroup.kill"), "1")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // It stays only if something in it outlived the kill, and then it goes with the VM.
        remove_below(&self.dir, 0);
    }
}

/// Everything in a group stands still until this is dropped.
#[derive(Debug)]
pub(crate) struct Frozen(Arc<Cgroup>);

impl Frozen {
    pub(crate) fn new(group: &Arc<Cgroup>) -> Result<Self, CgroupError> {
        let frozen = Self(group.clone());
        {
            let mut freezers = frozen.freezers();
            *freezers += 1;
            if *freezers == 1 {
                group.set("cgroup.freeze", "1".to_owned())?;
            }
        }
        group.wait_until_frozen()?;
        Ok(frozen)
    }

    fn freezers(&self) -> std::sync::MutexGuard<'_, usize> {
        self.0
            .freezers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let mut freezers = self.freezers();
        *freezers -= 1;
        if *freezers == 0 {
            // Nothing else can be done; a group that is gone needs no thaw.
            let _ = self.0.set("cgroup.freeze", "0".to_owned());
        }
    }
}

/// What the count of out-of-memory kills was when a process started.
pub(crate) struct OomCounter {
    group: Arc<Cgroup>,
    before: u64,
    first: bool,
}

impl OomCounter {
    /// For the container's first process: any kill in the container counts, as with Docker.
    pub(crate) fn container(group: &Arc<Cgroup>) -> Self {
        Self {
            group: group.clone(),
            before: 0,
            first: true,
        }
    }

    /// For an exec: a kill since now, if it was this process that died of SIGKILL.
    pub(crate) fn exec(group: &Arc<Cgroup>) -> Self {
        Self {
            group: group.clone(),
            before: group.oom_kills(),
            first: false,
        }
    }

    pub(crate) fn killed(&self, by_sigkill: bool) -> bool {
        (self.first || by_sigkill) && self.group.oom_kills() > self.before
    }
}

/// How deep a container's own groups are followed.
const DEPTH: usize = 16;

fn subgroups(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .map(|e| e.path())
}

fn collect(dir: &Path, depth: usize, pids: &mut Vec<u32>) {
    let list = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process of another pid namespace.
    pids.extend(
        list.lines()
            .filter_map(|l| l.parse::<u32>().ok())
            .filter(|p| *p != 0),
    );
    if depth < DEPTH {
        for below in subgroups(dir) {
            collect(&below, depth + 1, pids);
        }
    }
}

fn remove_below(dir: &Path, depth: usize) {
    if depth < DEPTH {
        for below in subgroups(dir) {
            remove_below(&below, depth + 1);
        }
    }
    // See Drop: what cannot go now goes with the VM.
    let _ = fs::remove_dir(dir);
}

fn enable_controllers(parent: &Path) {
    let offered = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
    for name in offered.split_ascii_whitespace() {
        // A controller that cannot be enabled shows when a limit of it is asked for.
        let _ = fs::write(parent.join("cgroup.subtree_control"), format!("+{name}"));
    }
}

/// The files to write, in order: pure, so that the arithmetic is tested.
fn settings(limits: &Resources) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let max = |n: i64| match n {
        n if n < 0 => "max".to_owned(),
        n => n.to_string(),
    };
    let memory = &limits.memory;
    if let Some(limit) = memory.limit.filter(|&n| n != 0) {
        out.push(("memory.max", max(limit)));
    }
    if let Some(low) = memory.reservation.filter(|&n| n != 0) {
        out.push(("memory.low", max(low)));
    }
    // The specification's swap is memory and swap together.
    match (memory.swap, memory.limit) {
        (Some(swap), _) if swap < 0 => out.push(("memory.swap.max", "max".to_owned())),
        (Some(swap), Some(limit)) if swap > 0 && limit > 0 => {
            let swap = swap.saturating_sub(limit).max(0);
            out.push(("memory.swap.max", swap.to_string()));
        }
        _ => {}
    }
    if limits.pids.limit != 0 {
        out.push(("pids.max", max(limits.pids.limit)));
    }
    let cpu = &limits.cpu;
    if let Some(quota) = cpu.quota.filter(|&n| n != 0) {
        let period = cpu.period.filter(|&n| n != 0).unwrap_or(100_000);
        out.push(("cpu.max", format!("{} {period}", max(quota))));
    }
    if let Some(shares) = cpu.shares.filter(|&n| n != 0) {
        // The kernel's own mapping of 2..262144 shares to a weight of 1..10000.
        let shares = shares.clamp(2, 262_144);
        out.push((
            "cpu.weight",
            (1 + (shares - 2) * 9999 / 262_142).to_string(),
        ));
    }
    if let Some(cpus) = cpu.cpus.as_ref().filter(|s| !s.is_empty()) {
        out.push(("cpuset.cpus", cpus.clone()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resources: serde_json::Value, expected: &[(&str, &str)]) {
        let limits: Resources = serde_json::from_value(resources).unwrap();
        let settings = settings(&limits);
        let got: Vec<(&str, &str)> = settings.iter().map(|(f, v)| (*f, v.as_str())).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn limits_become_the_files_of_version_two() {
        check(serde_json::json!({}), &[]);
        check(
            serde_json::json!({"memory": {"limit": 1000, "swap": 1500}, "pids": {"limit": 7}}),
            &[
                ("memory.max", "1000"),
                ("memory.swap.max", "500"),
                ("pids.max", "7"),
            ],
        );
        check(
            serde_json::json!({"memory": {"limit": -1, "swap": -1}, "pids": {"limit": -1}}),
            &[
                ("memory.max", "max"),
                ("memory.swap.max", "max"),
                ("pids.max", "max"),
            ],
        );
        check(
            serde_json::json!({"cpu": {"quota": 50000, "period": 100000, "shares": 1024}}),
            &[("cpu.max", "50000 100000"), ("cpu.weight", "39")],
        );
    }
}
