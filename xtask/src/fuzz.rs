//! `fuzz`: feeds the parsers of hostile bytes whatever libFuzzer thinks of.
//!
//! The programs need flags that only a nightly compiler takes without being told;
//! `RUSTC_BOOTSTRAP` tells it. What is found stays under `fuzz/artifacts`, what was
//! learned under `fuzz/corpus`; neither is committed. `test` only compiles them.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::Arguments;
use crate::layout::Layout;
use crate::process::{command, run as run_command};

/// Long enough to find what is shallow.
const SECONDS: &str = "60";

pub(crate) fn run(layout: &Layout, mut arguments: Arguments) -> Result<()> {
    let seconds = arguments.value("--seconds")?;
    let limit = format!("-max_total_time={}", seconds.as_deref().unwrap_or(SECONDS));
    let known = targets(layout)?;
    let mut wanted = arguments.words()?;
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!(
            "no fuzz target {unknown:?}; there are: {}",
            known.join(", ")
        );
    }
    if wanted.is_empty() {
        wanted = known;
    }
    let there = command("cargo", ["fuzz", "--version"]).output();
    ensure!(
        there.is_ok_and(|output| output.status.success()),
        "cargo-fuzz is missing; `cargo install cargo-fuzz` gets it"
    );
    for target in wanted {
        println!("fuzz: {target}");
        let arguments = ["fuzz", "run", "--sanitizer", "none", &target, "--", &limit];
        run_command(
            command("cargo", arguments)
                .env("RUSTC_BOOTSTRAP", "1")
                .current_dir(layout.root()),
        )
        .with_context(|| format!("{target} found something; see fuzz/artifacts/{target}"))?;
    }
    Ok(())
}

/// Checks that the fuzz targets, which are no members of the workspace, still compile.
pub(crate) fn check(layout: &Layout) -> Result<()> {
    let mut cargo = command("cargo", ["clippy", "--quiet", "--bins"]);
    cargo.args([
        "--target-dir".as_ref(),
        layout.root().join("target").as_os_str(),
    ]);
    cargo.args(["--", "-D", "warnings"]);
    run_command(cargo.current_dir(layout.root().join("fuzz"))).context("check the fuzz targets")
}

fn targets(layout: &Layout) -> Result<Vec<String>> {
    let folder = layout.root().join("fuzz").join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .and_then(|n| n.strip_suffix(".rs"))
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}
