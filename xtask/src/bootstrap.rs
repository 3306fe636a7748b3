//! `bootstrap`: installs the Debian packages that are missing, and nothing else.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::layout::Layout;
use crate::packages::{self, Package};
use crate::process::{command, read, run as run_command};

pub(crate) fn run(_: &Layout, arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    install_missing()
}

/// Asks for the network and for root only when something is missing.
pub(crate) fn install_missing() -> Result<()> {
    let missing = packages::missing(packages::needed()?)?;
    if missing.is_empty() {
        println!("bootstrap: nothing to install");
        return Ok(());
    }
    for Package { name, reason } in &missing {
        println!("bootstrap: {name} is missing: {reason}");
    }
    let names: Vec<&str> = missing
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    if read(&mut command("id", ["-u"]))? != "0" {
        bail!(
            "installing packages needs root; run: sudo apt-get install {}",
            names.join(" ")
        );
    }
    run_command(apt_get().arg("update")).context("refresh the package lists")?;
    run_command(
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(names),
    )
    .context("install the missing packages")
}

fn apt_get() -> Command {
    let mut apt = command("apt-get", ["-q"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}
