//! Noticing a render that no longer moves. Pure: it is told what is seen, and when.

use std::time::{Duration, Instant};

/// Where a render stands: which batch, which step.
pub(crate) type Position = (i64, i64);

/// Watches one render.
#[derive(Debug)]
pub(crate) struct Stall {
    /// Zero: never.
    after: Duration,
    last: Option<(Position, Instant)>,
}

impl Stall {
    pub(crate) fn new(after: Duration) -> Self {
        Self { after, last: None }
    }

    /// Whether nothing ever counts as one.
    pub(crate) fn is_off(&self) -> bool {
        self.after.is_zero()
    }

    /// Whether the render has stood still for too long. `position` is `None` where nothing could be seen.
    ///
    /// Before the first step of the first batch nothing counts: a model may be loading, for minutes.
    pub(crate) fn is_stalled(&mut self, position: Option<Position>, now: Instant) -> bool {
        if self.is_off() {
            return false;
        }
        match (position, self.last) {
            (Some((0, 0)) | None, None) => false,
            (Some(position), Some((last, since))) if position == last => {
                now.duration_since(since) >= self.after
            }
            (None, Some((_, since))) => now.duration_since(since) >= self.after,
            (Some(position), _) => {
                self.last = Some((position, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stalled(after: u64, looks: &[(Option<Position>, u64)]) -> bool {
        let mut stall = Stall::new(Duration::from_secs(after));
        let start = Instant::now();
        looks
            .iter()
            .map(|(position, at)| stall.is_stalled(*position, start + Duration::from_secs(*at)))
            .last()
            .unwrap()
    }

    #[test]
    fn a_render_that_moves_is_not_stalled() {
        assert!(!stalled(
            10,
            &[(Some((0, 1)), 0), (Some((0, 2)), 9), (Some((0, 3)), 18)]
        ));
        assert!(!stalled(
            10,
            &[(Some((0, 20)), 0), (Some((1, 0)), 9), (Some((1, 1)), 18)]
        ));
    }

    #[test]
    fn a_render_that_stands_still_or_can_not_be_seen_is_stalled() {
        assert!(!stalled(10, &[(Some((0, 3)), 0), (Some((0, 3)), 9)]));
        assert!(stalled(
            10,
            &[(Some((0, 3)), 0), (Some((0, 3)), 9), (Some((0, 3)), 10)]
        ));
        assert!(stalled(10, &[(Some((0, 3)), 0), (None, 10)]));
    }

    #[test]
    fn loading_a_model_is_no_stall() {
        assert!(!stalled(
            10,
            &[(Some((0, 0)), 0), (None, 50), (Some((0, 0)), 100)]
        ));
    }

    #[test]
    fn zero_turns_it_off() {
        assert!(!stalled(0, &[(Some((0, 3)), 0), (Some((0, 3)), 1000)]));
    }
}
