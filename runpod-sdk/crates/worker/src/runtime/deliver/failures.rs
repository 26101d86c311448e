//! Failures in place of results that cannot be delivered.

use crate::job::{ErrorClass, ErrorCode, JobError, JobReport, Outcome, WorkerIdentity};
use crate::platform::PlatformError;
use crate::runtime::Runtime;

/// The outcome, or a failure in its place if it is larger than this worker sends. It is applied before the end of the
/// job is announced.
pub(in crate::runtime) fn limited(runtime: &Runtime, outcome: Outcome, stop_pod: bool) -> Outcome {
    let Some(limit) = runtime.settings.largest_result else {
        return outcome;
    };
    // An error is reported whatever its size.
    if outcome.error().is_some() {
        return outcome;
    }
    match JobReport::of(&outcome, stop_pod, &runtime.identity) {
        Some(report) if report.len() > limit && !report.is_failure() => {
            let error = too_large(report.len(), limit);
            Outcome::Failed(error).in_stream(report.is_stream())
        }
        _ => outcome,
    }
}

/// The error of a job whose result or chunk the platform refuses.
pub(in crate::runtime) fn refused(error: &PlatformError, what: &str) -> JobError {
    JobError::new(
        ErrorCode::RESULT_REFUSED,
        ErrorClass::Platform,
        format!("the platform refused {what}: {error}"),
    )
    .with_hint("make the output smaller, or upload it and return a URL")
    .with_details(serde_json::json!({ "status": error.status() }))
}

/// The error of a job whose result exceeds the limit of this worker.
pub(super) fn too_large(bytes: usize, limit: usize) -> JobError {
    JobError::new(
        ErrorCode::RESULT_TOO_LARGE,
        ErrorClass::Worker,
        format!("a result of {bytes} bytes; this worker sends at most {limit}"),
    )
    .with_hint("make the output smaller, or upload it and return a URL")
    .with_details(serde_json::json!({ "bytes": bytes, "limit": limit }))
}

/// What the failure of a job keeps of the result that it replaces.
pub(in crate::runtime) struct ReplacedResult {
    pub(in crate::runtime) stop_pod: bool,
    /// Whether chunks were posted. They stay, and the failure must say that they are complete.
    pub(in crate::runtime) is_stream: bool,
}

impl ReplacedResult {
    pub(in crate::runtime) fn report(&self, error: JobError, identity: &WorkerIdentity) -> JobReport {
        let failed = Outcome::Failed(error).in_stream(self.is_stream);
        match JobReport::of(&failed, self.stop_pod, identity) {
            Some(small) => small,
            None => unreachable!("a failure is reported"),
        }
    }
}
