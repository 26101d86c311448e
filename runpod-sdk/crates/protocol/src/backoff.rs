//! How long to wait before the next attempt.

use std::time::Duration;

/// Waits that double between two bounds, with jitter so that workers do not move in step.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    jitter: Jitter,
    attempt: u32,
    random: fastrand::Rng,
}

/// The part of a wait that is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jitter {
    /// From nothing to the whole wait. It spreads a crowd best.
    Full,
    /// From half the wait to the whole. It never hammers a server.
    Half,
}

impl Backoff {
    /// Waits of up to `first`, then up to twice that, and so on.
    pub fn full_jitter(first: Duration, longest: Duration, random: fastrand::Rng) -> Self {
        Self {
            first,
            longest,
            jitter: Jitter::Full,
            attempt: 0,
            random,
        }
    }

    /// Waits of at least half of `first`, then at least `first`, and so on.
    pub fn half_jitter(first: Duration, longest: Duration, random: fastrand::Rng) -> Self {
        Self {
            first,
            longest,
            jitter: Jitter::Half,
            attempt: 0,
            random,
        }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let bound = doubled(self.first, self.attempt, self.longest);
        self.attempt = self.attempt.saturating_add(1);
        match self.jitter {
            Jitter::Full => bound.mul_f64(self.random.f64()),
            Jitter::Half => bound.mul_f64(0.5 + self.random.f64() / 2.0),
        }
    }

    /// Begins again with the first wait.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// The span `first`, doubled `times` times, but at most `longest`.
pub fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
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
                passed += backoff.next_wait();
                attempts += 1;
            }
            assert!(attempts <= 10, "{attempts} attempts with seed {seed}");
        }
    }

    #[test]
    fn spans_double_to_their_bound() {
        let (first, longest) = (Duration::from_millis(200), Duration::from_secs(10));
        let bounds: Vec<_> = (0..8)
            .map(|times| doubled(first, times, longest).as_millis())
            .collect();
        assert_eq!(bounds, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(doubled(first, u32::MAX, longest), longest);
    }

    proptest! {
        #[test]
        fn waits_stay_between_their_bounds(seed: u64, attempts in 0_usize..80) {
            let random = fastrand::Rng::with_seed(seed);
            let mut full = Backoff::full_jitter(FIRST, LONGEST, random.clone());
            let mut half = Backoff::half_jitter(FIRST, LONGEST, random);
            for attempt in 0..attempts {
                let bound = FIRST.mul_f64(2_f64.powi(i32::try_from(attempt.min(20)).unwrap())).min(LONGEST);
                prop_assert!(full.next_wait() <= bound);
                let wait = half.next_wait();
                prop_assert!(wait <= bound && wait >= bound / 2);
            }
            half.reset();
            prop_assert!(half.next_wait() <= FIRST);
        }
    }
}
