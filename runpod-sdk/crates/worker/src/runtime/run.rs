//! One job: input → handler → outcome, with its deadline, its cancellation and its panics.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, warn};

use super::deliver::Delivery;
use super::load_meter::RunningGuard;
use super::slots::Slot;
use super::{ActiveJobs, Runtime, deliver, span};
use crate::context::{
    Cancel, CancelReason, CompletionEstimate, Context, ContextParts, Lease, Timeline, point,
};
use crate::events::{Events, JobSummary, WorkerEvent};
use crate::handler::{LARGEST_CHUNK, Produced, is_text};
use crate::job::{ErrorClass, ErrorCode, Job, JobError, JobId, Outcome};
use crate::journal::{Claim, StartDecision};
use crate::json::RawJson;
use crate::panics::guarded;
use crate::platform::Platform;
use crate::scratch::JobScratch;
use crate::settings::WhenAbandoned;
use crate::telemetry;

/// Chunks that may wait for delivery before the handler's stream has to.
const CHUNKS_AHEAD: usize = 64;

/// A job that has just been taken.
pub(super) struct Arrived {
    pub(super) job: Job,
    pub(super) place: SlotOrWait,
    pub(super) cancel: Cancel,
    pub(super) timeline: Timeline,
}

/// Where a job runs.
pub(super) enum SlotOrWait {
    /// In this slot.
    Taken(Slot),
    /// In the slot that comes: it was taken ahead, or the platform sent more than were asked for.
    Queued(BoxFuture<'static, Slot>),
}

pub(super) async fn run<P: Platform>(runtime: Arc<Runtime<P>>, arrived: Arrived) {
    let span = span::of(&arrived.job);
    let id = arrived.job.id().clone();
    if follow(&runtime, arrived).instrument(span).await {
        runtime.active_jobs.release(&id);
    }
}

/// Follows a job to its end. Returns whether it is settled; if not, it stays in the list of held
/// jobs and is left for another worker.
async fn follow<P: Platform>(runtime: &Runtime<P>, arrived: Arrived) -> bool {
    let Arrived {
        job,
        place,
        cancel,
        timeline,
    } = arrived;
    telemetry::keep_last_lines(runtime.settings.log_tail);
    let id = job.id().clone();
    let batch = job.batch_id().map(str::to_owned);
    let (admitted, claim) = admit(runtime, &id, place, &cancel).await;
    let slot = match admitted {
        ControlFlow::Continue(slot) => slot,
        ControlFlow::Break(outcome) => return not_run(runtime, &id, batch, outcome, &timeline, claim).await,
    };

    let deadline = deadline_of(runtime, &job);
    info!("Started.");
    timeline.mark(point::HANDLER_STARTED);
    runtime.events.emit(|| WorkerEvent::JobStarted {
        job: id.clone(),
        waited: timeline.age(),
    });
    let input = job.input().clone();
    let refresh = Arc::new(AtomicBool::new(runtime.settings.refresh));
    let streams = Arc::new(AtomicBool::new(false));
    let occupied = Arc::new(Occupied {
        streams: streams.clone(),
        _slot: slot,
        id: id.clone(),
        run: cancel.clone(),
        active_jobs: runtime.active_jobs.clone(),
        result_bytes: AtomicUsize::new(0),
        refresh: refresh.clone(),
        drain: runtime.shutdown.drain.clone(),
        events: runtime.events.clone(),
        estimate: Arc::new(runtime.ahead.estimates.begin()),
        _running: runtime.meter.begin(),
        scratch: Arc::new(JobScratch::new(runtime.scratch.clone())),
    });
    let estimate = Arc::downgrade(&occupied.estimate);
    let scratch = Arc::downgrade(&occupied.scratch);
    let lease: Weak<Lease> = Arc::downgrade(&(occupied.clone() as Arc<Lease>));
    // Both senders are kept here as well: a channel that closes wakes its receiver, and the end of
    // the handler's task does that already.
    let (updates, progress) = watch::channel(None);
    let (chunks, chunk_queue) = mpsc::channel(CHUNKS_AHEAD);
    let _kept = (updates.clone(), chunks.clone());
    let context = Context::new(ContextParts {
        job,
        cancel: cancel.clone(),
        deadline,
        progress: updates,
        timeline: timeline.clone(),
        refresh: refresh.clone(),
        lease,
        estimate,
        scratch,
        largest_result: runtime.settings.largest_result,
    });
    let hooks = &runtime.hooks;
    // Not kept without need: it holds the input.
    let context_after = hooks.any_after_job().then(|| context.clone());
    let (handler, before) = (runtime.handler.clone(), hooks.clone());
    let call = async move {
        before.before_job(&context).await?;
        handler.call(input, context).await
    };
    let handler = runtime
        .handlers
        .spawn(guarded(consume(call, chunks, occupied)).in_current_span());

    let delivery = Delivery::open(runtime, &id, progress, chunk_queue);
    let mut outcome = delivery
        .pump_while(supervise(runtime, handler, &cancel, deadline))
        .await;
    timeline.mark(point::PROCESSING_COMPLETE);
    // Whatever ended it: the chunks before it stay.
    outcome = outcome.in_stream(streams.load(Ordering::Relaxed));
    let stop_pod = refresh.load(Ordering::Relaxed) || runtime.settings.intake.is_retired();
    outcome = deliver::limited(runtime, outcome, stop_pod);
    if let Some(error) = outcome.unexplained() {
        error.or_log_tail(|| telemetry::last_lines(runtime.settings.log_tail));
    }
    span::record_end(&outcome);
    let summary = || JobSummary::new(id.clone(), batch.clone(), &outcome, timeline.clone());
    runtime.events.emit(|| WorkerEvent::JobFinished(summary()));
    if let Some(context) = context_after {
        let after = hooks.clone().after_job(context, summary());
        runtime.jobs.spawn_on(after.in_current_span(), &runtime.handlers);
    }
    deliver::deliver(runtime, &id, &outcome, stop_pod, &timeline, claim).await
}

/// Waits for the job's slot and asks the journal about it. A job that is cancelled meanwhile waits for neither: the
/// journal may be slow, or wait for an earlier run of the job.
async fn admit<P: Platform>(
    runtime: &Runtime<P>,
    id: &JobId,
    place: SlotOrWait,
    cancel: &Cancel,
) -> (ControlFlow<Outcome, Slot>, Option<Claim>) {
    let admitted = async {
        let slot = match place {
            SlotOrWait::Taken(slot) => slot,
            SlotOrWait::Queued(slot) => slot.await,
        };
        match runtime.journal.begin(id).await {
            (StartDecision::Run, claim) => (ControlFlow::Continue(slot), claim),
            (StartDecision::Answer(outcome), claim) => (ControlFlow::Break(outcome), claim),
        }
    };
    tokio::select! {
        biased;
        reason = cancel.cancelled() => {
            info!("Stopping job: it had not begun.");
            (ControlFlow::Break(cancelled_outcome(runtime, Some(reason), None, None)), None)
        }
        admitted = admitted => admitted,
    }
}

/// When a job that starts now must be done, if it has a limit.
fn deadline_of<P: Platform>(runtime: &Runtime<P>, job: &Job) -> Option<Instant> {
    let limits = runtime.settings.timeout.into_iter();
    limits
        .chain(job.execution_timeout())
        .chain(runtime.handler.timeout(job.input()))
        .min()
        // One that no clock can hold is none.
        .and_then(|limit| Instant::now().checked_add(limit))
}

/// The end of a job whose handler does not run.
async fn not_run<P: Platform>(
    runtime: &Runtime<P>,
    id: &JobId,
    batch: Option<String>,
    outcome: Outcome,
    timeline: &Timeline,
    claim: Option<Claim>,
) -> bool {
    timeline.mark(point::PROCESSING_COMPLETE);
    let stop_pod = runtime.settings.intake.is_retired();
    let outcome = deliver::limited(runtime, outcome, stop_pod);
    span::record_end(&outcome);
    runtime
        .events
        .emit(|| WorkerEvent::JobFinished(JobSummary::new(id.clone(), batch, &outcome, timeline.clone())));
    deliver::deliver(runtime, id, &outcome, stop_pod, timeline, claim).await
}

/// A slot in use. What must be known before another job may take its place is said before the slot
/// is free: that a result waits for delivery, and that the worker is to be replaced.
struct Occupied {
    id: JobId,
    run: Cancel,
    active_jobs: Arc<ActiveJobs>,
    result_bytes: AtomicUsize,
    /// Whether the handler has begun to stream.
    streams: Arc<AtomicBool>,
    refresh: Arc<AtomicBool>,
    drain: CancellationToken,
    events: Events,
    estimate: Arc<CompletionEstimate>,
    _running: RunningGuard,
    /// Removed before the slot is free: the next job may need the disk.
    scratch: Arc<JobScratch>,
    _slot: Slot,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let bytes = self.result_bytes.load(Ordering::Relaxed);
        self.active_jobs.returned(&self.id, &self.run, bytes);
        if self.refresh.load(Ordering::Relaxed) {
            self.events.emit(|| WorkerEvent::Refreshing {
                reason: format!("after job {}", self.id),
            });
            self.drain.cancel();
        }
    }
}

/// Runs the handler to its end. What it occupied is given back when that is reached, whatever happens.
async fn consume(
    call: impl Future<Output = Result<Produced, JobError>>,
    chunks: mpsc::Sender<RawJson>,
    occupied: Arc<Occupied>,
) -> Result<Outcome, JobError> {
    let produced = call.await?;
    let outcome = match produced {
        Produced::Value(value) => {
            occupied.result_bytes.store(value.len(), Ordering::Relaxed);
            Outcome::Completed(value)
        }
        Produced::Chunks {
            mut stream,
            aggregate,
        } => {
            occupied.streams.store(true, Ordering::Relaxed);
            let mut all = Aggregate::new(aggregate);
            while let Some(chunk) = futures_util::StreamExt::next(&mut stream).await {
                let chunk = match chunk {
                    Ok(chunk) if chunk.len() > LARGEST_CHUNK && !is_text(&chunk) => {
                        return Ok(Outcome::StreamFailed(too_large(chunk.len())));
                    }
                    Ok(chunk) => chunk,
                    Err(error) => return Ok(Outcome::StreamFailed(error)),
                };
                all.add(&chunk);
                if chunks.send(chunk).await.is_err() {
                    break;
                }
            }
            let aggregate = all.finish();
            occupied.result_bytes.store(aggregate.len(), Ordering::Relaxed);
            Outcome::Streamed(aggregate)
        }
    };
    drop(occupied);
    Ok(outcome)
}

fn too_large(bytes: usize) -> JobError {
    JobError::new(
        ErrorCode::CHUNK_TOO_LARGE,
        ErrorClass::Worker,
        format!("a chunk of {bytes} bytes; the platform takes {LARGEST_CHUNK}"),
    )
    .with_hint("stream it in pieces, or upload it and stream a URL")
    .with_details(serde_json::json!({ "bytes": bytes, "limit": LARGEST_CHUNK }))
}

/// Waits for the handler, cancels it when its time is up, and turns all that can happen into an outcome.
async fn supervise<P: Platform>(
    runtime: &Runtime<P>,
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
        // A handler that blocks its thread cannot be dropped. Its slot stays taken until it is,
        // but the job's end must not wait for that.
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
        // A stream tells of its cancellation by its last item.
        (reason @ Some(_), Ok(Outcome::StreamFailed(error)) | Err(error)) => {
            cancelled_outcome(runtime, reason, deadline, Some(error))
        }
        (_, Ok(outcome)) => outcome,
        (None, Err(error)) => Outcome::Failed(error),
    }
}

/// Waits for the job's cancellation, and causes it when the deadline passes.
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

/// The end of a job that was cancelled and gave no result.
fn cancelled_outcome<P: Platform>(
    runtime: &Runtime<P>,
    reason: Option<CancelReason>,
    deadline: Option<Instant>,
    last_words: Option<JobError>,
) -> Outcome {
    match reason {
        Some(CancelReason::DeadlineExceeded) => {
            let late = deadline.map_or(Duration::ZERO, |deadline| deadline.elapsed());
            let mut message = "the job ran longer than it may".to_owned();
            if let Some(error) = last_words {
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
                    "the worker was told to go before the job was done",
                )
                .retryable(true)
                .with_hint("send the job again"),
            ),
        },
        _ => Outcome::Stopped,
    }
}

/// The list of all chunks as JSON, if wanted.
struct Aggregate {
    wanted: bool,
    text: Vec<u8>,
}

impl Aggregate {
    fn new(wanted: bool) -> Self {
        Self {
            wanted,
            text: b"[".to_vec(),
        }
    }

    fn add(&mut self, chunk: &RawJson) {
        if self.wanted {
            if self.text.len() > 1 {
                self.text.push(b',');
            }
            self.text.extend_from_slice(chunk.as_bytes());
        }
    }

    fn finish(mut self) -> RawJson {
        self.text.push(b']');
        RawJson::trusted(self.text.into())
    }
}
