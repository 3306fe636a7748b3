//! Where programs that start microVMs can run: here, or in the emulated machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::layout::Layout;
use crate::process::command;

/// `hull doctor` ends with it where Hull runs only in the emulated machine.
const ONLY_IN_MACHINE: i32 = 3;

/// Where programs that start microVMs run.
pub(crate) enum Place {
    Host,
    /// In the emulated machine of this name.
    Machine(&'static str),
}

/// Machines that tests share. Each emulates one processor, and takes memory as it uses it.
const MACHINES: &[&str] = &["default", "second"];

impl Place {
    pub(crate) fn choose(layout: &Layout) -> Result<Self> {
        let hull = layout.bin("hull");
        let doctor = command(&hull, ["doctor"])
            .output()
            .with_context(|| format!("run {} doctor", hull.display()))?;
        match doctor.status.code() {
            Some(0) => Ok(Self::Host),
            Some(ONLY_IN_MACHINE) => Ok(Self::Machine(MACHINES[0])),
            _ => bail!(
                "no microVM can run here; hull doctor says:\n{}{}",
                String::from_utf8_lossy(&doctor.stdout),
                String::from_utf8_lossy(&doctor.stderr)
            ),
        }
    }

    /// Places like this that can be used at once, each by one: a host is all of itself, and there
    /// may be as many machines as this host has processors.
    pub(crate) fn stages(self) -> Vec<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        match self {
            Self::Host => vec![self],
            Self::Machine(_) => MACHINES
                .iter()
                .take(processors)
                .map(|name| Self::Machine(name))
                .collect(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Host => "on this host, whose KVM runs guests".to_owned(),
            Self::Machine(name) => {
                format!("in the emulated machine {name:?}, as this host cannot run a guest")
            }
        }
    }

    /// A command that runs `program` there.
    pub(crate) fn command(&self, layout: &Layout, program: &Path) -> Command {
        match self {
            Self::Host => Command::new(program),
            Self::Machine(name) => {
                let mut machine = command(
                    layout.bin("hull"),
                    ["machine", "--name", name, "exec", "--"],
                );
                machine.arg(program);
                machine
            }
        }
    }
}
