//! Where programs that start microVMs can run: here, or in the emulated machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::layout::Layout;
use crate::process::command;

/// Where programs that start microVMs run.
pub(crate) enum Place {
    Host,
    Machine,
}

impl Place {
    pub(crate) fn choose(layout: &Layout) -> Result<Self> {
        let hull = layout.bin("hull");
        let report = command(&hull, ["doctor", "--json"])
            .output()
            .with_context(|| format!("run {} doctor", hull.display()))?;
        if report.status.success() {
            return Ok(Self::Host);
        }
        let supports = command(&hull, ["machine", "--help"])
            .output()
            .is_ok_and(|output| output.status.success());
        if !supports {
            bail!(
                "KVM cannot run a guest on this host, and {} has no `machine` verb to emulate one",
                hull.display()
            );
        }
        Ok(Self::Machine)
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
