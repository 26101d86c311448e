//! One lane a job: progress and chunks in order, and the result after both.
//!
//! Nothing is sent for a job after its result (`docs/protocol/worker-protocol.md` §9): a progress
//! update that overtakes it would push the job back to `IN_PROGRESS`.

use std::fmt;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, trace, warn};

use super::Runtime;
use crate::context::{Timeline, point};
use crate::events::WorkerEvent;
use crate::job::{ErrorClass, ErrorCode, JobError, JobId, JobReport, Outcome, WorkerIdentity};
use crate::journal::Claim;
use crate::json::RawJson;
use runpod_protocol::backoff::Backoff;

use crate::platform::{Platform, PlatformError, PostDisposition, wait_after};

const FIRST_RETRY: Duration = Duration::from_millis(200);
/// Longer pauses between two updates of a job are no different from this one.
const A_YEAR: Duration = Duration::from_hours(365 * 24);

/// Why a result is lost that was still on its way when the worker had to go.
const GAVE_UP: &str = "the worker had to go";

/// The way from one job's handler to the platform.
pub(super) struct Delivery<'a, P> {
    runtime: &'a Runtime<P>,
    id: &'a JobId,
    progress: watch::Receiver<Option<RawJson>>,
    chunks: mpsc::Receiver<RawJson>,
    /// Why a chunk could not be delivered. The job fails then: a silent gap is worse.
    lost_chunk: Option<PlatformError>,
}

impl<'a, P: Platform> Delivery<'a, P> {
    pub(super) fn open(
        runtime: &'a Runtime<P>,
        id: &'a JobId,
        progress: watch::Receiver<Option<RawJson>>,
        chunks: mpsc::Receiver<RawJson>,
    ) -> Self {
        Self {
            runtime,
            id,
            progress,
            chunks,
            lost_chunk: None,
        }
    }

    /// Posts chunks and progress while the handler works; when it has ended, the chunks that are
    /// left. What comes out is the job's final outcome.
    pub(super) async fn pump_while(mut self, handler: impl Future<Output = Outcome>) -> Outcome {
        let ended = CancellationToken::new();
        let outcome = {
            let pump = self.pump(&ended);
            tokio::pin!(handler, pump);
            let outcome = tokio::select! {
                biased;
                outcome = &mut handler => outcome,
                () = &mut pump => unreachable!("the pump runs until it is told to end"),
            };
            if matches!(outcome, Outcome::Stopped | Outcome::Abandoned) {
                return outcome;
            }
            ended.cancel();
            pump.await;
            outcome
        };
        match self.lost_chunk {
            None => outcome,
            Some(error) => Outcome::StreamFailed(refused(&error, "a chunk")),
        }
    }

    async fn pump(&mut self, ended: &CancellationToken) {
        let mut next_progress = Instant::now();
        // Whether there is an update to post. The channel itself does not say once the handler has let
        // go of its context, which a handler that streams may do long before its end.
        let mut fresh = false;
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => break,
                Some(chunk) = self.chunks.recv() => self.post_chunk(&chunk).await,
                () = tokio::time::sleep_until(next_progress), if fresh => {
                    fresh = false;
                    self.post_progress().await;
                    next_progress = Instant::now() + self.runtime.settings.progress_interval.min(A_YEAR);
                }
                Ok(()) = self.progress.changed(), if !fresh => fresh = true,
            }
        }
        while let Ok(chunk) = self.chunks.try_recv() {
            self.post_chunk(&chunk).await;
        }
    }

    async fn post_progress(&mut self) {
        let Some(update) = self.progress.borrow_and_update().clone() else {
            return;
        };
        let report = JobReport::progress(&update);
        // No retry: the next update says more. But the answer is waited for, so that this one
        // cannot arrive after the result.
        let post = self.runtime.platform.post_report(self.id, &report);
        match tokio::time::timeout(self.runtime.settings.limits.progress, post).await {
            Ok(Ok(())) => {
                debug!(bytes = report.len(), "progress posted");
                self.runtime.events.emit(|| WorkerEvent::ProgressSent {
                    job: self.id.clone(),
                    bytes: report.len(),
                });
            }
            Ok(Err(error)) => {
                self.runtime.events.request_failed(&error);
                debug!(%error, "progress update lost");
            }
            Err(_) => debug!("progress update lost: no answer"),
        }
    }

    async fn post_chunk(&mut self, chunk: &RawJson) {
        if self.lost_chunk.is_some() {
            return;
        }
        let report = JobReport::chunk(chunk);
        let mut attempts = Attempts::new(self.runtime);
        loop {
            let Err(error) = self.runtime.platform.post_chunk(self.id, &report).await else {
                self.runtime.events.emit(|| WorkerEvent::ChunkSent {
                    job: self.id.clone(),
                    bytes: report.len(),
                });
                return;
            };
            self.runtime.events.request_failed(&error);
            match attempts.after(&error) {
                Next::Retry(wait) => {
                    tokio::select! {
                        biased;
                        () = self.runtime.give_up.cancelled() => {}
                        () = tokio::time::sleep(wait) => continue,
                    }
                }
                Next::Refused | Next::Gone | Next::GiveUp => {}
            }
            error!(%error, bytes = report.len(), "a chunk could not be delivered; the job fails");
            self.lost_chunk = Some(error);
            // The handler's stream ends at its next chunk.
            self.chunks.close();
            return;
        }
    }
}

/// Posts the outcome until it has arrived. Returns whether the job is settled; if not, it is left
/// for another worker.
pub(super) async fn deliver<P: Platform>(
    runtime: &Runtime<P>,
    id: &JobId,
    outcome: &Outcome,
    stop_pod: bool,
    timeline: &Timeline,
    claim: Option<Claim>,
) -> bool {
    if let Some(error) = outcome.error() {
        log_failure(error, &runtime.identity);
    }
    let Some(mut report) = JobReport::of(outcome, stop_pod, &runtime.identity) else {
        runtime.journal.forget(id, claim);
        info!("Job stopped.");
        return matches!(outcome, Outcome::Stopped);
    };
    runtime.active_jobs.finished(id, report.len());
    warn_of_size(id, report.len());
    // Whoever delivers it after us does so in our name: the job was given to us.
    let in_our_name = |report: &JobReport| report.clone().of_worker(runtime.identity.known_worker());
    let pending = runtime.journal.keep(id, &in_our_name(&report), claim);

    let began = Instant::now();
    let mut attempts = Attempts::new(runtime);
    loop {
        let sent = Instant::now();
        let posted = tokio::select! {
            biased;
            posted = runtime.platform.post_report(id, &report) => posted,
            () = runtime.give_up.cancelled() => {
                let stays = pending.park(&in_our_name(&report)).await;
                undelivered(runtime, id, report.len(), &GAVE_UP, stays);
                return false;
            }
        };
        let Err(error) = posted else {
            runtime.ahead.round_trip.posted(report.len(), sent.elapsed());
            timeline.mark(point::RESPONSE_SENT);
            info!("job timeline: {timeline}");
            info!("Finished.");
            pending.settle();
            runtime.events.emit(|| WorkerEvent::ResultDelivered {
                job: id.clone(),
                bytes: report.len(),
                attempts: attempts.failures + 1,
                took: began.elapsed(),
                timeline: timeline.clone(),
            });
            return true;
        };
        runtime.events.request_failed(&error);
        match attempts.after(&error) {
            Next::Retry(wait) => {
                attempts.log(&error, wait, report.len());
                runtime.events.emit(|| WorkerEvent::DeliveryRetried {
                    job: id.clone(),
                    attempt: attempts.failures,
                    status: error.status(),
                    reason: error.to_string(),
                    wait,
                });
                tokio::select! {
                    biased;
                    () = runtime.give_up.cancelled() => {
                        let stays = pending.park(&in_our_name(&report)).await;
                        undelivered(runtime, id, report.len(), &GAVE_UP, stays);
                        return false;
                    }
                    () = tokio::time::sleep(wait) => {}
                }
            }
            Next::Gone => {
                warn!(%error, bytes = report.len(), "the platform no longer knows this job; its result is dropped");
                pending.settle();
                undelivered(runtime, id, report.len(), &error, false);
                return true;
            }
            Next::Refused if !report.is_failure() => {
                error!(%error, bytes = report.len(), "the platform refused the result; failing the job instead");
                let error = refused(&error, &format!("the result of {} bytes", report.len()));
                let is_stream = report.is_stream();
                report = Failing { stop_pod, is_stream }.report(error, &runtime.identity);
                runtime.active_jobs.finished(id, report.len());
            }
            Next::Refused => {
                error!(%error, bytes = report.len(), "the platform refuses even the error; the result is lost");
                pending.settle();
                undelivered(runtime, id, report.len(), &error, false);
                return true;
            }
            Next::GiveUp => {
                let (bytes, window) = (report.len(), runtime.settings.delivery_window);
                let stays = pending.park(&in_our_name(&report)).await;
                if stays {
                    warn!(%error, bytes, ?window, "the result could not be delivered in time; it is tried again from the journal");
                } else {
                    error!(%error, bytes, ?window, "the result could not be delivered and is lost");
                }
                undelivered(runtime, id, bytes, &error, stays);
                return true;
            }
        }
    }
}

/// The outcome, or a failure in its place if it is larger than this worker sends. Known before anybody is told how
/// the job ended.
pub(super) fn limited<P: Platform>(runtime: &Runtime<P>, outcome: Outcome, stop_pod: bool) -> Outcome {
    let Some(limit) = runtime.settings.largest_result else {
        return outcome;
    };
    // Errors are small, and are told however long they are.
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

/// Says what became of a result that did not reach the platform.
fn undelivered<P: Platform>(
    runtime: &Runtime<P>,
    job: &JobId,
    bytes: usize,
    reason: &dyn fmt::Display,
    kept: bool,
) {
    runtime.events.emit(|| {
        let (job, reason) = (job.clone(), reason.to_string());
        if kept {
            WorkerEvent::ResultKept { job, bytes, reason }
        } else {
            WorkerEvent::ResultLost { job, bytes, reason }
        }
    });
}

/// Logs why a job failed. What a user got wrong may quote the input, which is nobody's business here.
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

/// What to do after a failed post.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Retry(Duration),
    /// The job is not there any more.
    Gone,
    /// The platform will never take this body.
    Refused,
    /// The window is spent.
    GiveUp,
}

/// The attempts at one post: how long to wait, and when to give up.
struct Attempts {
    backoff: Backoff,
    /// No end if no clock can hold it.
    until: Option<Instant>,
    credentials_reported: bool,
    failures: u32,
}

impl Attempts {
    fn new<P: Platform>(runtime: &Runtime<P>) -> Self {
        Self {
            backoff: Backoff::full_jitter(
                FIRST_RETRY,
                runtime.settings.limits.delivery_longest_wait,
                runtime.random_for("deliver"),
            ),
            until: Instant::now().checked_add(runtime.settings.delivery_window),
            credentials_reported: false,
            failures: 0,
        }
    }

    fn after(&mut self, error: &PlatformError) -> Next {
        self.failures += 1;
        let wait = match error.disposition() {
            PostDisposition::Gone => return Next::Gone,
            PostDisposition::Refused => return Next::Refused,
            PostDisposition::NotHere => return Next::GiveUp,
            PostDisposition::NotNow => wait_after(error, &mut self.backoff),
        };
        // The last attempt comes at the very end of the window, whatever the wait would be.
        let left = self
            .until
            .map(|until| until.saturating_duration_since(Instant::now()));
        match left {
            None => Next::Retry(wait),
            Some(Duration::ZERO) => Next::GiveUp,
            Some(left) => Next::Retry(wait.min(left)),
        }
    }

    fn log(&mut self, error: &PlatformError, wait: Duration, bytes: usize) {
        if error.is_credentials() {
            if !self.credentials_reported {
                self.credentials_reported = true;
                error!(%error, bytes, "the platform does not accept this worker's key for a result; check RUNPOD_AI_API_KEY. Going on trying");
            }
        } else if self.failures == 1 {
            warn!(%error, bytes, retry_in = ?wait, "could not deliver the result; trying again");
        } else {
            debug!(%error, bytes, retry_in = ?wait, failures = self.failures, "still not delivered");
        }
    }
}

pub(super) fn refused(error: &PlatformError, what: &str) -> JobError {
    JobError::new(
        ErrorCode::RESULT_REFUSED,
        ErrorClass::Platform,
        format!("the platform refused {what}: {error}"),
    )
    .with_hint("make the output smaller, or upload it and return a URL")
    .with_details(serde_json::json!({ "status": error.status() }))
}

/// The result is not even sent: the worker was told so.
fn too_large(bytes: usize, limit: usize) -> JobError {
    JobError::new(
        ErrorCode::RESULT_TOO_LARGE,
        ErrorClass::Worker,
        format!("a result of {bytes} bytes; this worker sends at most {limit}"),
    )
    .with_hint("make the output smaller, or upload it and return a URL")
    .with_details(serde_json::json!({ "bytes": bytes, "limit": limit }))
}

/// What is kept of a result that cannot be posted when its job fails instead.
pub(super) struct Failing {
    pub(super) stop_pod: bool,
    /// The chunks before it stay, and the end must say that they are complete.
    pub(super) is_stream: bool,
}

impl Failing {
    pub(super) fn report(&self, error: JobError, identity: &WorkerIdentity) -> JobReport {
        let failed = Outcome::Failed(error).in_stream(self.is_stream);
        match JobReport::of(&failed, self.stop_pod, identity) {
            Some(small) => small,
            None => unreachable!("a failure is reported"),
        }
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
