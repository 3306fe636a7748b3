//! `bootstrap`: installs the Debian packages that are missing, and nothing else, and says so where
//! there is no docker command line, which only tests need.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::layout::Layout;
use crate::packages::{self, Package};
use crate::process::{command, read, run as run_command};

pub(crate) fn run(_: &Layout, arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    install_missing()?;
    check_docker()
}

/// Whether the docker command line that tests run against `hulld` is there. It is not in the list,
/// since where it comes from is a choice: some packages of it bring a daemon that is started.
pub(crate) fn check_docker() -> Result<()> {
    let works = command("docker", ["--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if works { Ok(()) } else { bail!(NO_DOCKER) }
}

const NO_DOCKER: &str = "the docker command line is missing, which tests run against hulld: \
    apt-get install docker-cli, or docker.io before Debian 13 (it starts a daemon that no test \
    needs), or put a `docker` of version 28 into the PATH";

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
