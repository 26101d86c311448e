//! Counting tests in the output of test runners.

use std::fmt;

/// How many tests did what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Tally {
    /// Adds what a line says, if it is a runner's closing line.
    pub(super) fn read(&mut self, line: &str) {
        // At the line's beginning: nextest shows the output of a failed test, which has such a line too, indented.
        let counts = if let Some(counts) = line.strip_prefix("test result: ") {
            // `ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
            counts.split_once(". ").map_or(counts, |(_, counts)| counts)
        } else if line.trim_start().starts_with("Summary [") {
            // `Summary [   0.012s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped`
            line.split_once("run: ").map_or("", |(_, counts)| counts)
        } else {
            return;
        };
        for part in counts.split([';', ',']) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(kind)) = (words.next(), words.next()) else {
                continue;
            };
            let Ok(count) = count.parse::<usize>() else {
                continue;
            };
            match kind {
                "passed" => self.passed += count,
                "failed" | "timed" | "exec" => self.failed += count,
                "ignored" | "skipped" => self.skipped += count,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "tests: {passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> String {
        let mut tally = Tally::default();
        for line in lines {
            tally.read(line);
        }
        tally.to_string()
    }

    #[test]
    fn the_closing_lines_of_both_runners_are_added_up() {
        let lines = [
            "        PASS [   0.004s] sd-worker tests::a_failed_test_result: passed",
            "     Summary [   3.104s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 2 skipped",
            "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ];
        assert_eq!(tally(&lines), "tests: 17 passed, 2 failed, 3 skipped");
    }

    #[test]
    fn a_failed_test_that_nextest_shows_is_counted_once() {
        let lines = [
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 8 filtered out; finished in 0.3s",
            "     Summary [   3.104s] 2 tests run: 1 passed, 1 failed, 0 skipped",
        ];
        assert_eq!(tally(&lines), "tests: 1 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_cancelled_run_counts_what_was_run() {
        let lines = ["  Summary [   0.1s] 3/9 tests run: 2 passed, 1 failed, 0 skipped"];
        assert_eq!(tally(&lines), "tests: 2 passed, 1 failed, 0 skipped");
    }
}
