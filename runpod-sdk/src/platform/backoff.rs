//! How long to wait before trying again.

use std::time::Duration;

use super::PlatformError;

/// What the platform wants when it says 429 without a time.
const TOO_MANY: Duration = Duration::from_secs(5);

/// Doubling waits between two bounds, with jitter so that workers do not move in step.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    jitter: Jitter,
    attempt: u32,
    random: fastrand::Rng,
}

/// How much of a wait is left to chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jitter {
    /// Anything from nothing to the whole wait: spreads a crowd best.
    Full,
    /// Half the wait and up to as much again: never hammers.
    Half,
}

impl Backoff {
    /// Waits of up to `first`, then up to twice that, and so on.
    pub(crate) fn full_jitter(first: Duration, longest: Duration, random: fastrand::Rng) -> Self {
        Self {
            first,
            longest,
            jitter: Jitter::Full,
            attempt: 0,
            random,
        }
    }

    /// Waits of at least half of `first`, then at least `first`, and so on.
    pub(crate) fn half_jitter(first: Duration, longest: Duration, random: fastrand::Rng) -> Self {
        Self {
            first,
            longest,
            jitter: Jitter::Half,
            attempt: 0,
            random,
        }
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let bound = self
            .first
            .saturating_mul(2_u32.saturating_pow(self.attempt))
            .min(self.longest);
        self.attempt = self.attempt.saturating_add(1);
        match self.jitter {
            Jitter::Full => bound.mul_f64(self.random.f64()),
            Jitter::Half => bound.mul_f64(0.5 + self.random.f64() / 2.0),
        }
    }

    /// The wait before a request that failed so is sent again: the next one, or what the platform asks for if that
    /// is longer. Its `Retry-After` may be 0 or in the past.
    pub(crate) fn after(&mut self, error: &PlatformError) -> Duration {
        match (error.status(), error.retry_after()) {
            (Some(429), None) => TOO_MANY,
            (_, asked) => self.next().max(asked.unwrap_or_default()),
        }
    }

    /// Begins again with the first wait.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);

    #[test]
    fn two_seconds_of_errors_are_at_most_ten_attempts() {
        for seed in 0..500 {
            let mut backoff = Backoff::half_jitter(FIRST, LONGEST, fastrand::Rng::with_seed(seed));
            let mut passed = Duration::ZERO;
            let mut attempts = 1;
            while passed < Duration::from_secs(2) {
                passed += backoff.next();
                attempts += 1;
            }
            assert!(attempts <= 10, "{attempts} attempts with seed {seed}");
        }
    }

    #[test]
    fn what_the_platform_asks_for_makes_a_wait_longer_and_never_shorter() {
        let refused = |status, retry_after| PlatformError::Refused {
            operation: "done",
            status,
            retry_after,
            body: String::new(),
        };
        let random = fastrand::Rng::with_seed(1);
        for status in [429, 503] {
            let mut backoff = Backoff::half_jitter(FIRST, LONGEST, random.clone());
            let mut own = backoff.clone();
            for _ in 0..20 {
                assert_eq!(backoff.after(&refused(status, Some(Duration::ZERO))), own.next());
            }
            let hour = Duration::from_hours(1);
            assert_eq!(backoff.after(&refused(status, Some(hour))), hour);
        }
        let mut backoff = Backoff::half_jitter(FIRST, LONGEST, random);
        assert_eq!(backoff.after(&refused(429, None)), TOO_MANY);
        assert!(backoff.after(&refused(503, None)) <= FIRST);
    }

    proptest! {
        #[test]
        fn waits_stay_between_their_bounds(seed: u64, attempts in 0_usize..80) {
            let random = fastrand::Rng::with_seed(seed);
            let mut full = Backoff::full_jitter(FIRST, LONGEST, random.clone());
            let mut half = Backoff::half_jitter(FIRST, LONGEST, random);
            for attempt in 0..attempts {
                let bound = FIRST.mul_f64(2_f64.powi(i32::try_from(attempt.min(20)).unwrap())).min(LONGEST);
                prop_assert!(full.next() <= bound);
                let wait = half.next();
                prop_assert!(wait <= bound && wait >= bound / 2);
            }
            half.reset();
            prop_assert!(half.next() <= FIRST);
        }
    }
}
