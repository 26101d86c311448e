//! How often a request is tried.

use std::time::Duration;

use runpod_protocol::backoff::Backoff;

/// The longest pause between two tries, unless the server asks for a longer one.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often a request is tried, and after which pauses.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryPolicy {
    /// The first try included.
    pub(super) attempts: u32,
    pub(super) first_pause: Duration,
}

impl Default for RetryPolicy {
    /// Three tries, as in Python. A job is billed while it waits, so a server that is down for longer fails the job.
    fn default() -> Self {
        Self {
            attempts: 3,
            first_pause: Duration::from_millis(500),
        }
    }
}

impl RetryPolicy {
    /// The pauses between the tries of one request.
    pub(super) fn pauses(&self) -> Backoff {
        Backoff::half_jitter(self.first_pause, LONGEST_PAUSE, fastrand::Rng::new())
    }
}
