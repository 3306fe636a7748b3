//! Reads how many tests passed and failed from what test runners print.
//!
//! Two runners are known: cargo-nextest (`Summary [ 1.2s] 5 tests run: 4 passed, 1
//! failed, 0 skipped`) and libtest (`test result: ok. 5 passed; 0 failed; …`). The
//! counts of several runs are added up, so that `test` can end with one line.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Adds up every summary line in a runner's output. Where nextest ran, its own lines alone
    /// count: the output that it shows of a failed test ends with a line of libtest's.
    pub(crate) fn read(output: &str) -> Self {
        let plain: Vec<String> = output.lines().map(without_colour).collect();
        let lines = || plain.iter().map(|line| line.trim());
        let mut counts: Vec<&str> = lines()
            .filter(|line| line.starts_with("Summary ["))
            .filter_map(|line| Some(line.split_once(" run: ")?.1))
            .collect();
        if counts.is_empty() {
            counts.extend(lines().filter_map(|line| line.strip_prefix("test result:")));
        }
        let mut tally = Self::default();
        for counts in counts {
            // A nextest timeout is a failure of its own kind.
            tally += Self {
                passed: count(counts, "passed"),
                failed: count(counts, "failed") + count(counts, "timed"),
            };
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The number right before `word`; 0 where the runner left it out.
fn count(text: &str, word: &str) -> u64 {
    let mut before = "";
    for token in text
        .split([' ', ',', ';', '('])
        .filter(|token| !token.is_empty())
    {
        if token == word {
            return before.parse().unwrap_or(0);
        }
        before = token;
    }
    0
}

/// Drops ANSI colour sequences (`ESC [ … m`).
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, passed: u64, failed: u64) {
        assert_eq!(Tally::read(output), Tally { passed, failed }, "{output}");
    }

    #[test]
    fn nextest_summaries_are_read() {
        check(
            "     Summary [   0.040s] 3 tests run: 3 passed, 0 skipped\n",
            3,
            0,
        );
        check(
            "Summary [ 1.2s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 4 skipped",
            9,
            3,
        );
        check(
            "Summary [ 1.2s] 7/12 tests run: 6 passed, 1 failed, 0 skipped",
            6,
            1,
        );
        check(
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped",
            1,
            0,
        );
    }

    #[test]
    fn libtest_summaries_are_added_up() {
        check(
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            6,
            2,
        );
    }

    #[test]
    fn a_failed_test_that_nextest_shows_counts_once() {
        check(
            "  stdout ───\n    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured\n\
             Summary [ 39.3s] 658 tests run: 657 passed, 1 failed, 0 skipped\n",
            657,
            1,
        );
    }

    #[test]
    fn other_lines_do_not_count() {
        check(
            "test passed ... ok\n9 passed, 9 failed\nthe Summary is 4 tests run: 4 passed\n",
            0,
            0,
        );
    }

    #[test]
    fn the_total_reads_as_ci_expects() {
        assert_eq!(
            Tally {
                passed: 12,
                failed: 0
            }
            .to_string(),
            "12 passed, 0 failed"
        );
    }
}
