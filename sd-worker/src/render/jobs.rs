//! The jobs that one render is for.

use std::sync::Arc;
use std::time::Duration;

use runpod_sdk::Context;
use runpod_sdk::context::CancelReason;
use serde::Serialize;

use crate::cancelled::Cancelled;

/// The jobs that wait for one render: one, or those of a batch. The render goes on while at least one wants it.
#[derive(Debug, Clone)]
pub(crate) struct RenderJobs(Arc<[Context]>);

impl RenderJobs {
    /// A render for one job.
    pub(crate) fn one(job: &Context) -> Self {
        Self(Arc::new([job.clone()]))
    }

    /// A render for the jobs of a batch.
    pub(crate) fn several(jobs: impl IntoIterator<Item = Context>) -> Self {
        Self(jobs.into_iter().collect())
    }

    /// Whether the render is a batch of different jobs.
    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Waits until no job wants the render any more, and returns why the last one does not.
    pub(super) async fn cancelled(&self) -> CancelReason {
        let mut last = CancelReason::Stopped;
        for job in self.0.iter() {
            last = job.cancelled().await;
        }
        last
    }

    /// Why the last job does not want the render any more; `None` while one does.
    pub(crate) fn cancel_reason(&self) -> Option<CancelReason> {
        let mut last = None;
        for job in self.0.iter() {
            last = Some(job.cancel_reason()?);
        }
        last
    }

    /// Waits for `work`, and drops it when no job wants the render any more. Work that is done wins over a cancellation.
    pub(super) async fn unless_cancelled<F: Future>(&self, work: F) -> Result<F::Output, Cancelled> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            reason = self.cancelled() => Err(Cancelled(reason)),
        }
    }

    /// The time that the job with the latest deadline has left; `None` if one has no deadline.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let mut most = Duration::ZERO;
        for job in self.wanting() {
            most = most.max(job.time_left()?);
        }
        Some(most)
    }

    /// Reports progress to each job that wants the render.
    pub(super) fn progress<T: Serialize + Clone + 'static>(&self, update: T) {
        for job in self.wanting() {
            job.progress(update.clone());
        }
    }

    /// Announces when the handler of each job expects to return.
    pub(super) fn finishing_in(&self, time: Duration) {
        for job in self.wanting() {
            job.finishing_in(time);
        }
    }

    fn wanting(&self) -> impl Iterator<Item = &Context> {
        self.0.iter().filter(|job| !job.is_cancelled())
    }
}
