//! The delivery of one result: its posts, and what becomes of it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::attempts::Attempts;
use super::failures::{ReplacedResult, refused};
use crate::context::point;
use crate::events::WorkerEvent;
use crate::job::JobReport;
use crate::journal::{Claim, PendingResult};
use crate::platform::PlatformError;
use crate::runtime::Runtime;
use crate::runtime::ended_job::EndedJob;

/// The reason of a result that is lost because the worker ended first.
const WORKER_ENDED: &str = "the worker had to go";

/// A result on its way to the platform.
///
/// The methods that end the delivery return whether the job is settled.
pub(super) struct ResultDelivery<'a> {
    runtime: &'a Runtime,
    ended: &'a EndedJob,
    report: JobReport,
    /// The copy in the journal.
    pending: PendingResult,
    pub(super) attempts: Attempts,
    began: Instant,
}

impl<'a> ResultDelivery<'a> {
    /// Begins to write the result to the journal, for its delivery by a later process.
    pub(super) fn begin(
        runtime: &'a Runtime,
        ended: &'a EndedJob,
        report: JobReport,
        claim: Option<Claim>,
    ) -> Self {
        let stored = named(runtime, &report);
        Self {
            runtime,
            ended,
            pending: runtime.journal.keep(&ended.id, &stored, claim),
            report,
            attempts: Attempts::new(runtime),
            began: Instant::now(),
        }
    }

    pub(super) fn is_failure(&self) -> bool {
        self.report.is_failure()
    }

    /// Posts the result once; `None` if the worker must end first.
    pub(super) async fn post(&self) -> Option<Result<(), PlatformError>> {
        let sent = Instant::now();
        let posted = tokio::select! {
            biased;
            posted = self.runtime.platform.post_report(&self.ended.id, &self.report) => posted,
            () = self.runtime.give_up.cancelled() => return None,
        };
        match &posted {
            Ok(()) => self
                .runtime
                .ahead
                .round_trip
                .posted(self.report.len(), sent.elapsed()),
            Err(error) => self.runtime.events.request_failed(error),
        }
        Some(posted)
    }

    /// Waits before the next attempt. Returns whether there is one; there is none if the worker must end first.
    pub(super) async fn wait(&mut self, error: &PlatformError, wait: Duration) -> bool {
        self.attempts.log(error, wait, self.report.len());
        self.runtime.events.emit(|| WorkerEvent::DeliveryRetried {
            job: self.ended.id.clone(),
            attempt: self.attempts.failures,
            status: error.status(),
            reason: error.to_string(),
            wait,
        });
        tokio::select! {
            biased;
            () = self.runtime.give_up.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// Puts a failure in the place of a result that the platform refuses.
    pub(super) fn fail_instead(&mut self, error: &PlatformError) {
        let bytes = self.report.len();
        error!(%error, bytes, "the platform refused the result; failing the job instead");
        let failure = refused(error, &format!("the result of {bytes} bytes"));
        let replaced = ReplacedResult {
            stop_pod: self.ended.stop_pod,
            is_stream: self.report.is_stream(),
        };
        self.report = replaced.report(failure, &self.runtime.identity);
        self.runtime
            .active_jobs
            .finished(&self.ended.id, self.report.len());
    }

    pub(super) fn delivered(self) -> bool {
        let timeline = &self.ended.timeline;
        timeline.mark(point::RESPONSE_SENT);
        info!("job timeline: {timeline}");
        info!("Finished.");
        self.pending.settle();
        self.runtime.events.emit(|| WorkerEvent::ResultDelivered {
            job: self.ended.id.clone(),
            bytes: self.report.len(),
            attempts: self.attempts.failures + 1,
            took: self.began.elapsed(),
            timeline: timeline.clone(),
        });
        true
    }

    /// Ends a delivery because the worker must end. The job is left for another worker.
    pub(super) async fn interrupted(self) -> bool {
        let kept = self.pending.park(&named(self.runtime, &self.report)).await;
        undelivered(self.runtime, self.ended, self.report.len(), &WORKER_ENDED, kept);
        false
    }

    pub(super) fn job_is_gone(self, error: &PlatformError) -> bool {
        let bytes = self.report.len();
        warn!(%error, bytes, "the platform no longer knows this job; its result is dropped");
        self.pending.settle();
        undelivered(self.runtime, self.ended, bytes, error, false);
        true
    }

    /// Ends a delivery whose failure is refused like its result was.
    pub(super) fn refused(self, error: &PlatformError) -> bool {
        let bytes = self.report.len();
        error!(%error, bytes, "the platform refuses even the error; the result is lost");
        self.pending.settle();
        undelivered(self.runtime, self.ended, bytes, error, false);
        true
    }

    /// Ends a delivery at the end of its window. The journal delivers it later, if it is there.
    pub(super) async fn window_spent(self, error: &PlatformError) -> bool {
        let (runtime, bytes) = (self.runtime, self.report.len());
        let window = runtime.settings.delivery_window;
        let kept = self.pending.park(&named(runtime, &self.report)).await;
        if kept {
            warn!(%error, bytes, ?window, "the result could not be delivered in time; it is tried again from the journal");
        } else {
            error!(%error, bytes, ?window, "the result could not be delivered and is lost");
        }
        undelivered(runtime, self.ended, bytes, error, kept);
        true
    }
}

/// The report in the name of this worker, to which the platform gave the job. A later process delivers it so.
fn named(runtime: &Runtime, report: &JobReport) -> JobReport {
    report.clone().of_worker(runtime.identity.known_worker())
}

/// Announces what became of a result that did not reach the platform.
fn undelivered(runtime: &Runtime, ended: &EndedJob, bytes: usize, reason: &dyn fmt::Display, kept: bool) {
    runtime.events.emit(|| {
        let (job, reason) = (ended.id.clone(), reason.to_string());
        if kept {
            WorkerEvent::ResultKept { job, bytes, reason }
        } else {
            WorkerEvent::ResultLost { job, bytes, reason }
        }
    });
}
