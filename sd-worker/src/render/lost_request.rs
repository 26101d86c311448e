//! Decides what became of a render whose answer was lost. It is pure: it judges by what was seen.

use std::time::{Duration, Instant};

use crate::webui::Progress;

/// The resolution of the times at which jobs begin.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// The WebUI's last job before a request is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JobBefore {
    /// Its `job_timestamp`; "0" if there was no job, `None` if it is unknown.
    pub(super) timestamp: Option<String>,
    pub(super) seen_at: Instant,
}

impl JobBefore {
    /// The state before the first progress probe: no job timestamp is known.
    pub(super) fn unseen() -> Self {
        Self {
            timestamp: None,
            seen_at: Instant::now(),
        }
    }
}

/// A request whose answer was lost.
#[derive(Debug, Clone)]
pub(super) struct LostRequest<'a> {
    pub(super) before: &'a JobBefore,
    pub(super) sent_at: Instant,
    /// The render was seen to run, or its answer had begun.
    pub(super) seen_running: bool,
}

/// What became of the render of a lost request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LostRequestState {
    /// It has not begun, and will not.
    NeverBegan,
    /// It runs now.
    Running,
    /// It has run, and the picture was lost on its way.
    Over,
    /// The process that rendered it is gone.
    Gone,
    /// What was seen does not tell.
    Unknown,
}

impl LostRequest<'_> {
    /// Judges by what the WebUI reports now. Nothing else is sent to it meanwhile.
    pub(super) fn state(&self, now: &Progress) -> LostRequestState {
        if now.is_rendering() {
            return LostRequestState::Running;
        }
        let Some(timestamp) = now.state.job_timestamp.as_deref() else {
            return LostRequestState::Unknown;
        };
        let Some(before) = self.before.timestamp.as_deref() else {
            // A process that never rendered has not rendered this.
            return match timestamp {
                "0" if self.seen_running => LostRequestState::Gone,
                "0" => LostRequestState::NeverBegan,
                _ => LostRequestState::Unknown,
            };
        };
        if timestamp == "0" {
            return if before == "0" && !self.seen_running {
                LostRequestState::NeverBegan
            } else {
                LostRequestState::Gone
            };
        }
        if timestamp != before || self.seen_running {
            return LostRequestState::Over;
        }
        // Two jobs may begin in the same second.
        if self.sent_at.duration_since(self.before.seen_at) > ONE_SECOND {
            LostRequestState::NeverBegan
        } else {
            LostRequestState::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EARLIER: &str = "20260101000000";

    fn state(
        before: Option<&str>,
        seen_running: bool,
        job_count: i64,
        now: Option<&str>,
    ) -> LostRequestState {
        state_after(Duration::from_secs(5), before, seen_running, job_count, now)
    }

    fn state_after(
        pause: Duration,
        before: Option<&str>,
        seen_running: bool,
        job_count: i64,
        now: Option<&str>,
    ) -> LostRequestState {
        let before = JobBefore {
            timestamp: before.map(str::to_owned),
            seen_at: Instant::now(),
        };
        let state = json!({ "job_count": job_count, "job_timestamp": now });
        LostRequest {
            before: &before,
            sent_at: before.seen_at + pause,
            seen_running,
        }
        .state(&serde_json::from_value(json!({ "state": state })).unwrap())
    }

    #[test]
    fn a_render_in_progress_is_ours() {
        assert_eq!(state(None, false, 1, None), LostRequestState::Running);
        assert_eq!(
            state(Some("0"), true, -1, Some(EARLIER)),
            LostRequestState::Running
        );
    }

    #[test]
    fn a_new_time_stamp_means_that_it_ran() {
        assert_eq!(state(Some("0"), false, 0, Some(EARLIER)), LostRequestState::Over);
        assert_eq!(
            state(Some(EARLIER), false, 0, Some("20260101000009")),
            LostRequestState::Over
        );
    }

    #[test]
    fn the_old_time_stamp_means_that_it_never_began() {
        assert_eq!(
            state(Some("0"), false, 0, Some("0")),
            LostRequestState::NeverBegan
        );
        assert_eq!(
            state(Some(EARLIER), false, 0, Some(EARLIER)),
            LostRequestState::NeverBegan
        );
    }

    #[test]
    fn a_process_that_never_rendered_has_taken_the_place_of_one_that_did() {
        assert_eq!(state(Some(EARLIER), false, 0, Some("0")), LostRequestState::Gone);
        assert_eq!(state(Some("0"), true, 0, Some("0")), LostRequestState::Gone);
    }

    #[test]
    fn what_can_not_be_told_apart_is_unknown() {
        assert_eq!(state(Some("0"), true, 0, None), LostRequestState::Unknown);
        assert_eq!(state(None, false, 0, Some(EARLIER)), LostRequestState::Unknown);
        let same_second = state_after(ONE_SECOND, Some(EARLIER), false, 0, Some(EARLIER));
        assert_eq!(same_second, LostRequestState::Unknown);
    }
}
