//! So often, and no more often, within a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Counts what happened lately.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    at_most: u32,
    within: Duration,
    spent: VecDeque<Instant>,
}

impl Budget {
    pub(super) fn new(at_most: u32, within: Duration) -> Self {
        Self {
            at_most,
            within,
            spent: VecDeque::new(),
        }
    }

    /// Takes one out and says how many were taken lately, this one included; `None` when it is spent.
    pub(super) fn take(&mut self, now: Instant) -> Option<u32> {
        while self
            .spent
            .front()
            .is_some_and(|then| now.duration_since(*then) >= self.within)
        {
            self.spent.pop_front();
        }
        let taken = u32::try_from(self.spent.len()).unwrap_or(u32::MAX);
        if taken >= self.at_most {
            return None;
        }
        self.spent.push_back(now);
        Some(taken + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_long_ago_does_not_count() {
        let mut budget = Budget::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(budget.take(at(0)), Some(1));
        assert_eq!(budget.take(at(5)), Some(2));
        assert_eq!(budget.take(at(9)), None);
        assert_eq!(budget.take(at(10)), Some(2), "the first one is forgotten");
        assert_eq!(Budget::new(0, Duration::from_secs(1)).take(start), None);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_limit(
            at_most in 0_u32..5,
            gaps in prop::collection::vec(0_u64..20, 0..60),
        ) {
            let within = Duration::from_secs(30);
            let mut budget = Budget::new(at_most, within);
            let mut now = Instant::now();
            let mut granted = Vec::new();
            for gap in gaps {
                now += Duration::from_secs(gap);
                if budget.take(now).is_some() {
                    granted.push(now);
                }
            }
            for first in &granted {
                let inside = granted.iter().filter(|then| *then >= first && **then - *first < within);
                prop_assert!(inside.count() <= at_most as usize);
            }
        }
    }
}
