//! `e2e`: the end-to-end tests, against real microVMs.
//!
//! The test programs are built here. Where this host's KVM runs guests they run
//! here; elsewhere they run inside emulated machines, through `hull machine exec`,
//! which see this checkout at the same path. `hull doctor` says which: the
//! existence of `/dev/kvm` says nothing (see `docs/`). Programs called `native_…` start
//! no VM, and run here in any case.

mod queue;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::arguments::Arguments;
use crate::build::{self, Effort};
use crate::layout::Layout;
use crate::place::Place;
use crate::process::{command, read};
use crate::test::Outcome;
use crate::{busybox, clients};
use queue::Test;

const PACKAGE: &str = "hull-tests";

pub(crate) fn run(layout: &Layout, arguments: Arguments) -> Result<()> {
    let filters = arguments.words()?;
    build::everything(layout, Effort::Release)?;
    everything(layout, &filters)?.conclude()
}

/// Runs the tests whose name contains one of `filters`, or all, on what has been built.
pub(crate) fn everything(layout: &Layout, filters: &[String]) -> Result<Outcome> {
    busybox::make(layout)?;
    clients::fetch(layout)?;
    let programs = test_programs(layout)?;
    ensure!(
        !programs.is_empty(),
        "the {PACKAGE} crate has no test programs"
    );
    let mut tests = Vec::new();
    for program in programs {
        tests.extend(tests_of(&program, filters)?);
    }
    let stages = Place::choose(layout)?.stages();
    for stage in &stages {
        println!("e2e: {}", stage.describe());
    }
    let (native, guests): (Vec<Test>, _) = tests.into_iter().partition(Test::is_native);
    let native = queue::run(layout, &[Place::Host], native)?;
    Ok(native.and(queue::run(layout, &stages, guests)?))
}

/// The tests of a program whose name contains one of `filters`, or all.
fn tests_of(program: &Path, filters: &[String]) -> Result<Vec<Test>> {
    let output = read(&mut command(program, ["--list", "--format", "terse"]))
        .with_context(|| format!("list the tests of {}", program.display()))?;
    let wanted =
        |name: &&str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
    Ok(queue::listed(&output)
        .filter(wanted)
        .map(|name| Test {
            program: program.to_owned(),
            name: name.to_owned(),
        })
        .collect())
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
