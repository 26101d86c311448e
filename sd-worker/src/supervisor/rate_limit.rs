//! A sliding-window rate limit.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Allows at most `limit` events in any `window`.
#[derive(Debug, Clone)]
pub(super) struct RateLimit {
    limit: u32,
    window: Duration,
    events: VecDeque<Instant>,
}

impl RateLimit {
    pub(super) fn new(limit: u32, window: Duration) -> Self {
        Self {
            limit,
            window,
            events: VecDeque::new(),
        }
    }

    /// Records an event and returns the number of events in the window, this one included. `None` if the limit is
    /// reached.
    pub(super) fn take(&mut self, now: Instant) -> Option<u32> {
        while self
            .events
            .front()
            .is_some_and(|then| now.duration_since(*then) >= self.window)
        {
            self.events.pop_front();
        }
        let taken = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        if taken >= self.limit {
            return None;
        }
        self.events.push_back(now);
        Some(taken + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_before_the_window_do_not_count() {
        let mut rate = RateLimit::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate.take(at(0)), Some(1));
        assert_eq!(rate.take(at(5)), Some(2));
        assert_eq!(rate.take(at(9)), None);
        assert_eq!(rate.take(at(10)), Some(2), "the first one is forgotten");
        assert_eq!(RateLimit::new(0, Duration::from_secs(1)).take(start), None);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_limit(
            limit in 0_u32..5,
            gaps in prop::collection::vec(0_u64..20, 0..60),
        ) {
            let window = Duration::from_secs(30);
            let mut rate = RateLimit::new(limit, window);
            let mut now = Instant::now();
            let mut granted = Vec::new();
            for gap in gaps {
                now += Duration::from_secs(gap);
                if rate.take(now).is_some() {
                    granted.push(now);
                }
            }
            for first in &granted {
                let inside = granted.iter().filter(|then| *then >= first && **then - *first < window);
                prop_assert!(inside.count() <= limit as usize);
            }
        }
    }
}
