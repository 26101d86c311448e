//! Detects a render that makes no step any more. It is pure: the caller brings positions and times.

use std::time::{Duration, Instant};

use crate::webui::Position;

/// Watches the positions of one render.
#[derive(Debug)]
pub(super) struct StallDetector {
    /// How long a position may last; zero sets no limit.
    after: Duration,
    last: Option<(Position, Instant)>,
}

impl StallDetector {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, last: None }
    }

    /// Whether no render ever counts as stalled.
    pub(super) fn is_off(&self) -> bool {
        self.after.is_zero()
    }

    /// Whether the render has stood still for too long. `position` is `None` if the WebUI could not be asked.
    ///
    /// No time counts before the first step of the first batch, because a model may load for minutes.
    pub(super) fn is_stalled(&mut self, position: Option<Position>, now: Instant) -> bool {
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
        let mut stall = StallDetector::new(Duration::from_secs(after));
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
