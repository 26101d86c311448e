//! The tracing span of one job.

use tracing::{Span, field, info_span};

use crate::events::JobOutcome;
use crate::job::{Job, Outcome};
use crate::telemetry::{JOB_SPAN, JOB_TARGET};

/// Makes the span in which `job` runs, its handler included.
pub(crate) fn of(job: &Job) -> Span {
    let span = info_span!(
        target: JOB_TARGET,
        JOB_SPAN,
        job.id = %job.id(),
        batch.id = job.batch_id(),
        job.outcome = field::Empty,
        error.code = field::Empty,
        otel.status_code = field::Empty,
    );
    #[cfg(feature = "otlp")]
    crate::telemetry::otlp::follow_caller(&span, job);
    span
}

/// Records in the current span how its job ended.
pub(super) fn record_end(outcome: &Outcome) {
    let span = Span::current();
    let outcome = JobOutcome::of(outcome);
    span.record("job.outcome", outcome.as_str());
    if let Some(code) = outcome.error_code() {
        span.record("error.code", code.as_str());
        span.record("otel.status_code", "ERROR");
    }
}
