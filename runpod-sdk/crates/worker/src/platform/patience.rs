//! The wait before a failed request to the platform is sent again.

use std::time::Duration;

use runpod_protocol::backoff::Backoff;

use super::PlatformError;

/// The wait after 429 without `Retry-After`.
const TOO_MANY: Duration = Duration::from_secs(5);

/// The wait after `error`: the next one of `backoff`, or what the platform asks for if that is longer. Its
/// `Retry-After` may be 0 or in the past.
pub(crate) fn wait_after(error: &PlatformError, backoff: &mut Backoff) -> Duration {
    match (error.status(), error.retry_after()) {
        (Some(429), None) => TOO_MANY,
        (_, asked) => backoff.next_wait().max(asked.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);

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
                assert_eq!(
                    wait_after(&refused(status, Some(Duration::ZERO)), &mut backoff),
                    own.next_wait()
                );
            }
            let hour = Duration::from_hours(1);
            assert_eq!(wait_after(&refused(status, Some(hour)), &mut backoff), hour);
        }
        let mut backoff = Backoff::half_jitter(FIRST, LONGEST, random);
        assert_eq!(wait_after(&refused(429, None), &mut backoff), TOO_MANY);
        assert!(wait_after(&refused(503, None), &mut backoff) <= FIRST);
    }
}
