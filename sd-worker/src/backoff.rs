//! Waits that double from attempt to attempt.

use std::time::Duration;

/// The wait before attempt number `attempt`, counted from 0: `first`, and twice as long after each attempt, up to
/// `doublings` times.
pub(crate) fn doubling(first: Duration, attempt: u32, doublings: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(attempt.min(doublings)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_one() {
        let waits = [0, 1, 2, 3, 40].map(|attempt| doubling(Duration::from_secs(1), attempt, 2).as_secs());
        assert_eq!(waits, [1, 2, 4, 4, 4]);
        assert_eq!(doubling(Duration::MAX, 1, 9), Duration::MAX);
    }
}
