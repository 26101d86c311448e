//! A job at its end on this worker, before its result is delivered.

use crate::context::Timeline;
use crate::events::JobSummary;
use crate::job::{JobId, Outcome};

/// A job whose outcome is final and not yet delivered.
#[derive(Debug)]
pub(super) struct EndedJob {
    pub(super) id: JobId,
    pub(super) batch: Option<String>,
    pub(super) outcome: Outcome,
    /// Whether the result asks the platform to replace this worker.
    pub(super) stop_pod: bool,
    pub(super) timeline: Timeline,
}

impl EndedJob {
    pub(super) fn summary(&self) -> JobSummary {
        JobSummary::new(
            self.id.clone(),
            self.batch.clone(),
            &self.outcome,
            self.timeline.clone(),
        )
    }
}
