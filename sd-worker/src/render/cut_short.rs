//! Decides whether a render came to its own end. It is pure: it judges by what was seen.
//!
//! A render that another client interrupts, or of which it skips a batch, answers 200 with unfinished pictures. Only the
//! WebUI's state shows that, until the next job begins (`docs/protocol/webui-api.md` §7).

use crate::webui::Progress;

/// How a render ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutShort {
    Interrupted,
    Skipped,
    /// "Interrupt at the end of the current image": the pictures so far are whole, and the rest is missing.
    Stopped,
}

impl CutShort {
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Interrupted => "it was interrupted",
            Self::Skipped => "a picture was skipped",
            Self::Stopped => "it was stopped before its last picture",
        }
    }
}

/// The signs of an early end that were seen while a render ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EndingSigns {
    /// The batches that the render makes.
    batches: i64,
    /// The timestamp of the job of which a batch was seen to be skipped. The next batch clears the WebUI's flag.
    skipped: Option<String>,
}

impl EndingSigns {
    /// The signs of a render of `batches`, as the WebUI counts them.
    pub(super) fn of(batches: i64) -> Self {
        Self {
            batches,
            skipped: None,
        }
    }

    /// Notes what a probe saw while the render ran.
    pub(super) fn note(&mut self, seen: &Progress) {
        if seen.is_rendering() && seen.state.skipped {
            self.skipped.clone_from(&seen.state.job_timestamp);
        }
    }

    /// How the render was cut short, by a probe after it. `None` if nothing shows that it was.
    pub(super) fn cut_short(&self, after: &Progress) -> Option<CutShort> {
        if after.is_rendering() {
            // Another client's render has begun since. The flags are its own.
            return None;
        }
        let state = &after.state;
        let skipped_before = self.skipped.is_some() && self.skipped == state.job_timestamp;
        if state.interrupted {
            Some(CutShort::Interrupted)
        } else if state.skipped || skipped_before {
            Some(CutShort::Skipped)
        } else if state.stopping_generation && state.batches_done() < self.batches {
            Some(CutShort::Stopped)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(state: &Value) -> Progress {
        serde_json::from_value(json!({ "state": state })).unwrap()
    }

    fn after(flag: &str) -> Progress {
        seen(&json!({ flag: true, "job_count": 0, "job_no": 1, "job_timestamp": "20260101000000" }))
    }

    #[test]
    fn an_idle_webui_reports_how_its_last_job_ended() {
        let signs = EndingSigns::of(1);
        assert_eq!(signs.cut_short(&after("x")), None);
        assert_eq!(
            signs.cut_short(&after("interrupted")),
            Some(CutShort::Interrupted)
        );
        assert_eq!(signs.cut_short(&after("skipped")), Some(CutShort::Skipped));
        assert_eq!(
            signs.cut_short(&Progress::default()),
            None,
            "forks leave keys out"
        );
    }

    #[test]
    fn what_another_job_has_begun_says_nothing() {
        let other = seen(&json!({ "interrupted": true, "job_count": 1 }));
        assert_eq!(EndingSigns::of(1).cut_short(&other), None);
    }

    #[test]
    fn a_stop_after_the_current_picture_matters_only_where_others_were_to_come() {
        let stopped = after("stopping_generation");
        assert_eq!(EndingSigns::of(1).cut_short(&stopped), None);
        assert_eq!(EndingSigns::of(3).cut_short(&stopped), Some(CutShort::Stopped));
    }

    #[test]
    fn a_skip_that_the_next_batch_has_cleared_is_remembered_for_its_own_job_alone() {
        let mut signs = EndingSigns::of(2);
        let begun = |at: &str| json!({ "skipped": true, "job_count": 2, "job_timestamp": at });
        signs.note(&seen(&begun("20251231235959")));
        assert_eq!(signs.cut_short(&after("x")), None, "it was the job before");
        signs.note(&seen(&begun("20260101000000")));
        signs.note(&seen(
            &json!({ "job_count": 2, "job_timestamp": "20260101000000" }),
        ));
        assert_eq!(signs.cut_short(&after("x")), Some(CutShort::Skipped));
    }
}
