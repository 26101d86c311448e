//! The last step of a job: its result, after its progress and chunks.
//!
//! Nothing is sent for a job after its result (`docs/protocol/worker-protocol.md` §9): a progress
//! update that overtakes it would push the job back to `IN_PROGRESS`.

mod attempts;
mod failures;
mod result;
mod updates;

use tracing::{error, info, trace, warn};

use self::attempts::AfterFailure;
use self::result::ResultDelivery;
use super::Runtime;
use super::ended_job::EndedJob;
use crate::job::{ErrorClass, JobError, JobId, JobReport, Outcome, WorkerIdentity};
use crate::journal::Claim;

pub(super) use self::failures::{ReplacedResult, limited, refused};
pub(super) use self::updates::{Delivery, JobUpdates};

/// Posts the outcome until it has arrived. Returns whether the job is settled; if not, it is left
/// for another worker.
pub(super) async fn deliver(runtime: &Runtime, ended: &EndedJob, claim: Option<Claim>) -> bool {
    let EndedJob { id, outcome, .. } = ended;
    if let Some(error) = outcome.error() {
        log_failure(error, &runtime.identity);
    }
    let Some(report) = JobReport::of(outcome, ended.stop_pod, &runtime.identity) else {
        runtime.journal.forget(id, claim);
        info!("Job stopped.");
        return matches!(outcome, Outcome::Stopped);
    };
    runtime.active_jobs.finished(id, report.len());
    warn_of_size(id, report.len());
    let mut delivery = ResultDelivery::begin(runtime, ended, report, claim);
    loop {
        let error = match delivery.post().await {
            Some(Ok(())) => return delivery.delivered(),
            Some(Err(error)) => error,
            None => return delivery.interrupted().await,
        };
        match delivery.attempts.after(&error) {
            AfterFailure::Retry(wait) => {
                if !delivery.wait(&error, wait).await {
                    return delivery.interrupted().await;
                }
            }
            AfterFailure::Refused if !delivery.is_failure() => delivery.fail_instead(&error),
            AfterFailure::Refused => return delivery.refused(&error),
            AfterFailure::Gone => return delivery.job_is_gone(&error),
            AfterFailure::GiveUp => return delivery.window_spent(&error).await,
        }
    }
}

/// Logs why a job failed. The message of a user error may quote the input, so it is logged at trace level only.
fn log_failure(error: &JobError, identity: &WorkerIdentity) {
    if error.class() == ErrorClass::User {
        // An empty path is the whole input, or an error that is about none of it.
        let path = error.details().and_then(|details| details["path"].as_str());
        let path = path.filter(|path| !path.is_empty());
        warn!(code = %error.code(), path, "Captured Handler Exception: the request is at fault");
        trace!("{}", error.message());
    } else {
        error!(code = %error.code(), "Captured Handler Exception\n{}", error.to_log(identity));
    }
}

fn warn_of_size(id: &JobId, bytes: usize) {
    let limit = id.result_limit();
    if bytes > limit {
        warn!(
            bytes,
            limit, "the result is larger than the platform's documented limit and may be refused"
        );
    }
}
