//! How often and after what pauses a request is sent again.

use std::time::Duration;

/// When requests are repeated. Which ones may be, see [the module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    pub(crate) attempts: u32,
    pub(crate) base: Duration,
    pub(crate) longest: Duration,
}

impl RetryPolicy {
    /// At most six tries, pauses of up to 0.2, 0.4, 0.8 … 10 s.
    pub const DEFAULT: Self = Self {
        attempts: 6,
        base: Duration::from_millis(200),
        longest: Duration::from_secs(10),
    };

    /// Every request is sent once.
    pub const NEVER: Self = Self {
        attempts: 1,
        ..Self::DEFAULT
    };

    /// The most tries, the first included. At least one.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The bound of the first pause, which doubles with every try, and the bound of all pauses.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.base = first;
        self.longest = longest;
        self
    }

    /// The pause after try number `attempt`, counted from one: full jitter, but no less than the server asked for.
    pub(crate) fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let bound = self.bound(attempt);
        let jittered = bound.mul_f64(fastrand::f64());
        jittered.max(asked.unwrap_or_default().min(MOST_PATIENCE))
    }

    fn bound(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.base.saturating_mul(doubled).min(self.longest)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The longest `Retry-After` that is obeyed.
const MOST_PATIENCE: Duration = Duration::from_mins(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let policy = RetryPolicy::DEFAULT;
        let bounds: Vec<_> = (1..=8).map(|attempt| policy.bound(attempt).as_millis()).collect();
        assert_eq!(bounds, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(policy.bound(u32::MAX), policy.longest);
    }

    #[test]
    fn a_pause_is_never_shorter_than_the_server_asks() {
        let pause = RetryPolicy::DEFAULT.pause(1, Some(Duration::from_secs(3)));
        assert_eq!(pause, Duration::from_secs(3));
        assert_eq!(RetryPolicy::DEFAULT.pause(1, Some(Duration::MAX)), MOST_PATIENCE);
    }
}
