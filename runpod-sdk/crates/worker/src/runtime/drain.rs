//! The end of a worker: waits for its jobs within the grace period, then cancels what still runs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Runtime;
use crate::context::CancelReason;
use crate::settings::{Settings, WhenAbandoned};

/// The time for the last posts of a worker that must end.
pub(super) const LAST_POSTS: Duration = Duration::from_secs(2);

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every job was finished and every result delivered.
    Drained,
    /// The grace period ended, or a second signal came: this number of jobs is left for other workers.
    Abandoned { jobs: usize },
}

/// The tokens that stop a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    /// Ends the takes; active jobs are finished.
    pub(crate) drain: CancellationToken,
    /// Ends the worker at once, with jobs unfinished.
    pub(crate) abandon: CancellationToken,
}

/// Waits for the active jobs: the grace period for those that run, then the cancel grace for those that had to be
/// cancelled. A second signal ends both.
pub(super) async fn drain(runtime: &Runtime) -> Ended {
    runtime.jobs.close();
    let Settings {
        shutdown_grace,
        cancel_grace,
        when_abandoned,
        ..
    } = &runtime.settings;
    let abandon = &runtime.shutdown.abandon;
    if !settled_within(runtime, *shutdown_grace).await && !abandon.is_cancelled() {
        warn!(
            jobs = runtime.active_jobs.len(),
            grace = ?shutdown_grace,
            "the grace period is over; cancelling what still runs"
        );
        runtime.active_jobs.cancel_all(CancelReason::ShuttingDown);
        settled_within(runtime, cancel_grace.saturating_add(LAST_POSTS)).await;
    }
    if abandon.is_cancelled() && !runtime.active_jobs.is_empty() {
        warn!(jobs = runtime.active_jobs.len(), "leaving at once");
        if *when_abandoned == WhenAbandoned::PostError {
            runtime.active_jobs.cancel_all(CancelReason::ShuttingDown);
            let _ = tokio::time::timeout(LAST_POSTS, runtime.jobs.wait()).await;
        }
    }
    runtime.give_up.cancel();
    match runtime.active_jobs.abandon() {
        0 => Ended::Drained,
        jobs => Ended::Abandoned { jobs },
    }
}

/// Whether all jobs are settled within `limit` and before a second signal.
async fn settled_within(runtime: &Runtime, limit: Duration) -> bool {
    tokio::select! {
        biased;
        () = runtime.jobs.wait() => true,
        () = runtime.shutdown.abandon.cancelled() => false,
        () = tokio::time::sleep(limit) => false,
    }
}
