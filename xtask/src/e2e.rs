//! `e2e`: the end-to-end tests, against real microVMs.
//!
//! The test programs are built here. Where this host's KVM runs guests they run
//! here; elsewhere they run inside the emulated machine, through `hull machine
//! exec`, which sees this checkout at the same path. `hull doctor` says which: the
//! existence of `/dev/kvm` says nothing (see `docs/`).

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::arguments::Arguments;
use crate::build::{self, Effort};
use crate::busybox;
use crate::layout::Layout;
use crate::place::Place;
use crate::process::{command, read, watch};
use crate::summary::Tally;
use crate::test::Outcome;

const PACKAGE: &str = "hull-tests";

pub(crate) fn run(layout: &Layout, arguments: Arguments) -> Result<()> {
    let filters = arguments.words()?;
    everything(layout, &filters)?.conclude()
}

/// Builds all, then runs the tests whose name contains one of `filters`, or all.
pub(crate) fn everything(layout: &Layout, filters: &[String]) -> Result<Outcome> {
    build::everything(layout, Effort::Release)?;
    busybox::make(layout)?;
    let programs = test_programs(layout)?;
    ensure!(
        !programs.is_empty(),
        "the {PACKAGE} crate has no test programs"
    );
    let place = Place::choose(layout)?;
    println!("e2e: {}", place.describe());

    let mut outcome = Outcome {
        tally: Tally::default(),
        succeeded: true,
    };
    for program in programs {
        let mut test = place.command(layout, &program);
        // One at a time: each boots VMs, and the machine emulates its processors.
        test.args(["--test-threads", "1"]).args(filters);
        let seen = watch(&mut test).with_context(|| format!("run {}", program.display()))?;
        outcome.tally += Tally::read(&seen.output);
        if !seen.status.success() {
            println!("e2e: {} ended with {}", program.display(), seen.status);
            outcome.succeeded = false;
        }
    }
    Ok(outcome)
}

/// The paths that cargo says it built.
fn test_programs(layout: &Layout) -> Result<Vec<PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let messages = read(
        command(
            cargo,
            [
                "test",
                "--quiet",
                "--no-run",
                "--message-format=json",
                "--package",
                PACKAGE,
            ],
        )
        .current_dir(layout.root()),
    )
    .context("build the end-to-end tests")?;
    Ok(messages.lines().filter_map(executable).collect())
}

/// The `executable` of one of cargo's JSON messages. Cargo writes them without
/// blanks, and the paths of this checkout need no unescaping worth a JSON parser.
fn executable(message: &str) -> Option<PathBuf> {
    let (_, profile) = message.split_once(r#""profile":{"#)?;
    let (profile, _) = profile.split_once('}')?;
    if !profile.contains(r#""test":true"#) {
        return None; // a program of the package, which its tests may need
    }
    let (_, rest) = message.split_once(r#""executable":""#)?;
    let (path, _) = rest.split_once('"')?;
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_built_executables_are_taken_from_cargo() {
        let artifact = r#"{"reason":"compiler-artifact","target":{"name":"run"},"profile":{"opt_level":"0","test":true},"executable":"/t/run-1","fresh":true}"#;
        let program = artifact.replace(r#""test":true"#, r#""test":false"#);
        assert_eq!(executable(&program), None);
        assert_eq!(executable(artifact), Some(PathBuf::from("/t/run-1")));
        assert_eq!(
            executable(r#"{"reason":"compiler-artifact","executable":null}"#),
            None
        );
        assert_eq!(
            executable(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }
}
