//! What became of a render whose answer never came. Pure: it judges by what was seen.

use std::time::{Duration, Instant};

use super::progress::Progress;

/// The WebUI writes the time of a job's begin in seconds.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// What is known of the WebUI's jobs before a request is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Before {
    /// `job_timestamp` of the last job that had begun; "0" if there was none, nothing if it is not told.
    pub(super) timestamp: Option<String>,
    pub(super) seen_at: Instant,
}

impl Before {
    /// Nothing.
    pub(super) fn unseen() -> Self {
        Self {
            timestamp: None,
            seen_at: Instant::now(),
        }
    }
}

/// One lost request.
#[derive(Debug, Clone)]
pub(super) struct LostRequest<'a> {
    pub(super) before: &'a Before,
    pub(super) sent_at: Instant,
    /// Progress was seen while the answer was waited for, or the answer had begun.
    pub(super) seen_running: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has not begun, and will not.
    NeverBegan,
    /// It is being rendered now.
    Running,
    /// It was rendered; the picture was lost on its way.
    Over,
    /// The process that rendered it is gone.
    Gone,
    Unknown,
}

impl LostRequest<'_> {
    /// Judges by what the WebUI says now. Nothing else is sent to it meanwhile.
    pub(super) fn fate(&self, now: &Progress) -> Fate {
        if now.is_rendering() {
            return Fate::Running;
        }
        let Some(timestamp) = now.state.job_timestamp.as_deref() else {
            return Fate::Unknown;
        };
        let Some(before) = self.before.timestamp.as_deref() else {
            // A process that never rendered has not rendered this.
            return match timestamp {
                "0" if self.seen_running => Fate::Gone,
                "0" => Fate::NeverBegan,
                _ => Fate::Unknown,
            };
        };
        if timestamp == "0" {
            return if before == "0" && !self.seen_running {
                Fate::NeverBegan
            } else {
                Fate::Gone
            };
        }
        if timestamp != before || self.seen_running {
            return Fate::Over;
        }
        // Two jobs may begin in the same second.
        if self.sent_at.duration_since(self.before.seen_at) > ONE_SECOND {
            Fate::NeverBegan
        } else {
            Fate::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EARLIER: &str = "20260101000000";

    fn fate(before: Option<&str>, seen_running: bool, job_count: i64, now: Option<&str>) -> Fate {
        fate_after(Duration::from_secs(5), before, seen_running, job_count, now)
    }

    fn fate_after(
        pause: Duration,
        before: Option<&str>,
        seen_running: bool,
        job_count: i64,
        now: Option<&str>,
    ) -> Fate {
        let before = Before {
            timestamp: before.map(str::to_owned),
            seen_at: Instant::now(),
        };
        let state = json!({ "job_count": job_count, "job_timestamp": now });
        LostRequest {
            before: &before,
            sent_at: before.seen_at + pause,
            seen_running,
        }
        .fate(&serde_json::from_value(json!({ "state": state })).unwrap())
    }

    #[test]
    fn a_render_in_progress_is_ours() {
        assert_eq!(fate(None, false, 1, None), Fate::Running);
        assert_eq!(fate(Some("0"), true, -1, Some(EARLIER)), Fate::Running);
    }

    #[test]
    fn a_new_time_stamp_means_that_it_ran() {
        assert_eq!(fate(Some("0"), false, 0, Some(EARLIER)), Fate::Over);
        assert_eq!(fate(Some(EARLIER), false, 0, Some("20260101000009")), Fate::Over);
    }

    #[test]
    fn the_old_time_stamp_means_that_it_never_began() {
        assert_eq!(fate(Some("0"), false, 0, Some("0")), Fate::NeverBegan);
        assert_eq!(fate(Some(EARLIER), false, 0, Some(EARLIER)), Fate::NeverBegan);
    }

    #[test]
    fn a_process_that_never_rendered_has_taken_the_place_of_one_that_did() {
        assert_eq!(fate(Some(EARLIER), false, 0, Some("0")), Fate::Gone);
        assert_eq!(fate(Some("0"), true, 0, Some("0")), Fate::Gone);
    }

    #[test]
    fn what_can_not_be_told_apart_is_unknown() {
        assert_eq!(fate(Some("0"), true, 0, None), Fate::Unknown);
        assert_eq!(fate(None, false, 0, Some(EARLIER)), Fate::Unknown);
        let same_second = fate_after(ONE_SECOND, Some(EARLIER), false, 0, Some(EARLIER));
        assert_eq!(same_second, Fate::Unknown);
    }
}
