//! Delivers the results that earlier processes left in the journal, beside the jobs of this one.
//!
//! One result at a time and one attempt a round: a platform that is down is not flooded. The first round has a short
//! head start on the first take, because the next job may kill this process, too, before it has delivered
//! anything. Later rounds come every 30 s, sooner after a failure, because the owner of a result may only
//! be known to be dead after a while.

use std::sync::Arc;
use std::time::Duration;

use runpod_protocol::backoff::Backoff;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Runtime;
use super::deliver::{ReplacedResult, refused};
use crate::journal::Leftover;
use crate::platform::{PlatformError, PostDisposition, wait_after};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_secs(30);
/// The longest wait of the first take for the first round.
const HEAD_START: Duration = Duration::from_secs(2);

/// Delivers leftovers in rounds until the worker drains. Cancels `first_round` after the first round.
pub(super) async fn recover(runtime: Arc<Runtime>, first_round: CancellationToken) {
    let mut first_round = Some(first_round.drop_guard());
    if !runtime.journal.is_on() {
        return;
    }
    let drain = runtime.shutdown.drain.clone();
    let mut backoff = Backoff::half_jitter(FIRST_RETRY, ROUND, runtime.random_for("recover"));
    while !drain.is_cancelled() {
        let delivered = round(&runtime).await;
        first_round.take();
        let wait = match delivered {
            Ok(()) => {
                backoff.reset();
                ROUND
            }
            Err(error) => {
                let wait = wait_after(&error, &mut backoff);
                debug!(%error, retry_in = ?wait, "results of earlier runs can't be delivered yet");
                wait
            }
        };
        tokio::select! {
            biased;
            () = drain.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Waits until takes may begin.
pub(super) async fn head_start(runtime: &Runtime, first_round: CancellationToken) {
    tokio::select! {
        biased;
        () = runtime.shutdown.drain.cancelled() => {}
        () = first_round.cancelled() => {}
        () = tokio::time::sleep(HEAD_START) => {}
    }
}

/// Posts each leftover once, and stops at an error that every post would meet. The error is the one that ended the
/// round, or else the first: one result that the platform fails on must not delay the others.
async fn round(runtime: &Runtime) -> Result<(), PlatformError> {
    let mut first = Ok(());
    for name in runtime.journal.leftovers().await {
        if runtime.shutdown.drain.is_cancelled() {
            break;
        }
        if let Some(leftover) = runtime.journal.adopt(name).await {
            match post(runtime, leftover).await {
                Err(error) if is_about_all(&error) => return Err(error),
                posted => first = first.and(posted),
            }
        }
    }
    first
}

/// Whether every other post would meet the same error: no answer, or one about the worker or the platform. Any other
/// status may be about this one result.
fn is_about_all(error: &PlatformError) -> bool {
    error.is_credentials() || matches!(error.status(), None | Some(429 | 503))
}

async fn post(runtime: &Runtime, leftover: Leftover) -> Result<(), PlatformError> {
    let (id, bytes) = (leftover.job.clone(), leftover.report.len());
    let posted = match runtime.platform.post_report(&id, &leftover.report).await {
        Err(error) if error.disposition() == PostDisposition::Refused && !leftover.report.is_failure() => {
            error!(job.id = %id, %error, bytes, "the platform refused the result of an earlier run; failing the job instead");
            let what = format!("the result of {bytes} bytes");
            let failed = ReplacedResult {
                stop_pod: false,
                is_stream: leftover.report.is_stream(),
            };
            let report = failed.report(refused(&error, &what), &runtime.identity);
            let report = report.of_worker(leftover.report.worker());
            runtime.platform.post_report(&id, &report).await
        }
        posted => posted,
    };
    let delivered = posted.is_ok();
    match posted.map_err(|error| (error.disposition(), error)) {
        Ok(()) => info!(job.id = %id, bytes, "delivered the result of an earlier run"),
        Err((PostDisposition::NotNow | PostDisposition::NotHere, error)) => {
            // Dropped, it waits for the next round.
            return Err(error);
        }
        Err((PostDisposition::Gone, error)) => {
            warn!(job.id = %id, %error, bytes, "the platform no longer knows the job of an earlier run; its result is dropped");
        }
        Err((PostDisposition::Refused, error)) => {
            error!(job.id = %id, %error, bytes, "the platform refused the result of an earlier run, which is lost");
        }
    }
    runtime.journal.settle(leftover, delivered).await;
    Ok(())
}
