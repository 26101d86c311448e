//! How often and after what pauses a request is sent again.

use std::time::Duration;

use runpod_protocol::backoff::Backoff;

/// When requests are repeated. The table in [the crate's docs](crate) says which ones may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

/// The longest `Retry-After` that is obeyed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(2);

impl RetryPolicy {
    /// At most six tries, pauses of up to 0.2, 0.4, 0.8 … 10 s.
    pub const DEFAULT: Self = Self {
        attempts: 6,
        first_pause: Duration::from_millis(200),
        longest_pause: Duration::from_secs(10),
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
        self.first_pause = first;
        self.longest_pause = longest;
        self
    }

    /// The retries of one request.
    pub(crate) fn retries(&self) -> Retries {
        Retries {
            left: self.attempts - 1,
            backoff: Backoff::full_jitter(self.first_pause, self.longest_pause, fastrand::Rng::new()),
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The retries that one request has left.
#[derive(Debug)]
pub(crate) struct Retries {
    left: u32,
    backoff: Backoff,
}

impl Retries {
    /// The pause before the next try, no shorter than the server asked for; `None` when no try is left.
    pub(crate) fn next_pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let asked = asked.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        Some(self.backoff.next_wait().max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_never_shorter_than_the_server_asks() {
        let pause = RetryPolicy::DEFAULT
            .retries()
            .next_pause(Some(Duration::from_secs(3)));
        assert_eq!(pause, Some(Duration::from_secs(3)));
        let pause = RetryPolicy::DEFAULT.retries().next_pause(Some(Duration::MAX));
        assert_eq!(pause, Some(LONGEST_RETRY_AFTER));
    }

    #[test]
    fn a_policy_ends_after_its_tries() {
        let mut retries = RetryPolicy::DEFAULT.attempts(3).retries();
        assert!(retries.next_pause(None).is_some() && retries.next_pause(None).is_some());
        assert_eq!(retries.next_pause(None), None);
        assert_eq!(RetryPolicy::NEVER.retries().next_pause(None), None);
    }
}
