//! The outcome of a cancelled job, by the reason of its cancellation.

use std::time::Duration;

use tokio::time::Instant;

use crate::context::CancelReason;
use crate::job::{ErrorClass, ErrorCode, JobError, Outcome};
use crate::runtime::Runtime;
use crate::settings::WhenAbandoned;

/// The outcome of a job that was cancelled and has no result.
pub(super) fn cancelled_outcome(
    runtime: &Runtime,
    reason: Option<CancelReason>,
    deadline: Option<Instant>,
    last_error: Option<JobError>,
) -> Outcome {
    match reason {
        Some(CancelReason::DeadlineExceeded) => {
            let late = deadline.map_or(Duration::ZERO, |deadline| deadline.elapsed());
            let mut message = "the job ran longer than it may".to_owned();
            if let Some(error) = last_error {
                message = format!("{message}; the handler ended with: {error}");
            }
            Outcome::Failed(
                JobError::new(ErrorCode::TIMEOUT, ErrorClass::User, message)
                    .with_hint(
                        "ask for less work, or raise policy.executionTimeout or the worker's own limit",
                    )
                    .with_details(
                        serde_json::json!({ "late_ms": u64::try_from(late.as_millis()).unwrap_or(u64::MAX) }),
                    ),
            )
        }
        Some(CancelReason::ShuttingDown) => match runtime.settings.when_abandoned {
            WhenAbandoned::LetPlatformRequeue => Outcome::Abandoned,
            WhenAbandoned::PostError => Outcome::Failed(
                JobError::new(
                    ErrorCode::WORKER_STOPPED,
                    ErrorClass::Platform,
                    "the worker was stopped before the job was done",
                )
                .retryable(true)
                .with_hint("send the job again"),
            ),
        },
        _ => Outcome::Stopped,
    }
}
