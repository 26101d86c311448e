//! Decides which failed attempts are repeated, and when (`docs/protocol/request-flow.md`, step 4).

use std::time::Duration;

use crate::backoff::doubling;
use crate::webui::WebUiError;

/// The tenth wait is the longest: 51.2 s, where the first is 0.1 s.
const MOST_DOUBLINGS: u32 = 9;

/// The waits before the retries: 0.1 s, 0.2 s … 51.2 s. There is no jitter, because no other client retries against this
/// WebUI.
pub(super) fn waits(first: Duration, retries: u32) -> impl Iterator<Item = Duration> {
    (0..retries).map(move |retry| doubling(first, retry, MOST_DOUBLINGS))
}

/// Whether the request may be sent again, because nothing can have come of it.
pub(super) fn may_repeat(error: &WebUiError) -> bool {
    matches!(error, WebUiError::Unreachable { .. }) || matches!(error.status(), Some(502..=504))
}

/// Whether the request may have been rendered without an answer: the connection broke, or a proxy gave up a render that
/// was `seen_running`.
pub(super) fn may_hide_a_render(error: &WebUiError, seen_running: bool) -> bool {
    matches!(error, WebUiError::Lost { .. }) || (seen_running && needs_a_probe(error))
}

/// Whether a render may run although the answer reports a failure.
pub(super) fn needs_a_probe(error: &WebUiError) -> bool {
    matches!(error.status(), Some(502 | 504))
}

/// Whether the error tells nothing about the WebUI but that it could not be reached.
pub(super) fn is_about_the_connection(error: &WebUiError) -> bool {
    may_repeat(error) || matches!(error, WebUiError::Lost { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);

    #[test]
    fn ten_waits_double_from_a_tenth_of_a_second() {
        let waits: Vec<_> = waits(FIRST, 10).collect();
        assert_eq!(waits[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(waits[9], Duration::from_millis(51_200));
        assert_eq!(waits.iter().sum::<Duration>(), Duration::from_millis(102_300));
    }

    #[test]
    fn more_retries_wait_no_longer() {
        assert_eq!(waits(FIRST, 40).last(), Some(Duration::from_millis(51_200)));
    }

    #[test]
    fn any_first_wait_will_do() {
        assert!(waits(Duration::ZERO, 3).all(|wait| wait.is_zero()));
        assert_eq!(waits(Duration::MAX, 2).last(), Some(Duration::MAX));
    }

    #[test]
    fn only_what_can_not_have_run_is_repeated() {
        let refused = |status| WebUiError::refused(status, b"");
        for status in [502, 503, 504] {
            assert!(may_repeat(&refused(status)));
        }
        for status in [400, 401, 404, 422, 429, 500] {
            assert!(!may_repeat(&refused(status)));
        }
        assert!(may_repeat(&WebUiError::Unreachable {
            reason: String::new()
        }));
        assert!(!may_repeat(&WebUiError::Lost {
            reason: String::new()
        }));
        assert!(needs_a_probe(&refused(504)) && !needs_a_probe(&refused(503)));
        assert!(may_hide_a_render(&refused(504), true) && !may_hide_a_render(&refused(504), false));
    }
}
