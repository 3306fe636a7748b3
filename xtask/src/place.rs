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
    Machine,
}

impl Place {
    pub(crate) fn choose(layout: &Layout) -> Result<Self> {
        let hull = layout.bin("hull");
        let doctor = command(&hull, ["doctor"])
            .output()
            .with_context(|| format!("run {} doctor", hull.display()))?;
        match doctor.status.code() {
            Some(0) => Ok(Self::Host),
            Some(ONLY_IN_MACHINE) => Ok(Self::Machine),
            _ => bail!(
                "no microVM can run here; hull doctor says:\n{}{}",
                String::from_utf8_lossy(&doctor.stdout),
                String::from_utf8_lossy(&doctor.stderr)
            ),
        }
    }

    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Host => "on this host, whose KVM runs guests",
            Self::Machine => "in the emulated machine, as this host cannot run a guest",
        }
    }

    /// A command that runs `program` there.
    pub(crate) fn command(&self, layout: &Layout, program: &Path) -> Command {
        match self {
            Self::Host => Command::new(program),
            Self::Machine => {
                let mut machine = command(layout.bin("hull"), ["machine", "exec", "--"]);
                machine.arg(program);
                machine
            }
        }
    }
}
