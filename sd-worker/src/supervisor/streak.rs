//! Counts failed renders in a row. It is pure.
//!
//! A WebUI may fail every job with an exception that no rule knows. After a few of them one small render of the worker's
//! own decides whether the WebUI is well. If it is, the jobs were at fault, and the next trial comes later.

/// The failures before the first trial.
const FIRST_TRIAL: u32 = 3;
/// The most failures before a trial.
const LAST_TRIAL: u32 = 48;

/// The failures since the last render that worked.
#[derive(Debug)]
pub(super) struct FailureStreak {
    failures: u32,
    trial_after: u32,
}

impl Default for FailureStreak {
    fn default() -> Self {
        Self {
            failures: 0,
            trial_after: FIRST_TRIAL,
        }
    }
}

impl FailureStreak {
    /// A render worked.
    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// A render failed, and the request is not at fault as far as that is known. Returns whether a trial is due.
    pub(super) fn failed(&mut self) -> bool {
        self.failures += 1;
        let is_due = self.failures >= self.trial_after;
        if is_due {
            self.failures = 0;
            self.trial_after = (self.trial_after * 2).min(LAST_TRIAL);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_due_after_three_failures_and_then_ever_later() {
        let mut streak = FailureStreak::default();
        let due: Vec<u32> = (1..=150).filter(|_| streak.failed()).collect();
        assert_eq!(due, [3, 9, 21, 45, 93, 141]);
    }

    #[test]
    fn a_render_that_works_begins_the_count_anew() {
        let mut streak = FailureStreak::default();
        for _ in 0..10 {
            assert!(!streak.failed());
            assert!(!streak.failed());
            streak.worked();
        }
        assert!(!streak.failed() && !streak.failed() && streak.failed());
    }
}
