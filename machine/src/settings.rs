//! Which machine, how large, and where its files are: the only place that makes its paths.
//!
//! ```text
//!   /var/lib/hull-machine/            0700
//!     boot/<hash>/{vmlinux,initramfs} shared by all machines, made anew when an input changes
//!     <name>/disk.raw                 /var/lib/hull inside
//!     <name>/program                  link to the hull binary that started it
//!     <name>/console.log[.old]        the machine's console, bounded
//!     <name>/hulld.log                what its daemon says
//!     <name>/supervisor.log
//!   /run/hull-machine/                0700
//!     probe.json                      the KVM probe's verdict in this boot
//!     <name>/start.lock               held while a command starts the machine
//!     <name>/alive.lock               held by the supervisor as long as it lives
//!     <name>/spec.json                what it was started with; removed by a clean stop
//!     <name>/control.sock, api.sock   the supervisor's; api.sock leads to hulld
//!     <name>/fs.sock                  QEMU's way to virtiofsd
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A machine's name: a path component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid machine name {0:?}: use up to 32 of a-z, 0-9, '-' and '_', a letter or digit first"
)]
pub struct NameError(String);

impl Default for Name {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = text.len() <= 32
            && text.starts_with(plain)
            && text.chars().all(|c| plain(c) || c == '-' || c == '_')
            // The folder of boot files has its place among the machines.
            && text != "boot";
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the machine's clocks follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The host's time.
    #[default]
    Host,
    /// Instructions that its one processor has executed, a nanosecond each: times repeat, on any
    /// host. While everything in it waits, the clock jumps to the next timer instead, so it never
    /// rests; and `rep movsb` is not offered as fast, since it would count once for each byte.
    Instructions,
}

/// A machine as it is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    pub name: Name,
    pub cpus: u32,
    pub memory_mib: u32,
    /// The size of the disk when it is made; sparse.
    pub disk_gib: u32,
    #[serde(default)]
    pub clock: Clock,
    /// The program that takes the hidden `machine role` verb: on both sides of the tunnel.
    pub program: PathBuf,
    /// The daemon that [`ensure`](crate::ensure) starts in the machine.
    pub daemon: PathBuf,
    /// Where the state of all machines is.
    pub state: PathBuf,
    /// Where their sockets and locks are.
    pub run: PathBuf,
}

/// Memory below which the machine has no room for a guest of its own.
const MIN_MEMORY_MIB: u32 = 1024;

#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("cannot find this program's own path: {0}")]
    Program(std::io::Error),
    #[error("a machine needs 1 to 64 processors, not {0}")]
    Cpus(u32),
    #[error("a machine that counts instructions has 1 processor, not {0}")]
    CountedCpus(u32),
    #[error("a machine needs at least {MIN_MEMORY_MIB} MiB of memory, not {0}")]
    Memory(u32),
    #[error("a machine needs a disk of 1 to 16384 GiB, not {0}")]
    Disk(u32),
    #[error("{0} is not visible in the machine, which has its own {1}")]
    Hidden(PathBuf, &'static str),
    #[error("{0}: a machine's files need an absolute path without blanks")]
    Path(PathBuf),
}

impl Options {
    /// The defaults, for the machine `name` of this program.
    pub fn new(name: Name) -> Result<Self, OptionsError> {
        let program = std::env::current_exe().map_err(OptionsError::Program)?;
        Ok(Self {
            name,
            // More run at once, but one may run into an instruction that another rewrites: QEMU
            // emulates that wrongly now and then, and the machine's kernel stops.
            cpus: 1,
            memory_mib: 4096,
            disk_gib: 64,
            clock: Clock::default(),
            daemon: program.with_file_name("hulld"),
            program,
            state: PathBuf::from("/var/lib/hull-machine"),
            run: PathBuf::from("/run/hull-machine"),
        })
    }

    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        if !(1..=64).contains(&self.cpus) {
            return Err(OptionsError::Cpus(self.cpus));
        }
        if self.clock == Clock::Instructions && self.cpus != 1 {
            return Err(OptionsError::CountedCpus(self.cpus));
        }
        if self.memory_mib < MIN_MEMORY_MIB {
            return Err(OptionsError::Memory(self.memory_mib));
        }
        if !(1..=16384).contains(&self.disk_gib) {
            return Err(OptionsError::Disk(self.disk_gib));
        }
        for path in [&self.program, &self.state] {
            if let Some(own) = OWN_FOLDERS.into_iter().find(|own| path.starts_with(own)) {
                return Err(OptionsError::Hidden(path.clone(), own));
            }
        }
        for path in [&self.state, &self.run] {
            // They end up in the kernel's command line and QEMU's option strings.
            let text = path.to_str().unwrap_or(" ");
            if !path.is_absolute() || text.contains(|c: char| c.is_whitespace() || c == ',') {
                return Err(OptionsError::Path(path.clone()));
            }
        }
        Ok(())
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths {
            state: self.state.join(self.name.to_string()),
            run: self.run.join(self.name.to_string()),
            boot: self.state.join("boot"),
        }
    }
}

/// Where the KVM probe's verdict is kept.
pub fn probe_file() -> &'static Path {
    Path::new("/run/hull-machine/probe.json")
}

/// Folders of the machine that are not the host's.
const OWN_FOLDERS: [&str; 5] = ["/proc", "/sys", "/dev", "/run", DATA];

/// Where the machine's disk is mounted inside.
pub(crate) const DATA: &str = "/var/lib/hull";

/// Where the daemon listens inside.
pub(crate) const DAEMON_SOCKET: &str = "/run/hull/hull.sock";

/// Where a machine's files are on the host.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) state: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) boot: PathBuf,
}

impl Paths {
    pub(crate) fn disk(&self) -> PathBuf {
        self.state.join("disk.raw")
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.state.join("program")
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.state.join("console.log")
    }

    pub(crate) fn daemon_log(&self) -> PathBuf {
        self.state.join("hulld.log")
    }

    pub(crate) fn supervisor_log(&self) -> PathBuf {
        self.state.join("supervisor.log")
    }

    pub(crate) fn start_lock(&self) -> PathBuf {
        self.run.join("start.lock")
    }

    pub(crate) fn alive_lock(&self) -> PathBuf {
        self.run.join("alive.lock")
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.run.join("spec.json")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.run.join("control.sock")
    }

    pub(crate) fn api(&self) -> PathBuf {
        self.run.join("api.sock")
    }

    pub(crate) fn fs(&self) -> PathBuf {
        self.run.join("fs.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_path_components() {
        for good in ["default", "a", "test-1", "0_x"] {
            assert_eq!(good.parse::<Name>().unwrap().to_string(), good);
        }
        for bad in ["", "..", "a/b", "-a", "A", "boot", "a b", &"a".repeat(33)] {
            bad.parse::<Name>().unwrap_err();
        }
    }

    #[test]
    fn options_that_cannot_work_are_refused() {
        let good = Options::new(Name::default()).unwrap();
        let with = |change: fn(&mut Options)| {
            let mut options = good.clone();
            change(&mut options);
            options.check()
        };
        with(|_| {}).unwrap();
        with(|o| o.cpus = 0).unwrap_err();
        let counted = |cpus| {
            let clock = Clock::Instructions;
            Options {
                cpus,
                clock,
                ..good.clone()
            }
            .check()
        };
        counted(1).unwrap();
        counted(2).unwrap_err();
        with(|o| o.memory_mib = 100).unwrap_err();
        with(|o| o.disk_gib = 0).unwrap_err();
        with(|o| o.program = "/run/hull".into()).unwrap_err();
        with(|o| o.state = "/tmp/a b".into()).unwrap_err();
        with(|o| o.run = "relative".into()).unwrap_err();
    }
}
