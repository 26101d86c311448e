//! The fourth step of a job: deadline, cancellation and the end of its handler.

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::cancelled::cancelled_outcome;
use crate::context::{Cancel, CancelReason};
use crate::job::{ErrorClass, ErrorCode, JobError, Outcome};
use crate::runtime::Runtime;

/// Waits for the handler, cancels it at its deadline, and turns its end into an outcome.
pub(super) async fn supervise(
    runtime: &Runtime,
    mut handler: JoinHandle<Result<Outcome, JobError>>,
    cancel: &Cancel,
    deadline: Option<Instant>,
) -> Outcome {
    let ended = tokio::select! {
        biased;
        ended = &mut handler => Some(ended),
        _ = cancelled(cancel, deadline) => {
            match cancel.reason() {
                Some(CancelReason::Stopped) => info!("Stopping job."),
                Some(reason) => warn!("cancelling the job: {reason}"),
                None => {}
            }
            tokio::select! {
                biased;
                ended = &mut handler => Some(ended),
                () = tokio::time::sleep(runtime.settings.cancel_grace) => None,
                () = runtime.shutdown.abandon.cancelled() => None,
            }
        }
    };
    let Some(ended) = ended else {
        warn!(grace = ?runtime.settings.cancel_grace, "the handler did not return after its cancellation; dropping it");
        handler.abort();
        // A handler that blocks its thread is dropped only when it returns. Its slot stays taken until then; the job
        // ends now.
        return cancelled_outcome(runtime, cancel.reason(), deadline, None);
    };
    let result = ended.unwrap_or_else(|lost| {
        Err(JobError::new(
            ErrorCode::HANDLER_ERROR,
            ErrorClass::Worker,
            format!("the handler's task was lost: {lost}"),
        ))
    });
    match (cancel.reason(), result) {
        (Some(CancelReason::Stopped), _) => cancelled_outcome(runtime, cancel.reason(), deadline, None),
        // A stream reports its cancellation as its last item.
        (reason @ Some(_), Ok(Outcome::StreamFailed(error)) | Err(error)) => {
            cancelled_outcome(runtime, reason, deadline, Some(error))
        }
        (_, Ok(outcome)) => outcome,
        (None, Err(error)) => Outcome::Failed(error),
    }
}

/// Waits for the job's cancellation, and cancels it at its deadline.
async fn cancelled(cancel: &Cancel, deadline: Option<Instant>) -> CancelReason {
    let Some(deadline) = deadline else {
        return cancel.cancelled().await;
    };
    tokio::select! {
        biased;
        reason = cancel.cancelled() => reason,
        () = tokio::time::sleep_until(deadline) => {
            cancel.cancel(CancelReason::DeadlineExceeded);
            cancel.cancelled().await
        }
    }
}
