//! Tests that wait for a stage, and the stages that take them one at a time.
//!
//! Each test boots VMs, so a stage runs one at a time. An emulated machine has one processor:
//! where the host has more, several machines share the tests, each a test at a time from one list.

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::layout::Layout;
use crate::place::Place;
use crate::process::{Watched, capture};
use crate::summary::Tally;
use crate::test::Outcome;

/// One test of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) program: std::path::PathBuf,
    pub(super) name: String,
}

impl Test {
    /// The program's name without cargo's hash, then the test's.
    fn title(&self) -> String {
        let program = self.program.file_name().unwrap_or_default();
        let program = program.to_string_lossy();
        let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
        format!("{program}::{}", self.name)
    }

    /// Whether it starts no VM.
    pub(super) fn is_native(&self) -> bool {
        self.title().starts_with("native_")
    }

    fn command(&self, layout: &Layout, stage: &Place) -> Command {
        let mut command = stage.command(layout, &self.program);
        command.args(["--exact", &self.name, "--test-threads", "1"]);
        command
    }
}

/// The names in what a test program answers to `--list --format terse`.
pub(super) fn listed(output: &str) -> impl Iterator<Item = &str> {
    output
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
}

/// Runs every test on whichever stage is free, and prints a line for each that passed and all that
/// was said by each that failed.
pub(super) fn run(layout: &Layout, stages: &[Place], tests: Vec<Test>) -> Result<Outcome> {
    let waiting = Mutex::new(tests.into_iter());
    let outcome = Mutex::new(Outcome {
        tally: Tally::default(),
        succeeded: true,
    });
    std::thread::scope(|scope| {
        let work = |stage: &Place| -> Result<()> {
            while let Some(test) = next(&waiting) {
                let started = Instant::now();
                let seen = capture(&mut test.command(layout, stage))
                    .with_context(|| format!("run {}", test.title()))?;
                let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                record(&mut outcome, &test, &seen, started.elapsed());
            }
            Ok(())
        };
        let workers: Vec<_> = stages
            .iter()
            .map(|stage| scope.spawn(move || work(stage)))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    Ok(outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn next(waiting: &Mutex<std::vec::IntoIter<Test>>) -> Option<Test> {
    waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .next()
}

/// Adds a test's end to the outcome: it passed only if its program says so and ran it.
fn record(outcome: &mut Outcome, test: &Test, seen: &Watched, took: Duration) {
    let tally = Tally::read(&seen.output);
    let title = test.title();
    let seconds = took.as_secs_f32();
    let passed = Tally {
        passed: 1,
        failed: 0,
    };
    if seen.status.success() && tally == passed {
        println!("e2e: {title} passed ({seconds:.1} s)");
        outcome.tally += passed;
        return;
    }
    println!(
        "{}\ne2e: {title} FAILED: {} ({seconds:.1} s)",
        seen.output.trim_end(),
        seen.status
    );
    outcome.succeeded = false;
    outcome.tally += Tally {
        passed: 0,
        failed: 1,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str) -> Test {
        Test {
            program: "/t/deps/run-0123abc".into(),
            name: name.into(),
        }
    }

    fn seen(script: &str) -> Watched {
        capture(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn a_title_has_the_program_without_its_hash() {
        assert_eq!(test("it_runs").title(), "run::it_runs");
    }

    #[test]
    fn a_native_test_is_known_by_its_program() {
        assert!(!test("native_it_runs").is_native());
        let native = Test {
            program: "/t/deps/native_replay-0123abc".into(),
            ..test("it_runs")
        };
        assert!(native.is_native());
    }

    #[test]
    fn only_tests_are_listed() {
        let output = "one: test\ntwo: benchmark\nmodule::three: test\n\n3 tests, 0 benchmarks\n";
        assert_eq!(listed(output).collect::<Vec<_>>(), ["one", "module::three"]);
    }

    #[test]
    fn a_test_passes_only_if_it_ran_and_its_program_succeeded() {
        let ok = "echo 'test result: ok. 1 passed; 0 failed; 0 ignored'";
        let mut outcome = Outcome {
            tally: Tally::default(),
            succeeded: true,
        };
        let mut record = |script: &str| {
            record(&mut outcome, &test("t"), &seen(script), Duration::ZERO);
            (
                outcome.tally.passed,
                outcome.tally.failed,
                outcome.succeeded,
            )
        };
        assert_eq!(record(ok), (1, 0, true));
        // Nothing ran: the name is gone, or the test is ignored.
        assert_eq!(
            record("echo 'test result: ok. 0 passed; 0 failed; 1 ignored'"),
            (1, 1, false)
        );
        // All was said, and then the program died.
        assert_eq!(record(&format!("{ok}; exit 3")), (1, 2, false));
    }
}
