//! `test`: everything CI checks, in the order that fails fastest: format, lints,
//! tidy, unit tests, end-to-end tests.
//!
//! It ends with the runners' own summaries and one line with their sum.

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::build::{self, Effort};
use crate::layout::Layout;
use crate::process::{command, run as run_command, watch};
use crate::steps::Steps;
use crate::summary::Tally;
use crate::{bootstrap, e2e, fuzz, tidy};

pub(crate) fn run(layout: &Layout, mut arguments: Arguments) -> Result<()> {
    let units_only = arguments.flag("--no-e2e");
    arguments.finish()?;
    let mut steps = Steps::of("test");
    steps.time("install missing packages", || {
        bootstrap::install_missing()?;
        bootstrap::check_docker()
    })?;
    steps.time("check the format (`cargo fmt --all` mends it)", || {
        run_command(&mut cargo(layout, &["fmt", "--all", "--check"]))
    })?;
    steps.time("check the lints", || {
        run_command(&mut cargo(layout, CLIPPY))
    })?;
    steps.time("check the fuzz targets", || fuzz::check(layout))?;
    steps.time("check the style rules", || tidy::check(layout))?;

    let mut outcome = steps.time("unit tests", || units(layout))?;
    println!("unit tests: {}", outcome.tally);
    if !units_only {
        steps.time("build Hull and its guest kernel", || {
            build::everything(layout, Effort::Release)
        })?;
        let end_to_end = steps.time("end-to-end tests", || e2e::everything(layout, &[]))?;
        println!(
            "\nunit tests: {}\nend-to-end tests: {}",
            outcome.tally, end_to_end.tally
        );
        outcome = outcome.and(end_to_end);
    }
    steps.print();
    outcome.conclude()
}

const CLIPPY: &[&str] = &[
    "clippy",
    "--quiet",
    "--workspace",
    "--all-targets",
    "--",
    "-D",
    "warnings",
];

/// What a test run came to. A runner may fail without a failed test: when it does
/// not compile, for one.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) succeeded: bool,
}

impl Outcome {
    pub(crate) fn and(self, other: Self) -> Self {
        let mut tally = self.tally;
        tally += other.tally;
        Self {
            tally,
            succeeded: self.succeeded && other.succeeded,
        }
    }

    /// Prints the total as the last line, and fails if a run failed or ran nothing.
    pub(crate) fn conclude(self) -> Result<()> {
        println!("{}", self.tally);
        if !self.succeeded || self.tally.failed > 0 {
            bail!("tests failed");
        }
        if self.tally.passed == 0 {
            bail!("no tests ran");
        }
        Ok(())
    }
}

fn units(layout: &Layout) -> Result<Outcome> {
    let nextest = cargo(layout, &["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    let runner: &[&str] = if nextest {
        &["nextest", "run", "--no-fail-fast", "--status-level", "fail"]
    } else {
        &["test", "--no-fail-fast"]
    };
    let seen = watch(cargo(layout, runner).args(["--workspace", "--exclude", "hull-tests"]))
        .context("run the unit tests")?;
    Ok(Outcome {
        tally: Tally::read(&seen.output),
        succeeded: seen.status.success(),
    })
}

fn cargo(layout: &Layout, arguments: &[&str]) -> std::process::Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = command(cargo, arguments);
    command.current_dir(layout.root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(passed: u64, failed: u64, succeeded: bool) -> Outcome {
        Outcome {
            tally: Tally { passed, failed },
            succeeded,
        }
    }

    #[test]
    fn a_total_succeeds_only_when_tests_ran_and_all_passed() {
        assert!(outcome(3, 0, true).conclude().is_ok());
        assert!(outcome(3, 1, true).conclude().is_err());
        assert!(outcome(3, 0, false).conclude().is_err());
        assert!(outcome(0, 0, true).conclude().is_err());
    }

    #[test]
    fn totals_add_up() {
        let both = outcome(3, 0, true).and(outcome(2, 1, false));
        assert_eq!(
            both.tally,
            Tally {
                passed: 5,
                failed: 1
            }
        );
        assert!(!both.succeeded);
    }
}
