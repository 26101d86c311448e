//! Posts the progress and the chunks of a running job, in order.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::attempts::{AfterFailure, Attempts};
use super::failures::refused;
use crate::events::WorkerEvent;
use crate::job::{JobId, JobReport, Outcome};
use crate::json::RawJson;
use crate::platform::PlatformError;
use crate::runtime::Runtime;

/// The longest pause between two updates of a job: a longer setting makes no difference, and a clock can hold this one.
const A_YEAR: Duration = Duration::from_hours(365 * 24);

/// What a handler sends while it runs.
pub(in crate::runtime) struct JobUpdates {
    /// The latest progress update.
    pub(in crate::runtime) progress: watch::Receiver<Option<RawJson>>,
    /// The chunks of its stream, in order.
    pub(in crate::runtime) chunks: mpsc::Receiver<RawJson>,
    /// Keep both channels open: a channel that closes wakes its receiver, and the end of the handler's task does that
    /// already.
    pub(in crate::runtime) _senders: (watch::Sender<Option<RawJson>>, mpsc::Sender<RawJson>),
}

/// Posts the updates of one job while its handler runs.
pub(in crate::runtime) struct Delivery<'a> {
    runtime: &'a Runtime,
    id: &'a JobId,
    updates: JobUpdates,
    /// The error of a chunk that could not be delivered. It fails the job, because a silent gap is worse.
    lost_chunk: Option<PlatformError>,
}

impl<'a> Delivery<'a> {
    pub(in crate::runtime) fn open(runtime: &'a Runtime, id: &'a JobId, updates: JobUpdates) -> Self {
        Self {
            runtime,
            id,
            updates,
            lost_chunk: None,
        }
    }

    /// Posts chunks and progress while the handler runs, and the remaining chunks after its end. Returns the job's
    /// outcome, which is a failure if a chunk is lost.
    pub(in crate::runtime) async fn pump_while(mut self, handler: impl Future<Output = Outcome>) -> Outcome {
        let ended = CancellationToken::new();
        let outcome = {
            let pump = self.pump(&ended);
            tokio::pin!(handler, pump);
            let outcome = tokio::select! {
                biased;
                outcome = &mut handler => outcome,
                () = &mut pump => unreachable!("the pump runs until its token is cancelled"),
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
        // Whether there is an update to post. The channel has no such flag for a sender that is gone, and a handler
        // that streams may drop its context long before its end.
        let mut fresh = false;
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => break,
                Some(chunk) = self.updates.chunks.recv() => self.post_chunk(&chunk).await,
                () = tokio::time::sleep_until(next_progress), if fresh => {
                    fresh = false;
                    self.post_progress().await;
                    next_progress = Instant::now() + self.runtime.settings.progress_interval.min(A_YEAR);
                }
                Ok(()) = self.updates.progress.changed(), if !fresh => fresh = true,
            }
        }
        while let Ok(chunk) = self.updates.chunks.try_recv() {
            self.post_chunk(&chunk).await;
        }
    }

    async fn post_progress(&mut self) {
        let Some(update) = self.updates.progress.borrow_and_update().clone() else {
            return;
        };
        let report = JobReport::progress(&update);
        // Not retried, because the next update replaces it. The answer is awaited, so that this update cannot arrive
        // after the result.
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
                AfterFailure::Retry(wait) => {
                    tokio::select! {
                        biased;
                        () = self.runtime.give_up.cancelled() => {}
                        () = tokio::time::sleep(wait) => continue,
                    }
                }
                AfterFailure::Refused | AfterFailure::Gone | AfterFailure::GiveUp => {}
            }
            error!(%error, bytes = report.len(), "a chunk could not be delivered; the job fails");
            self.lost_chunk = Some(error);
            // The handler's stream ends at its next chunk.
            self.updates.chunks.close();
            return;
        }
    }
}
